"""The room that a disk part store reports and gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.parts.errors import NoSpace
from storaged.system.clocks import WallClock
from storaged.system.filesystem import OSFilesystem
from tests.cluster.waiting import eventually
from tests.contract.disks import RESERVE, started_disk
from tests.contract.filesystems import (
    FailingFilesystem,
    SmallFilesystem,
)
from tests.contract.parts import OTHER, PART, cut, encode, payload, put

KEEP_S = 86_400


@pytest_twisted.ensureDeferred
async def test_the_volume_is_looked_at_once_a_second(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = FailingFilesystem()
    clock = Clock()
    async with started_disk(tmp_path, filesystem, pool, clock) as store:
        filesystem.calls.clear()
        for looks in (0, 1, 2):
            for _ in range(3):
                await store.info()
                await (await store.create(PART, 1000)).abort()
            assert filesystem.calls.count("volume") == looks
            clock.advance(1)


@pytest.mark.parametrize("step_s", [7 * 86_400, -7 * 86_400], ids=["ahead", "back"])
@pytest_twisted.ensureDeferred
async def test_the_trash_is_not_emptied_early_where_the_clock_is_set(
    tmp_path: Path, pool: ThreadPool, step_s: int
) -> None:
    clock, step = Clock(), Clock()
    step.advance(1_700_000_000)
    wall = WallClock(lambda: clock.seconds() + step.seconds(), clock.seconds)
    async with started_disk(tmp_path, OSFilesystem(), pool, clock, wall=wall) as store:
        await put(store, PART, [encode(PART, payload(1000))])
        assert await store.trash(PART)
        step.advance(step_s)
        clock.advance(KEEP_S - 1)
        await store.empty_trash(KEEP_S)
        assert list((tmp_path / "trash").iterdir())
        clock.advance(2 + max(0, -step_s))
        await store.empty_trash(KEEP_S)
        assert not list((tmp_path / "trash").iterdir())


@pytest_twisted.ensureDeferred
async def test_what_was_written_since_the_last_look_is_not_free(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_disk(tmp_path, SmallFilesystem(2 * RESERVE), pool, Clock()) as store:
        free = (await store.info()).free
        for part_id, announced in ((PART, True), (OTHER, False)):
            data = encode(part_id, payload(1000))
            await put(store, part_id, [data], len(data) if announced else None)
            free -= len(data)
            assert (await store.info()).free == free


@pytest.mark.parametrize("cut_at", [64 * 1024, 8 * RESERVE], ids=["in pieces", "at once"])
@pytest_twisted.ensureDeferred
async def test_a_part_of_unknown_size_takes_nothing_of_the_reserve_or_of_what_is_promised(
    tmp_path: Path, pool: ThreadPool, cut_at: int
) -> None:
    filesystem = SmallFilesystem(4 * RESERVE)
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        promised = await store.create(OTHER, RESERVE)
        free = (await store.info()).free
        writer = await store.create(PART, None)
        for piece in cut(encode(PART, payload(3 * RESERVE), unit=256 * 1024), cut_at):
            writer.write(piece)
        with pytest.raises(NoSpace):
            await writer.finish()
        assert filesystem.least_available >= 2 * RESERVE, "the reserve, and what is promised"
        assert (await store.info()).free == free
        await promised.abort()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("removed_first", [False, True])
async def test_the_space_of_small_parts_comes_back_without_a_restart(
    tmp_path: Path, pool: ThreadPool, removed_first: bool
) -> None:
    parts = {f"{number:032x}.0": encode(f"{number:032x}.0", payload(1000)) for number in range(300)}
    ids = list(parts)
    gone = ids[:150]

    def packed() -> int:
        return sum(path.stat().st_size for path in tmp_path.glob("packs/*.pack"))

    # They are removed while their pack is still written to, or after that.
    async with started_disk(tmp_path, OSFilesystem(), pool, Clock(), 250_000 if removed_first else 20_000) as store:
        await store.put_all([(part_id, parts[part_id]) for part_id in (gone if removed_first else ids)])
        await store.remove_all(gone)
        if removed_first:
            await store.put_all([(part_id, parts[part_id]) for part_id in ids[150:]])
        left = ids[150:]
        await eventually(lambda: packed() < 1.4 * sum(len(parts[part_id]) for part_id in left))
        assert await store.get_all(left) == [parts[part_id] for part_id in left]
