"""The promises of the scrub: it finds every kind of rot, at its rate, and goes on where it was after a restart."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.packs.format import ENTRY_SIZE
from storaged.parts.format import FOOTER_SIZE, HEADER_SIZE, SMALL_PART
from storaged.store import DiskPartStore
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile, IFilesystem
from tests.cluster.waiting import becomes, eventually
from tests.contract.disks import started_disk
from tests.contract.filesystems import PassingFile, PassingFilesystem
from tests.contract.parts import encode, get, get_small, payload, put, put_small, remove_small

PERIOD_S = 1000.0
LARGE = SMALL_PART + 1
LARGE_IDS = [f"{number:02x}" + "0" * 30 + ".0" for number in (0, 1, 7, 255)]
SMALL_IDS = [f"{number:02x}" + "1" * 30 + ".3" for number in range(0, 256, 32)]


class CountingFilesystem(PassingFilesystem):
    """Counts the bytes that are read of parts, and fails to read chosen ones.

    :ivar fails: the error number with which bytes of a file whose path has this text cannot be read, by that text.
    :ivar read: how often each file was read from its beginning.
    :ivar kept: bytes that were read and may stay in the page cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fails: dict[str, int] = {}
        self.read: dict[str, int] = {}
        self.kept = 0

    def open(self, path: str, mode: str) -> IFile:
        return _CountingFile(super().open(path, mode), path, self)


class _CountingFile(PassingFile):
    def __init__(self, file: IFile, path: str, filesystem: CountingFilesystem) -> None:
        super().__init__(file)
        self._path = path
        self._filesystem = filesystem

    def read_at(self, offset: int, count: int) -> bytes:
        for text, number in self._filesystem.fails.items():
            if text in self._path:
                raise OSError(number, os.strerror(number))
        data = super().read_at(offset, count)
        name = Path(self._path).name
        self._filesystem.read[name] = self._filesystem.read.get(name, 0) + (offset == 0)
        self._filesystem.kept += len(data)
        return data

    def uncache(self, offset: int, count: int) -> None:
        super().uncache(offset, count)
        self._filesystem.kept -= count


@asynccontextmanager
async def scrubbed(
    folder: Path, pool: ThreadPool, clock: Clock, filesystem: IFilesystem | None = None, period_s: float = PERIOD_S
) -> AsyncIterator[DiskPartStore]:
    """Start a store and its scrub."""
    filesystem = filesystem or OSFilesystem()
    async with started_disk(folder, filesystem, pool, clock, scrub_s=period_s) as store:
        store.scrubber.start()
        yield store
        await store.scrubber.stop()


async def pass_time(clock: Clock, reached: Callable[[], object], step_s: float = 1.0) -> None:
    """Let time pass, whenever the scrub waits for it, until a condition holds."""

    async def is_reached() -> object:
        if clock.getDelayedCalls():
            clock.advance(step_s)
        return reached()

    await becomes(is_reached, str(reached), pause_s=0)


async def whole_pass(store: DiskPartStore, clock: Clock) -> None:
    """Let the scrub read all parts once from now on."""

    def ended() -> int:
        return store.scrubber.report().ended_ms

    for _ in range(2):  # the pass that has begun may have passed some parts already
        before = ended()
        await pass_time(clock, lambda: ended() != before, 5.0)  # noqa: B023 - used at once


async def fill(store: DiskPartStore) -> None:
    for part_id in LARGE_IDS:
        await put(store, part_id, [encode(part_id, payload(LARGE))])
    for part_id in SMALL_IDS:
        await put_small(store, part_id, encode(part_id, payload(2500)))


async def rotten(store: DiskPartStore) -> list[str]:
    return [part.part_id for part in await store.rotten("", 100)]


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def file_of(folder: Path, part_id: str) -> Path:
    return folder / "parts" / part_id[:2] / part_id


def lose_index(folder: Path) -> None:
    for path in folder.glob("packs.sqlite*"):
        path.unlink()


def pack_in(folder: Path) -> Path:
    [pack] = (folder / "packs").iterdir()
    return pack


@pytest_twisted.ensureDeferred
async def test_good_parts_are_all_read_and_none_is_rotten(tmp_path: Path, pool: ThreadPool) -> None:
    clock, filesystem = Clock(), CountingFilesystem()
    async with scrubbed(tmp_path, pool, clock, filesystem) as store:
        await fill(store)
        filesystem.read.clear()
        filesystem.kept = 0
        await whole_pass(store, clock)
        assert all(filesystem.read[part_id] for part_id in LARGE_IDS)
        assert filesystem.read[pack_in(tmp_path).name]
        assert filesystem.kept <= 0, "bytes that were scrubbed stay in the page cache"
        report = (await store.info()).scrub
        assert report.rotten == 0
        assert report.scrubbed_bytes >= len(LARGE_IDS) * LARGE


