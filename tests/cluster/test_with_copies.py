"""The main ways of the service with copies of the journal, as it is by default: files and names come, change and go
while the front and nodes stop, and what was acknowledged is on the holders.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.test_journal_copies import cluster_of, copied, copies, in_sync, lines_of

SIZES = {"/none": 0, "/small": 3000, "/large": 200_000}


@asynccontextmanager
async def parity_cluster(folder: Path, small_part: int = 65_536) -> AsyncIterator[Cluster]:
    """A cluster of eight nodes with layout 6+2."""
    settings = {"layout": "6+2", "min_parts": 6, "cache": Size(0), "small_part": Size(small_part)}
    async with cluster_of(folder, 8, **settings) as cluster:
        yield cluster


async def stored(cluster: Cluster, prefix: str = "") -> dict[str, bytes]:
    """Store files, and return their bytes by their paths."""
    files = {f"{path}{prefix}": os.urandom(size) for path, size in SIZES.items()}
    for path, data in files.items():
        assert (await cluster.put(path, data)).code == 201
    return files


async def reads(cluster: Cluster, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        answer = await cluster.get(path)
        assert (answer.code, answer.body == data) == (200, True), path


async def same_journals(cluster: Cluster) -> None:
    """Wait until three holders have everything, and their copies are the front's journal."""

    def are_same(status: Any) -> bool:
        counting = {holder["node"] for holder in copies(status)["holders"] if holder["counts"]}
        numbers = [number for number, node in enumerate(cluster.nodes) if node.node_id in counting]
        return in_sync(3)(status) and all(copied(cluster, number) == lines_of(cluster) for number in numbers)

    await cluster.status_becomes(are_same)


@pytest.mark.parametrize("small_part", [0, 65_536], ids=["large parts", "small parts"])
@pytest_twisted.ensureDeferred
async def test_files_are_stored_read_moved_and_deleted(tmp_path: Path, small_part: int) -> None:
    async with parity_cluster(tmp_path, small_part) as cluster:
        files = await stored(cluster)
        await reads(cluster, files)
        for path in list(files):
            moved = await cluster.ask("MOVE", path, Destination=cluster.url(f"{path}-moved"))
            assert moved.code == 201
            files[f"{path}-moved"] = files.pop(path)
        copied_file = await cluster.ask("COPY", "/large-moved", Destination=cluster.url("/copy"))
        assert copied_file.code == 201
        files["/copy"] = files["/large-moved"]
        assert (await cluster.ask("DELETE", "/small-moved")).code == 204
        del files["/small-moved"]
        await reads(cluster, files)
        assert (await cluster.get("/small-moved")).code == 404
        await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
        await same_journals(cluster)


@pytest_twisted.ensureDeferred
async def test_everything_is_there_after_stops_restarts_and_crashes(tmp_path: Path) -> None:
    async with parity_cluster(tmp_path) as cluster:
        files = await stored(cluster)
        await cluster.restart_front()
        await reads(cluster, files)
        files |= await stored(cluster, "-2")
        await cluster.crash_front()
        await cluster.start_front()
        await reads(cluster, files)
        files |= await stored(cluster, "-3")
        await reads(cluster, files)
        assert copies(await cluster.status())["epoch"] == 3
        await same_journals(cluster)


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_added_takes_part_in_the_lease(tmp_path: Path) -> None:
    async with parity_cluster(tmp_path) as cluster:
        files = await stored(cluster)
        for _ in range(3):
            await cluster.new_node()
        cluster.write_registry()
        assert (await cluster.reload()).code == 200
        await cluster.status_becomes(lambda status: sum(node["state"] == "up" for node in status["nodes"]) == 11)
        files |= await stored(cluster, "-2")
        await reads(cluster, files)
        await same_journals(cluster)


@pytest.mark.parametrize("gone", [(0,), (6, 7), (1, 5)], ids=["a holder", "two others", "a holder and another"])
@pytest_twisted.ensureDeferred
async def test_nothing_stops_while_nodes_are_gone(tmp_path: Path, gone: tuple[int, ...]) -> None:
    async with parity_cluster(tmp_path) as cluster:
        files = await stored(cluster)
        for number in gone:
            await cluster.break_node(number)
        await reads(cluster, files)
        files |= await stored(cluster, "-2")
        await cluster.restart_front()
        await reads(cluster, files)
        assert (await cluster.ask("DELETE", "/large")).code == 204
        del files["/large"]
        for number in gone:
            await cluster.nodes[number].start()
        await cluster.look_at_nodes()
        await cluster.status_becomes(lambda status: not status["heal"]["versions"])
        await reads(cluster, files)
        await same_journals(cluster)
