from __future__ import annotations

from pathlib import Path

import pytest

from storaged.disk.folder import PartFolder
from storaged.parts.format import PartId
from tests.contract.filesystems import FailingFilesystem

OLD, MIDDLE, NEW, NEWER = (PartId(f"3f{number:030x}", 2) for number in range(1, 5))
ELSEWHERE = PartId(f"40{0:030x}", 2)


@pytest.fixture
def filesystem() -> FailingFilesystem:
    return FailingFilesystem()


@pytest.fixture
def parts(tmp_path: Path, filesystem: FailingFilesystem) -> PartFolder:
    folder = PartFolder(str(tmp_path), filesystem)
    folder.prepare()
    return folder


def store(parts: PartFolder, part: PartId) -> None:
    parts.make_subfolder(part)
    Path(parts.place(part).path).write_bytes(b"abc")


def test_parts_that_were_there_at_the_start_exist(parts: PartFolder, tmp_path: Path) -> None:
    store(parts, OLD)
    store(parts, NEW)
    again = PartFolder(str(tmp_path), FailingFilesystem())
    assert [again.exists(part) for part in (OLD, MIDDLE, NEW, NEWER, ELSEWHERE)] == [True, False, True, False, False]


def test_parts_that_came_since_exist(parts: PartFolder) -> None:
    assert not any(map(parts.exists, (OLD, MIDDLE, NEW)))
    store(parts, MIDDLE)
    assert [parts.exists(part) for part in (OLD, MIDDLE, NEW)] == [False, True, False]
    store(parts, OLD)  # as a part that is moved here, or rebuilt
    assert [parts.exists(part) for part in (OLD, MIDDLE, NEW)] == [True, True, False]


def test_a_part_that_comes_while_its_subfolder_is_looked_at_exists(
    tmp_path: Path, filesystem: FailingFilesystem
) -> None:
    class Slow(FailingFilesystem):
        def scan(self, path: str) -> list[tuple[str, int, int]]:
            found = super().scan(path)
            if path.endswith("/3f"):
                Path(place.path).write_bytes(b"abc")
            return found

    parts = PartFolder(str(tmp_path), Slow())
    parts.prepare()
    place = parts.place(OLD)
    parts.make_subfolder(OLD)
    assert parts.exists(NEW) is False
    assert parts.exists(OLD) is True


def test_a_part_that_is_newer_than_all_others_is_not_looked_for(
    parts: PartFolder, filesystem: FailingFilesystem
) -> None:
    store(parts, OLD)
    assert parts.exists(OLD)
    filesystem.calls.clear()
    assert not parts.exists(NEW)
    assert filesystem.calls == []


def test_a_subfolder_that_cannot_be_read_is_read_again(parts: PartFolder, tmp_path: Path) -> None:
    store(parts, OLD)
    folder = tmp_path / "parts" / "3f"
    folder.rename(tmp_path / "away")
    folder.write_bytes(b"no folder")
    again = PartFolder(str(tmp_path), FailingFilesystem())
    with pytest.raises(NotADirectoryError):
        again.exists(OLD)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert again.exists(OLD)