STORED = len(encode(LARGE_IDS[0], payload(LARGE)))


@pytest.mark.parametrize(
    "offset",
    [0, 20, HEADER_SIZE, HEADER_SIZE + 1000, STORED // 2, STORED - FOOTER_SIZE - 1, STORED - FOOTER_SIZE, STORED - 1],
)
@pytest_twisted.ensureDeferred
async def test_a_flipped_bit_in_any_place_of_a_part_is_found(tmp_path: Path, pool: ThreadPool, offset: int) -> None:
    clock, part_id = Clock(), LARGE_IDS[1]
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        flip(file_of(tmp_path, part_id), offset)
        await whole_pass(store, clock)
        [found] = await store.rotten("", 10)
        assert found.part_id == part_id
        assert part_id in found.reason
        assert file_of(tmp_path, part_id).exists(), "the node has deleted it"
        assert (await store.info()).scrub.rotten == 1


@pytest.mark.parametrize("size", [0, 1, HEADER_SIZE, STORED - 1, STORED + 1])
@pytest_twisted.ensureDeferred
async def test_a_part_of_another_length_is_found(tmp_path: Path, pool: ThreadPool, size: int) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        os.truncate(file_of(tmp_path, LARGE_IDS[2]), size)
        await whole_pass(store, clock)
        assert await rotten(store) == [LARGE_IDS[2]]


@pytest.mark.parametrize("offset", [0, 30, HEADER_SIZE, HEADER_SIZE + 1200, -FOOTER_SIZE, -1])
@pytest_twisted.ensureDeferred
async def test_a_flipped_bit_in_a_packed_part_is_found(tmp_path: Path, pool: ThreadPool, offset: int) -> None:
    clock, part_id = Clock(), SMALL_IDS[3]
    data = encode(part_id, payload(2500))
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        pack = pack_in(tmp_path)
        flip(pack, pack.read_bytes().index(data) + offset % len(data))
        await whole_pass(store, clock)
        [found] = await store.rotten("", 10)
        assert found.part_id == part_id
        for other in SMALL_IDS[:3] + SMALL_IDS[4:]:
            assert await get_small(store, other) == encode(other, payload(2500))


@pytest_twisted.ensureDeferred
async def test_a_part_whose_entry_in_the_pack_is_damaged_is_written_again(tmp_path: Path, pool: ThreadPool) -> None:
    clock, part_id = Clock(), SMALL_IDS[3]
    data = encode(part_id, payload(2500))
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        pack = pack_in(tmp_path)
        flip(pack, pack.read_bytes().index(data) - ENTRY_SIZE + 5)
        await whole_pass(store, clock)
        assert await rotten(store) == []
        assert await get_small(store, part_id) == data
    lose_index(tmp_path)
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        assert await get_small(store, part_id) == data, "without its index, the node has lost the part"


@pytest.mark.parametrize("keep", [0, 100, 9000], ids=["empty", "its beginning", "half"])
@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_pack_that_was_cut_are_found(tmp_path: Path, pool: ThreadPool, keep: int) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        whole = pack_in(tmp_path).read_bytes()
        os.truncate(pack_in(tmp_path), keep)
        await whole_pass(store, clock)
        lost = [each for each in SMALL_IDS if encode(each, payload(2500)) not in whole[:keep]]
        assert lost
        assert await rotten(store) == lost


@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_pack_that_is_gone_are_found(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
    pack_in(tmp_path).unlink()
    async with scrubbed(tmp_path, pool, clock) as store:
        await whole_pass(store, clock)
        assert await rotten(store) == SMALL_IDS


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADMSG, errno.EUCLEAN])
@pytest_twisted.ensureDeferred
async def test_parts_that_the_disk_cannot_read_are_found(tmp_path: Path, pool: ThreadPool, number: int) -> None:
    clock, filesystem = Clock(), CountingFilesystem()
    async with scrubbed(tmp_path, pool, clock, filesystem) as store:
        await fill(store)
        filesystem.fails = {LARGE_IDS[1]: number, ".pack": number}
        await whole_pass(store, clock)
        assert sorted(await rotten(store)) == sorted([LARGE_IDS[1], *SMALL_IDS])
        assert os.strerror(number) in (await store.rotten("", 1))[0].reason
        filesystem.fails = {}
        await whole_pass(store, clock)
        assert await rotten(store) == [], "they can be read again, and are good"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EACCES, errno.ESTALE])
