from __future__ import annotations

import errno
from pathlib import Path

import pytest

from storaged.disk.trash import Trash
from storaged.parts.format import parse_part_id
from storaged.system.filesystem import OSFilesystem
from tests.contract.filesystems import FailingFilesystem

PART = parse_part_id("3f" + "0" * 30 + ".2")
NOW_MS = 1_700_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trash"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_parts_are_kept_with_the_time(folder: Path, tmp_path: Path) -> None:
    trash = Trash(str(folder), OSFilesystem())
    trash.prepare()
    (tmp_path / "part").write_bytes(b"moved")
    trash.move(str(tmp_path / "part"), PART, NOW_MS)
    trash.write(b"written", PART, NOW_MS + 1)
    assert names(folder) == [f"1700000000000-{PART}", f"1700000000001-{PART}"]
    assert [(folder / name).read_bytes() for name in names(folder)] == [b"moved", b"written"]
    assert not (tmp_path / "part").exists()


def test_what_is_older_is_deleted_and_nothing_else(folder: Path) -> None:
    trash = Trash(str(folder), OSFilesystem())
    trash.prepare()
    for age in range(3):
        trash.write(b"1234", PART, NOW_MS - age)
    (folder / "a note").write_text("left by the operator")
    assert trash.empty(lambda put_aside: put_aside < NOW_MS) == (2, 8)
    assert names(folder) == [f"1700000000000-{PART}", "a note"]
    assert trash.empty(lambda put_aside: put_aside < NOW_MS) == (0, 0)


def test_what_was_left_half_written_is_dropped_at_a_start(folder: Path) -> None:
    folder.mkdir()
    (folder / f"1700000000000-{PART}.new").write_text("half")
    Trash(str(folder), OSFilesystem()).prepare()
    assert names(folder) == []


@pytest.mark.parametrize("call", ["write", "sync", "rename"])
def test_what_cannot_be_written_leaves_nothing(folder: Path, call: str) -> None:
    filesystem = FailingFilesystem()
    trash = Trash(str(folder), filesystem)
    trash.prepare()
    filesystem.fails = {call}
    with pytest.raises(OSError, match="Errno"):
        trash.write(b"1234", PART, NOW_MS)
    assert names(folder) == []


def test_a_part_that_cannot_be_deleted_does_not_keep_the_others(folder: Path) -> None:
    class Files(OSFilesystem):
        def remove(self, path: str) -> None:
            if path.endswith(f"{NOW_MS + 1}-{PART}"):
                raise OSError(errno.EIO, "Input/output error")
            super().remove(path)

    trash = Trash(str(folder), Files())
    trash.prepare()
    for number in range(3):
        trash.write(b"1234", PART, NOW_MS + number)
    with pytest.raises(OSError, match="Input/output error"):
        trash.empty(lambda _: True)
    assert names(folder) == [f"{NOW_MS + 1}-{PART}"]
