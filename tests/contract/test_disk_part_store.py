"""The promises of a part store on a disk beyond the contract."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from storaged.disk.reader import DiskPartReader
from storaged.disk.writer import EARLY_SYNC, WRITE_SIZE
from storaged.parts.errors import BadRequest, NodeUnavailable, NoSpace, PartDamaged, PartExists, PartMissing
from storaged.system.filesystem import OSFilesystem
from storaged.system.ranges import Span
from tests.cluster.waiting import eventually
from tests.contract.disks import RESERVE, files_in, started_disk
from tests.contract.filesystems import (
    CachingFilesystem,
    FailingFilesystem,
    HeldFilesystem,
    PassingFilesystem,
    SmallFilesystem,
)
from tests.contract.parts import OTHER, PART, Producer, encode, get, payload, put, put_small, read_on, remove_small

MIB = 1024 * 1024


async def is_waiting(filesystem: HeldFilesystem, pool: ThreadPool) -> None:
    from twisted.internet import reactor

    await deferToThreadPool(reactor, pool, filesystem.waiting.wait)


@pytest_twisted.ensureDeferred
async def test_a_part_lies_under_the_first_two_digits_of_its_id(tmp_path: Path, pool: ThreadPool) -> None:
    data = encode(PART, b"abc")
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        await put(store, PART, [data])
        assert files_in(tmp_path) == [f"parts/3f/{PART}"]
        assert (tmp_path / "parts/3f" / PART).read_bytes() == data


@pytest_twisted.ensureDeferred
async def test_a_start_drops_half_written_parts_and_keeps_whole_ones(tmp_path: Path, pool: ThreadPool) -> None:
    data = encode(PART, b"abc")
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        await put(store, PART, [data])
    (tmp_path / "tmp" / OTHER).write_bytes(data[:50])
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        assert files_in(tmp_path) == [f"parts/3f/{PART}"]
        assert await get(store, PART) == data


@pytest_twisted.ensureDeferred
async def test_files_that_are_not_parts_are_not_listed(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        info = await put(store, PART, [encode(PART, b"")])
        (tmp_path / "parts/40").mkdir()
        for name in ("3f/lost", f"3f/{PART}.old", f"40/{OTHER}"):
            (tmp_path / "parts" / name).write_bytes(b"?")
        (tmp_path / "parts/3f" / OTHER).mkdir()
        assert await store.list_parts("", 10) == [info]


@pytest_twisted.ensureDeferred
async def test_a_part_is_refused_before_any_byte_of_it_came(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_disk(tmp_path, SmallFilesystem(2 * RESERVE), pool, Clock()) as store:
        with pytest.raises(NoSpace):
            await store.create(PART, RESERVE + 1)
        writer = await store.create(PART, None)
        with pytest.raises(PartExists):
            await store.create(PART, None)
        writer.write(encode(PART, b""))
        await writer.finish()
        with pytest.raises(PartExists):
            await store.create(PART, None)


@pytest_twisted.ensureDeferred
async def test_a_part_is_synced_before_it_gets_its_name_and_its_name_before_it_is_answered(
    tmp_path: Path, pool: ThreadPool
) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        await put(store, PART, [encode(PART, b"abc")])
        filesystem.calls.clear()
        await put(store, OTHER, [encode(OTHER, b"abc")])
        calls = [call for call in filesystem.calls if not call.startswith("open")]
        assert calls == ["write", "sync", "close", "rename", "sync_folder"]


@pytest_twisted.ensureDeferred
async def test_a_subfolder_is_made_durable_before_its_first_part_gets_its_name(
    tmp_path: Path, pool: ThreadPool
) -> None:
    (tmp_path / "parts/3f").mkdir(parents=True)  # by a process that was killed before it synced what it had made
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        filesystem.calls.clear()
        await put(store, PART, [encode(PART, b"abc")])
        calls = [call for call in filesystem.calls if not call.startswith("open")]
        assert calls == ["write", "sync", "close", "sync_folder", "rename", "sync_folder"]


@pytest_twisted.ensureDeferred
async def test_parts_whose_subfolder_was_never_made_are_missing_like_any_other(
    tmp_path: Path, pool: ThreadPool
) -> None:
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        assert await store.list_parts("", 10) == []
        assert not await store.remove(PART)
        with pytest.raises(PartMissing):
            await store.stat(PART)
        with pytest.raises(PartMissing):
            await store.open(PART, None)
        assert list((tmp_path / "parts").iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_a_removal_is_synced_also_where_the_part_was_gone_already(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        await put(store, PART, [encode(PART, b"abc")])
        for _ in range(2):
            filesystem.calls.clear()
            await store.remove(PART)
            assert filesystem.calls == ["remove", "sync_folder"]


@pytest_twisted.ensureDeferred
async def test_a_long_part_is_written_out_early(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        for part_id, size, expected in ((PART, EARLY_SYNC - MIB, 0), (OTHER, EARLY_SYNC + MIB, 1)):
            writer = await store.create(part_id, None)
            data = encode(part_id, bytes(size), unit=MIB)
            written = filesystem.calls.count("write")
            for start in range(0, len(data), WRITE_SIZE):
                writer.write(data[start : start + WRITE_SIZE])
                if len(data) - start >= WRITE_SIZE:
                    written += 1
                    await eventually(lambda expected=written: filesystem.calls.count("write") == expected)
            await writer.finish()
            assert filesystem.calls.count("start_sync") == expected


@pytest_twisted.ensureDeferred
async def test_a_read_that_waits_is_given_up_at_once_and_the_file_closed_after_it(
    tmp_path: Path, pool: ThreadPool
) -> None:
    filesystem = HeldFilesystem("read_at")
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        await put(store, PART, [encode(PART, b"abc")])
        filesystem.closed = 0
        reader = await store.open(PART, None)
        reading = reader.read()
        await is_waiting(filesystem, pool)
        reader.close()
        with pytest.raises(CancelledError):
            await reading
        assert filesystem.closed == 0
        filesystem.let_go.set()
    assert filesystem.closed == 1


@pytest.mark.parametrize("span", [None, Span(10, 20)])
@pytest_twisted.ensureDeferred
async def test_a_file_is_closed_however_its_reading_ends(tmp_path: Path, pool: ThreadPool, span: Span | None) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        await put(store, PART, [encode(PART, b"abc")])
        filesystem.calls.clear()
        reader = await store.open(PART, span)
        assert isinstance(reader, DiskPartReader)
        await read_on(reader)  # to its end
        await reader.when_ended()
        (await store.open(PART, span)).close()
        await store.open(PART, span)  # until the store stops
        opening = store.open(PART, span)
        opening.cancel()
        with pytest.raises(CancelledError):
            await opening
        filesystem.fails.add("read_at")
        with pytest.raises(NodeUnavailable, match=f"part {PART}: Input/output error"):
            await (await store.open(PART, span)).read()
    assert (filesystem.calls.count("open-read"), filesystem.calls.count("close")) == (5, 5)


@pytest_twisted.ensureDeferred
async def test_a_span_never_ends_short_in_silence(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        await put(store, PART, [encode(PART, payload(600_000))])
        reader = await store.open(PART, None)
        await reader.read()
        os.truncate(tmp_path / "parts/3f" / PART, 300_000)
        with pytest.raises(PartDamaged, match=f"part {PART}: got 37856 bytes at 262144, expected 262144"):
            await reader.read()


@pytest.mark.parametrize("held", ["write", "rename"])
@pytest_twisted.ensureDeferred
async def test_a_part_can_be_given_up_while_it_is_being_finished(tmp_path: Path, pool: ThreadPool, held: str) -> None:
    filesystem = HeldFilesystem(held)
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        writer = await store.create(PART, None)
        writer.write(encode(PART, b"abc"))
        finished = writer.finish()
        await is_waiting(filesystem, pool)
        aborted = writer.abort()
        filesystem.let_go.set()
        await aborted
        with pytest.raises(CancelledError):
            await finished
        assert files_in(tmp_path) == []


@pytest_twisted.ensureDeferred
async def test_a_producer_does_not_wait_for_a_part_that_broke(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = HeldFilesystem("write")
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        producer = Producer()
        writer = await store.create(PART, None)
        writer.registerProducer(producer, True)
        writer.write(encode(PART, bytes(2 * MIB), unit=MIB))
        assert producer.paused
        removing = store.remove(PART)
        assert not producer.paused
        filesystem.let_go.set()
        assert await removing is False


@pytest_twisted.ensureDeferred
async def test_a_producer_is_paused_above_two_mebibytes_only(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = HeldFilesystem("write")
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        producer = Producer()
        writer = await store.create(PART, None)
        writer.registerProducer(producer, True)
        data = encode(PART, bytes(3 * MIB), unit=MIB)
        writer.write(data[: 2 * MIB])
        assert not producer.paused
        writer.write(data[2 * MIB : 2 * MIB + 1])
        assert producer.paused
        filesystem.let_go.set()
        await producer.resumed
        await writer.abort()


@pytest_twisted.ensureDeferred
async def test_a_store_that_stops_breaks_the_parts_under_way_and_takes_no_more(
    tmp_path: Path, pool: ThreadPool
) -> None:
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        writer = await store.create(PART, None)
        writer.write(encode(PART, b"abc"))
        await store.stop()
        assert isinstance(await writer.when_broken(), NodeUnavailable)
        assert files_in(tmp_path) == []
        with pytest.raises(NodeUnavailable):
            await store.create(PART, None)
        with pytest.raises(NodeUnavailable):
            await store.open(PART, None)


class CountingFilesystem(PassingFilesystem):
    """Counts the syncs of folders, and refuses to remove some files."""

    def __init__(self) -> None:
        super().__init__()
        self.synced: list[str] = []
        self.stuck: set[str] = set()

    def sync_folder(self, path: str) -> None:
        self.synced.append(path)
        super().sync_folder(path)

    def remove(self, path: str) -> None:
        if Path(path).name in self.stuck:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().remove(path)


@pytest_twisted.ensureDeferred
async def test_a_batch_of_removals_syncs_each_folder_once_and_one_that_fails_harms_no_other(
    tmp_path: Path, pool: ThreadPool
) -> None:
    ids = [f"{number % 2:02x}{number:030x}.0" for number in range(20)]
    filesystem = CountingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        for part_id in ids:
            await put(store, part_id, [encode(part_id, b"abc")])
        await store.put_all([(PART, encode(PART, b"abc"))])
        filesystem.synced.clear()
        filesystem.stuck = {ids[3]}
        outcomes = await store.remove_all([*ids, PART, OTHER, "x"])
        assert [True if outcome is True else type(outcome) for outcome in outcomes] == [
            *[True] * 3, NodeUnavailable, *[True] * 16, True, bool, BadRequest
        ]  # fmt: skip
        folders = [Path(path).name for path in filesystem.synced]
        assert sorted(name for name in folders if len(name) == 2) == ["00", "01", OTHER[:2]]
        assert [part.part_id for part in await store.list_parts("", 100)] == [ids[3]]
        filesystem.stuck = set()
        assert await store.remove_all(ids) == [number == 3 for number in range(20)]


@pytest_twisted.ensureDeferred
async def test_small_parts_whose_bytes_are_in_memory_are_read_without_a_thread(
    tmp_path: Path, pool: ThreadPool
) -> None:
    filesystem = CachingFilesystem()
    ids = [f"{number:032x}.0" for number in range(3)]
    parts = [(part_id, encode(part_id, payload(1000))) for part_id in ids]
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        await store.put_all(parts)
        first = store.get_all(ids)  # its pack is not open for reading yet
        assert not first.called
        assert await first == [data for _, data in parts]
        again = store.get_all(ids)
        assert again.called
        assert await again == [data for _, data in parts]
        assert filesystem.cached == 3
        # A part that is removed is gone, although its bytes are still there.
        assert await remove_small(store, ids[1]) is True
        outcomes = await store.get_all(ids)
        assert [type(outcome) for outcome in outcomes] == [bytes, PartMissing, bytes]


@pytest_twisted.ensureDeferred
async def test_many_bytes_that_are_in_memory_are_read_by_a_thread(tmp_path: Path, pool: ThreadPool) -> None:
    ids = [f"{number:032x}.0" for number in range(3)]
    parts = [(part_id, encode(part_id, bytes(200_000))) for part_id in ids]
    async with started_disk(tmp_path, CachingFilesystem(), pool, Clock()) as store:
        await store.put_all(parts)
        await store.get_all(ids)
        assert store.get_all(ids[:2]).called
        whole = store.get_all(ids)
        assert not whole.called
        assert await whole == [data for _, data in parts]


@pytest_twisted.ensureDeferred
async def test_the_places_of_parts_are_known_after_they_were_read_once(tmp_path: Path, pool: ThreadPool) -> None:
    data = encode(PART, payload(1000))
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock()) as store:
        await put_small(store, PART, data)
    async with started_disk(tmp_path, CachingFilesystem(), pool, Clock()) as store:
        first = store.get_all([PART])
        assert not first.called
        assert await first == [data]
        again = store.get_all([PART])
        assert again.called
        assert await again == [data]