@pytest_twisted.ensureDeferred
async def test_an_error_that_says_nothing_about_the_bytes_is_no_finding(
    tmp_path: Path, pool: ThreadPool, number: int
) -> None:
    clock, filesystem = Clock(), CountingFilesystem()
    async with scrubbed(tmp_path, pool, clock, filesystem) as store:
        await fill(store)
        filesystem.fails = {LARGE_IDS[1]: number, ".pack": number}
        flip(file_of(tmp_path, LARGE_IDS[2]), 100)
        await whole_pass(store, clock)
        assert await rotten(store) == [LARGE_IDS[2]], "the others are scrubbed all the same"


@pytest_twisted.ensureDeferred
async def test_a_part_that_was_deleted_or_mended_is_not_rotten_any_more(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        pack = pack_in(tmp_path)
        for part_id in LARGE_IDS:
            flip(file_of(tmp_path, part_id), 100)
        for part_id in SMALL_IDS:
            flip(pack, pack.read_bytes().index(encode(part_id, payload(2500))) + 100)
        await whole_pass(store, clock)
        assert sorted(await rotten(store)) == sorted(LARGE_IDS + SMALL_IDS)
        assert await remove_small(store, SMALL_IDS[0])
        assert await store.remove(LARGE_IDS[0])
        assert await store.trash(LARGE_IDS[1])
        await put(store, LARGE_IDS[0], [encode(LARGE_IDS[0], payload(LARGE))])
        file_of(tmp_path, LARGE_IDS[2]).write_bytes(encode(LARGE_IDS[2], payload(LARGE)))
        file_of(tmp_path, LARGE_IDS[3]).unlink()
        flip(pack, _offset_of(pack, SMALL_IDS[1]))
        await whole_pass(store, clock)
        assert await rotten(store) == SMALL_IDS[2:]


def _offset_of(pack: Path, part_id: str) -> int:
    """Return the offset of the flipped byte of a part in its pack."""
    good = encode(part_id, payload(2500))
    return pack.read_bytes().index(good[:100]) + 100


@pytest_twisted.ensureDeferred
async def test_a_pass_is_spread_evenly_over_its_period(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        await whole_pass(store, clock)
        began_s, began_bytes = clock.seconds(), store.scrubber.report().scrubbed_bytes
        shares: list[tuple[float, float]] = []
        before = store.scrubber.report().ended_ms

        def ended() -> bool:
            report = store.scrubber.report()
            if report.ended_ms == before:
                shares.append(((clock.seconds() - began_s) / PERIOD_S, report.share))
            return report.ended_ms != before

        await pass_time(clock, ended)
        assert PERIOD_S * 0.85 <= clock.seconds() - began_s <= PERIOD_S
        assert all(abs(time_share - share) < 0.15 for time_share, share in shares)
        assert store.scrubber.report().scrubbed_bytes - began_bytes >= len(LARGE_IDS) * LARGE


@pytest_twisted.ensureDeferred
async def test_after_a_restart_the_scrub_goes_on_where_it_was(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        flip(file_of(tmp_path, LARGE_IDS[0]), 100)
        await whole_pass(store, clock)
        await pass_time(clock, lambda: store.scrubber.report().share > 0.5)
        before = store.scrubber.report()
        found = await store.rotten("", 10)
    filesystem = CountingFilesystem()
    async with scrubbed(tmp_path, pool, clock, filesystem) as store:
        await eventually(lambda: store.scrubber.report().ended_ms)
        now = store.scrubber.report()
        assert (now.ended_ms, now.rotten) == (before.ended_ms, 1)
        assert now.share >= before.share - 0.01
        assert await store.rotten("", 10) == found
        await pass_time(clock, lambda: store.scrubber.report().ended_ms != before.ended_ms)
        assert LARGE_IDS[3] in filesystem.read
        assert LARGE_IDS[1] not in filesystem.read, "it began anew"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":2,"step":3}', '{"version":1,"step":256}', "\udcff", None])
@pytest_twisted.ensureDeferred
async def test_without_a_usable_file_the_scrub_begins_anew(tmp_path: Path, pool: ThreadPool, text: str | None) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        flip(file_of(tmp_path, LARGE_IDS[0]), 100)
        await whole_pass(store, clock)
    if text is None:
        (tmp_path / "scrub.json").unlink()
    else:
        (tmp_path / "scrub.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    async with scrubbed(tmp_path, pool, clock) as store:
        await whole_pass(store, clock)
        assert await rotten(store) == [LARGE_IDS[0]]


@pytest_twisted.ensureDeferred
async def test_a_part_that_was_deleted_after_the_last_save_is_forgotten_at_the_start(
    tmp_path: Path, pool: ThreadPool
) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        for part_id in LARGE_IDS[:2]:
            flip(file_of(tmp_path, part_id), 100)
        await whole_pass(store, clock)
    file_of(tmp_path, LARGE_IDS[0]).unlink()
    assert len(json.loads((tmp_path / "scrub.json").read_bytes())["rotten"]) == 2
    async with scrubbed(tmp_path, pool, clock) as store:
        await eventually(lambda: store.scrubber.report().rotten == 1)
        assert await rotten(store) == [LARGE_IDS[1]]


@pytest_twisted.ensureDeferred
async def test_the_scrub_goes_on_though_its_progress_cannot_be_saved(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    (tmp_path / "scrub.json.new").mkdir(parents=True)
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        flip(file_of(tmp_path, LARGE_IDS[2]), 100)
        await whole_pass(store, clock)
        assert await rotten(store) == [LARGE_IDS[2]]
    assert not (tmp_path / "scrub.json").exists()


@pytest_twisted.ensureDeferred
async def test_a_period_of_zero_reads_nothing(tmp_path: Path, pool: ThreadPool) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock, period_s=0) as store:
        await fill(store)
        assert clock.getDelayedCalls() == []
        assert (await store.info()).scrub.scrubbed_bytes == 0
        assert await get(store, LARGE_IDS[0]) == encode(LARGE_IDS[0], payload(LARGE))


@pytest_twisted.ensureDeferred
async def test_a_large_part_that_is_deleted_while_it_is_read_is_no_finding(tmp_path: Path, pool: ThreadPool) -> None:
    clock, part_id = Clock(), LARGE_IDS[0]
    async with scrubbed(tmp_path, pool, clock) as store:
        await put(store, part_id, [encode(part_id, payload(4 * SMALL_PART), unit=SMALL_PART)])
        before = store.scrubber.report().ended_ms
        await pass_time(clock, lambda: store.scrubber.report().ended_ms != before, 5.0)
        read = store.scrubber.report().scrubbed_bytes
        await pass_time(clock, lambda: store.scrubber.report().scrubbed_bytes > read, 0.1)
        assert await store.remove(part_id)
        await whole_pass(store, clock)
        assert await rotten(store) == []


@pytest_twisted.ensureDeferred
async def test_nothing_is_read_during_a_pause_and_the_rest_of_the_pass_has_its_usual_rate(
    tmp_path: Path, pool: ThreadPool
) -> None:
    clock = Clock()
    async with scrubbed(tmp_path, pool, clock) as store:
        await fill(store)
        await whole_pass(store, clock)
        began_s, before = clock.seconds(), store.scrubber.report()
        # It waits for its time, and reads nothing at this moment.
        await pass_time(clock, lambda: store.scrubber.report().share > 0.4 and clock.getDelayedCalls())
        paused = await store.pause_scrub(paused=True)
        for _ in range(100):
            clock.advance(PERIOD_S / 10)
        assert clock.getDelayedCalls() == [], "it waits for the end of the pause, and for no time"
        assert store.scrubber.report() == paused
        assert paused.paused
        assert paused.share < 0.5
        resumed = await store.pause_scrub(paused=False)
        assert (resumed.paused, resumed.share) == (False, paused.share)
        await pass_time(clock, lambda: store.scrubber.report().ended_ms != before.ended_ms)
        assert PERIOD_S * 0.85 <= clock.seconds() - began_s - 10 * PERIOD_S <= PERIOD_S


@pytest_twisted.ensureDeferred
async def test_a_scrub_that_is_paused_can_be_stopped_and_a_restart_ends_the_pause(
    tmp_path: Path, pool: ThreadPool
) -> None:
    clock = Clock()
    async with started_disk(tmp_path, OSFilesystem(), pool, clock, scrub_s=PERIOD_S) as store:
        await store.pause_scrub(paused=True)  # before it begins
        store.scrubber.start()
        await fill(store)
        clock.advance(PERIOD_S)
        assert store.scrubber.report().scrubbed_bytes == 0
        await store.scrubber.stop()
    async with scrubbed(tmp_path, pool, clock) as store:
        assert not store.scrubber.report().paused
        await whole_pass(store, clock)
        assert store.scrubber.report().scrubbed_bytes > 0
