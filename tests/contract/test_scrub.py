"""The scrub reads all parts at its rate, and goes on where it was after a restart or a pause."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.system.filesystem import OSFilesystem
from tests.cluster.waiting import eventually
from tests.contract.disks import started_disk
from tests.contract.parts import encode, get, payload
from tests.contract.scrubbing import (
    LARGE,
    LARGE_IDS,
    PERIOD_S,
    CountingFilesystem,
    file_of,
    fill,
    flip,
    pack_in,
    pass_time,
    rotten,
    scrubbed,
    whole_pass,
)


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
