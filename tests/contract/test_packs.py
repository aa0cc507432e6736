"""The promises of packs beyond the contract: they survive restarts, damage, a lost index and an interrupted
compaction.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from storaged.disk.folder import PartFolder
from storaged.packs.files import PackFiles
from storaged.packs.index import PackIndex
from storaged.packs.packs import NewPart, Packs, Removal
from storaged.parts.errors import NodeUnavailable, PartDamaged, PartMissing
from storaged.parts.format import encode_part, parse_part_id
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile, IFilesystem
from tests.contract.filesystems import CachingFilesystem, FailingFilesystem, PassingFile, PassingFilesystem
from tests.descriptors import no_descriptors

IDS = [f"{number:032x}.{number % 6}" for number in range(2000)]
SEAL = 20_000


def data_of(part_id: str) -> bytes:
    return encode_part(parse_part_id(part_id), 1000, part_id.encode() * 10)


@contextmanager
def packs_in(folder: Path, filesystem: IFilesystem | None = None) -> Iterator[Packs]:
    filesystem = filesystem or OSFilesystem()
    files = PackFiles(str(folder / "packs"), filesystem)
    elsewhere = PartFolder(str(folder), filesystem)
    packs = Packs(files, PackIndex(str(folder / "index")), lambda: 1000, elsewhere, SEAL)
    folder.mkdir(exist_ok=True)
    packs.start()
    yield packs
    packs.close()


def put(packs: Packs, ids: Iterable[str]) -> None:
    packs.write([NewPart(parse_part_id(part_id), data_of(part_id)) for part_id in ids])


def remove(packs: Packs, ids: Iterable[str]) -> None:
    assert all(packs.write([Removal(parse_part_id(part_id)) for part_id in ids]))


def compact(packs: Packs) -> None:
    while (number := packs.candidate()) is not None:
        for moves in packs.moves(number):
            packs.write(moves)
        packs.drop(number)


def present(packs: Packs) -> list[str]:
    """Return the ids of the existing parts; each must be what was written."""
    found = [part_id for part_id, _ in packs.page("", 10_000)]
    assert packs.read(found) == [data_of(part_id) for part_id in found]
    return found


def pack_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted((folder / "packs").iterdir())]


def lose_index(folder: Path) -> None:
    for path in folder.glob("index*"):
        path.unlink()


def spoil_index(folder: Path) -> None:
    lose_index(folder)
    (folder / "index").write_bytes(b"this is no database" * 1000)


def keep_index(_: Path) -> None:
    pass


@pytest.mark.parametrize("then", [keep_index, lose_index, spoil_index])
def test_a_start_finds_what_was_there(tmp_path: Path, then: object) -> None:
    assert callable(then)
    with packs_in(tmp_path) as packs:
        for start in range(0, 300, 30):
            put(packs, IDS[start : start + 30])
        remove(packs, IDS[50:100])
    then(tmp_path)
    expected = IDS[:50] + IDS[100:300]
    with packs_in(tmp_path) as packs:
        assert present(packs) == expected
        put(packs, IDS[300:310])
    with packs_in(tmp_path) as packs:
        assert present(packs) == expected + IDS[300:310]


def test_a_start_after_a_kill_reads_what_the_index_does_not_have(tmp_path: Path) -> None:
    with packs_in(tmp_path / "node") as packs:
        put(packs, IDS[:10])
    with packs_in(tmp_path / "node") as packs:
        put(packs, IDS[10:20])
        remove(packs, IDS[5:15])
        shutil.copytree(tmp_path / "node", tmp_path / "after the kill")
    with packs_in(tmp_path / "after the kill") as packs:
        assert present(packs) == IDS[:5] + IDS[15:20]


@pytest.mark.parametrize("then", [keep_index, lose_index])
def test_zeros_that_a_kill_has_left_are_cut_off_in_silence(tmp_path: Path, then: object) -> None:
    assert callable(then)
    with packs_in(tmp_path / "node") as packs:
        for part_id in IDS[:4]:
            put(packs, [part_id])
        shutil.copytree(tmp_path / "node", tmp_path / "killed")
    [whole] = pack_sizes(tmp_path / "node")
    [left] = pack_sizes(tmp_path / "killed")
    assert left > whole  # the zeros
    then(tmp_path / "killed")
    with capturedLogs() as events, packs_in(tmp_path / "killed") as packs:
        assert pack_sizes(tmp_path / "killed") == [whole]
        assert present(packs) == IDS[:4]
        put(packs, IDS[4:5])
    assert not [event for event in events if "path" in event]
    assert pack_sizes(tmp_path / "killed") == [whole, 16 + (whole - 16) // 4]
    with packs_in(tmp_path / "killed") as packs:
        assert present(packs) == IDS[:5]


def test_a_torn_write_before_zeros_stays_as_it_is(tmp_path: Path) -> None:
    with packs_in(tmp_path / "node") as packs:
        put(packs, IDS[:1])
        shutil.copytree(tmp_path / "node", tmp_path / "killed")
    [whole] = pack_sizes(tmp_path / "node")
    [path] = (tmp_path / "killed/packs").iterdir()
    torn = bytearray(path.read_bytes())
    torn[whole : whole + 4] = b"ENTR"
    path.write_bytes(torn)
    with capturedLogs() as events, packs_in(tmp_path / "killed") as packs:
        assert present(packs) == IDS[:1]
    assert [event["start"] for event in events if "path" in event] == [whole]
    assert path.read_bytes() == torn


def test_large_writes_take_no_zeros_along(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:8])
        [size] = pack_sizes(tmp_path)
        put(packs, IDS[8:9])
        assert pack_sizes(tmp_path)[0] > size + SEAL // 4
    assert pack_sizes(tmp_path) == [16 + 9 * (size - 16) // 8]


def test_an_index_that_is_behind_catches_up(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:100])
        remove(packs, IDS[:20])
    behind = (tmp_path / "index").read_bytes()
    with packs_in(tmp_path) as packs:
        put(packs, IDS[100:200])
        remove(packs, IDS[90:120])
        compact(packs)
    lose_index(tmp_path)
    (tmp_path / "index").write_bytes(behind)
    with packs_in(tmp_path) as packs:
        assert present(packs) == IDS[20:90] + IDS[120:200]


def test_more_changes_than_are_kept_in_memory_are_found(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        for _ in range(3):
            put(packs, IDS)
            put(packs, IDS)  # is refused
            remove(packs, IDS[: len(IDS) // 2])
            remove(packs, IDS[len(IDS) // 2 :])
            compact(packs)
        put(packs, IDS)
        assert present(packs) == sorted(IDS)


def test_a_torn_tail_costs_nothing_that_was_answered(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:5])
    [path] = (tmp_path / "packs").iterdir()
    whole = path.read_bytes()
    with packs_in(tmp_path) as packs:
        put(packs, IDS[5:6])
    torn = sorted((tmp_path / "packs").iterdir())[1]
    path.write_bytes(whole + torn.read_bytes()[16:-30])
    torn.unlink()
    lose_index(tmp_path)
    with capturedLogs() as events, packs_in(tmp_path) as packs:
        assert present(packs) == IDS[:5]
        put(packs, IDS[5:10])
        assert present(packs) == IDS[:10]
    assert [event["path"] for event in events if "path" in event and "start" in event] == [str(path)]
    assert path.stat().st_size > len(whole)  # nothing is cut off


def test_damage_in_the_middle_is_told_and_costs_one_part(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:5])
    [path] = (tmp_path / "packs").iterdir()
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    lose_index(tmp_path)
    with packs_in(tmp_path) as packs:
        assert present(packs) == IDS[:2] + IDS[3:5]


def test_a_pack_that_is_gone_or_short_is_damage_and_not_silence(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:3])
    [path] = (tmp_path / "packs").iterdir()
    path.write_bytes(path.read_bytes()[:-500])
    with packs_in(tmp_path) as packs:
        assert isinstance(packs.read(IDS[2:3])[0], PartDamaged)
        assert packs.read(IDS[:2]) == [data_of(part_id) for part_id in IDS[:2]]
    path.unlink()
    with capturedLogs() as events, packs_in(tmp_path) as packs:
        assert isinstance(packs.read(IDS[:1])[0], PartDamaged)
    assert any(event.get("path") == str(path) for event in events)


class _FailingSync(PassingFilesystem):
    fails = False

    def open(self, path: str, mode: str) -> IFile:
        return _FailingFile(super().open(path, mode), self)


class _FailingFile(PassingFile):
    def __init__(self, file: IFile, filesystem: _FailingSync) -> None:
        super().__init__(file)
        self._filesystem = filesystem

    def sync(self) -> None:
        if self._filesystem.fails:
            raise OSError(errno.EIO, "Input/output error")
        super().sync()


def test_after_a_sync_that_failed_nothing_of_it_is_kept_and_another_pack_is_begun(tmp_path: Path) -> None:
    filesystem = _FailingSync()
    with packs_in(tmp_path, filesystem) as packs:
        put(packs, IDS[:3])
        filesystem.fails = True
        with pytest.raises(OSError, match="Input/output error"):
            put(packs, IDS[3:6])
        with pytest.raises(PartMissing):
            packs.find(IDS[3])
        filesystem.fails = False
        put(packs, IDS[3:9])
        assert present(packs) == IDS[:9]
    assert len(pack_sizes(tmp_path)) == 2
    lose_index(tmp_path)
    with packs_in(tmp_path) as packs:
        assert present(packs) == IDS[:9]


@pytest.mark.parametrize(
    "calls", [{"write"}, {"sync"}, {"sync_folder"}, {"write", "remove"}, {"sync_folder", "remove"}]
)
def test_a_pack_that_could_not_be_begun_is_in_no_other_s_way(tmp_path: Path, calls: set[str]) -> None:
    filesystem = FailingFilesystem()
    with packs_in(tmp_path, filesystem) as packs:
        filesystem.fails |= calls
        for _ in range(3):
            with pytest.raises(OSError, match="Input/output error"):
                put(packs, IDS[:3])
        filesystem.fails.clear()
        put(packs, IDS[:3])
        assert present(packs) == IDS[:3]
    lose_index(tmp_path)
    with packs_in(tmp_path) as packs:
        assert present(packs) == IDS[:3]
        put(packs, IDS[3:6])
        assert present(packs) == IDS[:6]


def test_a_part_that_cannot_be_opened_for_want_of_descriptors_is_not_damaged(tmp_path: Path) -> None:
    with packs_in(tmp_path) as packs:
        put(packs, IDS[:3])
        with no_descriptors():
            outcomes = packs.read([IDS[0], IDS[2], IDS[3]])
        assert [type(outcome) for outcome in outcomes] == [NodeUnavailable] * 3
        assert "no free file descriptors (limit 0)" in str(outcomes[0])
        assert present(packs) == IDS[:3]


def test_the_known_places_of_parts_are_those_of_today(tmp_path: Path) -> None:
    filesystem = CachingFilesystem()
    with packs_in(tmp_path) as packs:
        for start in range(0, 200, 20):
            put(packs, IDS[start : start + 20])
    with packs_in(tmp_path, filesystem) as packs:
        present(packs)
        assert packs.read_cached(IDS[3]) == data_of(IDS[3])
        remove(packs, [part_id for number, part_id in enumerate(IDS[:200]) if number % 4])
        assert packs.read_cached(IDS[3]) is None
        present(packs)
        compact(packs)
        kept = IDS[:200:4]
        packs.read(kept)
        assert [packs.read_cached(part_id) for part_id in kept] == [data_of(part_id) for part_id in kept]
        assert {packs.read_cached(part_id) for part_id in set(IDS) - set(kept)} == {None}
