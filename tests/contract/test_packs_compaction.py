"""Compaction of packs: space comes back, and nothing is lost or revived."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from storaged.system.interfaces import IFile
from tests.contract.filesystems import PassingFile, PassingFilesystem
from tests.contract.test_packs import (
    IDS,
    compact,
    data_of,
    keep_index,
    lose_index,
    pack_sizes,
    packs_in,
    present,
    put,
    remove,
)


def test_space_comes_back_and_what_is_live_stays(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        for start in range(0, 400, 20):
            put(packs, IDS[start : start + 20])
        before = sum(pack_sizes(tmp_path))
        gone = [part_id for number, part_id in enumerate(IDS[:400]) if number % 4]
        remove(packs, gone)
        compact(packs)
        assert sum(pack_sizes(tmp_path)) < before / 2
        assert present(packs) == IDS[:400:4]
    for then in (keep_index, lose_index):
        then(tmp_path)
        with packs_in(tmp_path) as packs:
            assert present(packs) == IDS[:400:4]
            assert packs.candidate() is None


def test_a_pack_of_nothing_is_removed(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        for start in range(0, 100, 20):
            put(packs, IDS[start : start + 20])
        remove(packs, IDS[:100])
        compact(packs)
        assert len(pack_sizes(tmp_path)) <= 1  # the one that is written to, where it is not full
    with packs_in(tmp_path) as packs:
        compact(packs)
    assert pack_sizes(tmp_path) == []


def test_packs_left_small_by_many_starts_are_merged(tmp_path: Path) -> None:
    for number in range(12):
        with packs_in(tmp_path) as packs:
            put(packs, [IDS[number]])
    assert len(pack_sizes(tmp_path)) == 12
    with packs_in(tmp_path) as packs:
        compact(packs)
        assert present(packs) == IDS[:12]
    assert len(pack_sizes(tmp_path)) <= 9


def test_a_compaction_ends_though_removals_of_live_packs_must_be_kept(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        for start in range(0, 300, 30):
            put(packs, IDS[start : start + 30])
    with packs_in(tmp_path) as packs:
        remove(packs, IDS[:300:3])  # a third of every pack: none is worth a compaction
    with packs_in(tmp_path) as packs:
        compact(packs)
    lose_index(tmp_path)
    with packs_in(tmp_path) as packs:
        assert present(packs) == [part_id for number, part_id in enumerate(IDS[:300]) if number % 3]


def test_a_removal_outlasts_the_pack_that_it_was_written_to(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:60])
        remove(packs, IDS[:10])
        put(packs, IDS[100:160])
        remove(packs, IDS[100:160])
        compact(packs)
    names = {path.name for path in (tmp_path / "packs").iterdir()}
    assert "0000000001.pack" in names, "the parts that were removed are still in it"
    assert "0000000002.pack" not in names, "the removals were in it"
    lose_index(tmp_path)
    with packs_in(tmp_path) as packs:
        assert present(packs) == IDS[10:60]


def test_a_damaged_part_is_not_dropped_by_a_compaction(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:10])
        remove(packs, IDS[1:9])
    [path] = (tmp_path / "packs").iterdir()
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 1
    path.write_bytes(damaged)
    with packs_in(tmp_path) as packs:
        compact(packs)
        assert packs.find(IDS[0]).pack == 1
        assert packs.read(IDS[9:10]) == [data_of(IDS[9])]
    assert path.exists()


class _Broken(Exception):
    """The power is cut."""


class _BreakingFilesystem(PassingFilesystem):
    """Cuts the power at the n-th call that changes something."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _Broken

    def open(self, path: str, mode: str) -> IFile:
        if mode != "read":
            self.count()
        return _BreakingFile(super().open(path, mode), self)

    def remove(self, path: str) -> None:
        self.count()
        super().remove(path)

    def sync_folder(self, path: str) -> None:
        self.count()
        super().sync_folder(path)


class _BreakingFile(PassingFile):
    def __init__(self, file: IFile, filesystem: _BreakingFilesystem) -> None:
        super().__init__(file)
        self._filesystem = filesystem

    def write(self, pieces: Iterable[bytes]) -> None:
        self._filesystem.count()
        super().write(pieces)

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._filesystem.count()
        super().write_at(offset, pieces)

    def truncate(self, size: int) -> None:
        self._filesystem.count()
        super().truncate(size)

    def sync(self) -> None:
        self._filesystem.count()
        super().sync()


@pytest.mark.parametrize("then", [keep_index, lose_index])
def test_a_compaction_that_breaks_off_anywhere_loses_and_revives_nothing(tmp_path: Path, then: object) -> None:
    assert callable(then)
    live = IDS[:200:5]
    for calls in range(0, 1000, 1 if then is keep_index else 3):
        folder = tmp_path / str(calls)
        with packs_in(folder) as packs:
            for start in range(0, 200, 20):
                put(packs, IDS[start : start + 20])
            remove(packs, [part_id for part_id in IDS[:200] if part_id not in live])
        filesystem = _BreakingFilesystem(calls)
        try:
            with packs_in(folder, filesystem) as packs:
                compact(packs)
        except _Broken:
            # As a new process finds it: the old one would have the index locked.
            folder = folder.with_suffix(".copy")
            shutil.copytree(folder.with_suffix(""), folder)
        then(folder)
        with packs_in(folder) as packs:
            assert present(packs) == live
            remove(packs, live[:10])
            compact(packs)
        lose_index(folder)
        with packs_in(folder) as packs:
            assert present(packs) == live[10:]
        if filesystem.left >= 0:
            break
    assert calls > 10
