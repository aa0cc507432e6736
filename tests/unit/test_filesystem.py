"""The real file system, on real folders."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.system.filesystem import (
    UNFINISHED,
    WRITEV_PIECES,
    FolderLock,
    FolderTaken,
    OSFilesystem,
    new_file,
    write_all,
)

FILES = OSFilesystem()


@given(st.lists(st.binary(max_size=20), max_size=20), st.data())
def test_pieces_are_written_whole_and_in_order_by_short_writes(pieces: list[bytes], data: st.DataObject) -> None:
    written = bytearray()

    def writev(batch: Sequence[bytes | memoryview]) -> int:
        whole = b"".join(batch)
        count = data.draw(st.integers(1, len(whole)))
        written.extend(whole[:count])
        return count

    write_all(writev, pieces)
    assert written == b"".join(pieces)


def test_no_write_takes_more_pieces_than_the_system_allows() -> None:
    batches: list[int] = []

    def writev(batch: Sequence[bytes | memoryview]) -> int:
        batches.append(len(batch))
        return sum(map(len, batch))

    write_all(writev, [b"ab"] * (2 * WRITEV_PIECES + 1))
    assert batches == [WRITEV_PIECES, WRITEV_PIECES, 1]


def test_a_write_that_writes_nothing_is_an_error() -> None:
    with pytest.raises(OSError, match="wrote nothing"):
        write_all(lambda _: 0, [b"a"])


def test_what_is_read_from_the_page_cache_is_what_was_written(tmp_path: Path) -> None:
    file = FILES.open(str(tmp_path / "f"), "create")
    file.write([b"0123456789"])
    # Not every system and file system can tell what is in its page cache.
    assert file.read_cached(2, 5) in (b"23456", None)
    assert file.read_cached(8, 5) is None
    assert file.read_cached(10, 1) is None
    file.close()


def test_many_pieces_are_written_and_read(tmp_path: Path) -> None:
    file = FILES.open(str(tmp_path / "f"), "create")
    file.write([b"%d," % number for number in range(5000)])
    whole = b"".join(b"%d," % number for number in range(5000))
    assert file.size == len(whole)
    assert file.read_at(0, len(whole) + 10) == whole
    assert file.read_at(100, 50) == whole[100:150]
    assert file.read_at(len(whole), 10) == b""
    file.start_sync()
    file.write([b"", b"more"])
    file.start_sync()
    file.sync()
    file.truncate(3)
    assert (file.size, file.read_at(0, 10)) == (3, whole[:3])
    assert file.modified_ms == (tmp_path / "f").stat().st_mtime_ns // 1_000_000
    file.close()
    assert (tmp_path / "f").read_bytes() == whole[:3]


def test_a_file_is_created_once(tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    FILES.open(path, "create").close()
    with pytest.raises(FileExistsError):
        FILES.open(path, "create")


def test_a_file_that_is_appended_to_keeps_what_it_had(tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    for line in (b"one\n", b"two\n"):
        file = FILES.open(path, "append")
        file.write([line])
        file.truncate(file.size - 1)
        file.write([line[-1:]])
        file.close()
    assert Path(path).read_bytes() == b"one\ntwo\n"


def test_a_file_that_is_read_is_there_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with pytest.raises(FileNotFoundError):
        FILES.open(str(path), "read")
    path.write_bytes(b"abc")
    file = FILES.open(str(path), "read")
    assert file.read_at(1, 2) == b"bc"
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.write([b"x"])
    file.close()


def test_a_file_may_be_closed_again_and_is_closed_once(tmp_path: Path) -> None:
    file = FILES.open(str(tmp_path / "f"), "create")
    file.close()
    other = os.open(tmp_path, os.O_RDONLY)  # takes the number that the file had
    file.close()
    os.fstat(other)
    os.close(other)


def test_a_file_is_not_passed_on_to_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for mode in ("create", "append", "read"):
        file = FILES.open(str(path), mode)
        links = Path("/proc/self/fd").iterdir()
        (descriptor,) = (int(link.name) for link in links if link.exists() and link.samefile(path))
        assert not os.get_inheritable(descriptor)
        file.close()


def test_folders_are_made_with_those_above_them(tmp_path: Path) -> None:
    folder = tmp_path / "a/b/c"
    FILES.make_folder(str(folder))
    (folder / "f").write_bytes(b"")
    FILES.make_folder(str(folder))
    assert (folder / "f").exists()


def test_a_folder_that_could_not_be_made_durable_is_made_again(tmp_path: Path) -> None:
    synced: list[str] = []

    class Files(OSFilesystem):
        fails = True

        def sync_folder(self, path: str) -> None:
            if self.fails:
                raise OSError(errno.EIO, "Input/output error")
            synced.append(path)

    files, folder = Files(), tmp_path / "a/b"
    with pytest.raises(OSError, match="Input/output error"):
        files.make_folder(str(folder))
    files.fails = False
    files.make_folder(str(folder))
    assert synced == [str(tmp_path), str(tmp_path / "a")]


def test_a_file_that_was_not_written_to_its_end_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "f"
    (tmp_path / f"f{UNFINISHED}").write_bytes(b"half of")
    with new_file(FILES, str(tmp_path), str(path)) as file:
        file.write([b"whole"])
    assert path.read_bytes() == b"whole"
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_a_folder_is_not_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(OSError, match="f"):
        FILES.make_folder(str(tmp_path / "f"))
    with pytest.raises(OSError, match="f"):
        FILES.make_folder(str(tmp_path / "f/a"))


def test_a_renamed_file_replaces_its_target(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    FILES.rename(str(tmp_path / "new"), str(tmp_path / "old"))
    FILES.sync_folder(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"new"
    FILES.remove(str(tmp_path / "old"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        FILES.remove(str(tmp_path / "old"))


def test_a_scan_finds_files_only(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "f").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("f")
    os.utime(tmp_path / "f", ns=(0, 1_234_567_890))
    assert FILES.scan(str(tmp_path)) == [("f", 3, 1234)]


def test_a_volume_tells_its_room(tmp_path: Path) -> None:
    volume = FILES.volume(str(tmp_path))
    assert 0 < volume.available <= volume.capacity


def test_paths_on_one_file_system_have_one_volume(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    volumes = {FILES.volume(path).id for path in (str(tmp_path), str(tmp_path / "folder"))}
    assert len(volumes) == 1
    assert volumes != {""}
    assert FILES.volume("/proc").id not in volumes


def test_a_folder_is_one_process_s_until_it_is_released(tmp_path: Path) -> None:
    lock, other = FolderLock(str(tmp_path)), FolderLock(str(tmp_path))
    other.release()
    lock.acquire()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    with pytest.raises(FolderTaken, match=f"{tmp_path} is in use by process {os.getpid()}"):
        other.acquire()
    lock.release()
    lock.release()
    other.acquire()
    with pytest.raises(FolderTaken):
        lock.acquire()
    other.release()


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    program = "import sys; from storaged.system.filesystem import FolderLock; FolderLock(sys.argv[1]).acquire(); " + (
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        lock = FolderLock(str(tmp_path))
        with pytest.raises(FolderTaken, match=f"process {process.pid}"):
            lock.acquire()
        process.kill()
    lock.acquire()
    lock.release()


def test_a_folder_that_is_missing_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderLock(str(tmp_path / "missing")).acquire()
