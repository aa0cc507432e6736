"""What a disk part store leaves and says when a call of its disk fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.threadpool import ThreadPool

from storaged.parts.errors import BadPart, NodeUnavailable
from tests.cluster.harm import HarmedFilesystem
from tests.cluster.waiting import eventually
from tests.contract.disks import files_in, started_disk
from tests.contract.filesystems import (
    FailingFilesystem,
)
from tests.contract.parts import OTHER, PART, encode, payload, put, put_small


@pytest.mark.parametrize("call", ["open-read", "open-create", "write", "sync", "close", "rename", "sync_folder"])
@pytest_twisted.ensureDeferred
async def test_a_call_that_fails_is_named_and_leaves_nothing_behind(
    tmp_path: Path, pool: ThreadPool, call: str
) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        filesystem.fails.add(call)
        with pytest.raises(NodeUnavailable, match=rf"part {PART}: Input/output error"):
            await put(store, PART, [encode(PART, b"abc")])
        assert files_in(tmp_path) == []
        filesystem.fails.clear()
        await put(store, PART, [encode(PART, b"abc")])


@pytest_twisted.ensureDeferred
async def test_what_could_not_be_removed_is_in_no_later_part_s_way(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        filesystem.fails |= {"write", "remove"}
        with pytest.raises(NodeUnavailable, match="Input/output error"):
            await put(store, PART, [encode(PART, b"abc")])
        [outcome] = await store.put_all([(OTHER, encode(OTHER, b"abc"))])
        assert isinstance(outcome, NodeUnavailable)
        assert files_in(tmp_path) == [f"tmp/{PART}"]
        filesystem.fails.clear()
        await put(store, PART, [encode(PART, b"abc")])
        await put_small(store, OTHER, encode(OTHER, b"abc"))
        assert files_in(tmp_path) == [f"parts/3f/{PART}"]


@pytest_twisted.ensureDeferred
async def test_a_compaction_that_failed_is_made_another_time(tmp_path: Path, pool: ThreadPool) -> None:
    parts = {f"{number:032x}.0": encode(f"{number:032x}.0", payload(1000)) for number in range(60)}
    ids = list(parts)

    def packed() -> int:
        return sum(path.stat().st_size for path in tmp_path.glob("packs/*.pack"))

    filesystem = HarmedFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock(), 20_000) as store:
        await store.put_all([(part_id, parts[part_id]) for part_id in ids])
        filesystem.room = 5000  # for removals, and not for parts that are written anew
        with capturedLogs() as events:
            await store.remove_all(ids[:30])
            await eventually(lambda: any("not compacted" in event.get("log_format", "") for event in events))
        filesystem.room = None
        left = ids[45:]
        await store.remove_all(ids[30:45])
        await eventually(lambda: packed() < 1.4 * sum(len(parts[part_id]) for part_id in left))
        assert await store.get_all(left) == [parts[part_id] for part_id in left]


@pytest_twisted.ensureDeferred
async def test_a_part_whose_putting_aside_failed_can_be_put_aside_again(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        await put(store, PART, [encode(PART, b"abc")])
        filesystem.fails.add("sync_folder")
        with pytest.raises(NodeUnavailable, match="Input/output error"):
            await store.trash(PART)
        filesystem.fails.clear()
        filesystem.calls.clear()
        await store.trash(PART)
        assert filesystem.calls.count("sync_folder") == 2, "it is durable in the trash, and gone from where it was"
        assert len(list((tmp_path / "trash").iterdir())) == 1


@pytest_twisted.ensureDeferred
async def test_a_removal_that_fails_hides_no_error_and_is_told_to_the_operator(
    tmp_path: Path, pool: ThreadPool
) -> None:
    filesystem = FailingFilesystem()
    async with started_disk(tmp_path, filesystem, pool, Clock()) as store:
        filesystem.fails.add("remove")
        with capturedLogs() as events, pytest.raises(BadPart):
            await put(store, PART, [encode(PART, b"abc")[:-1]])
        assert [(event["log_level"], event["part"]) for event in events if "part" in event] == [
            (LogLevel.critical, PART)
        ]  # fmt: skip
