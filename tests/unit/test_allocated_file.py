"""A file in whose room there are zeros already."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.system.allocated import AllocatedFile
from storaged.system.filesystem import OSFilesystem
from tests.contract.filesystems import PassingFile, SmallFilesystem

FILES = OSFilesystem()


@given(st.lists(st.lists(st.binary(max_size=30), max_size=3), max_size=20), st.integers(0, 50))
def test_appends_follow_each_other_and_zeros_follow_them(
    tmp_path_factory: pytest.TempPathFactory, appends: list[list[bytes]], ahead: int
) -> None:
    path = tmp_path_factory.mktemp("files") / "f"
    file, whole = AllocatedFile(FILES.open(str(path), "create"), 0, ahead), b""
    for pieces in appends:
        file.append(pieces)
        whole += b"".join(pieces)
        data = path.read_bytes()
        assert file.size == len(whole)
        assert (data[: len(whole)], data[len(whole) :]) == (whole, bytes(len(data) - len(whole)))
        assert len(data) - len(whole) <= ahead
    file.finish()
    assert path.read_bytes() == whole
    file.append([b"more"])
    file.close()
    again = AllocatedFile(FILES.open(str(path), "update"), len(whole) + 4, 0)
    again.append([b"."])
    again.finish()
    again.close()
    assert path.read_bytes() == whole + b"more."


def test_the_file_grows_only_when_its_room_is_used(tmp_path: Path) -> None:
    path = tmp_path / "f"
    file = AllocatedFile(FILES.open(str(path), "create"), 0, 100)
    sizes = []
    for _ in range(30):
        file.append([b"0123456789"])
        sizes.append(path.stat().st_size)
    file.close()
    assert sizes == [110] * 11 + [220] * 11 + [330] * 8


def test_on_a_full_disk_it_takes_what_there_is_room_for(tmp_path: Path) -> None:
    path = tmp_path / "f"
    small = SmallFilesystem(35)
    file = AllocatedFile(small.open(str(path), "create"), 0, 100)
    for _ in range(3):
        file.append([b"0123456789"])
    with pytest.raises(OSError, match="No space left") as caught:
        file.append([b"0123456789"])
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes()[:30] == b"0123456789" * 3


def test_zeros_that_only_half_fitted_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "f"
    file = AllocatedFile(SmallFilesystem(25).open(str(path), "create"), 0, 100)
    file.append([b"0123456789"])
    assert path.read_bytes() == b"0123456789" + bytes(15)
    file.finish()
    file.close()
    assert path.read_bytes() == b"0123456789"


class _Short(PassingFile):
    """Writes half, and fails."""

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        data = b"".join(pieces)
        super().write_at(offset, [data[: len(data) // 2]])
        raise OSError(errno.EIO, "Input/output error")


def test_a_failed_append_is_an_error(tmp_path: Path) -> None:
    file = AllocatedFile(_Short(FILES.open(str(tmp_path / "f"), "create")), 0, 100)
    with pytest.raises(OSError, match="Input/output error"):
        file.append([b"0123"])
    assert file.size == 0
    file.close()
