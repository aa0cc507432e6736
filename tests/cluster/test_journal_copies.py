"""The journal lives on nodes too: what is acknowledged is on a quorum of holders, whoever comes and goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_twisted

from splitd.catalog.journal.names import segment_name
from storaged.journals.scan import blocks
from storaged.system.filesystem import OSFilesystem
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster


@asynccontextmanager
async def cluster_of(folder: Path, count: int = 6, **settings: Any) -> AsyncIterator[Cluster]:
    from twisted.internet import reactor

    made = Cluster(folder, reactor, count, **{"journal_copies": 3, **settings})
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def copied(cluster: Cluster, number: int) -> list[bytes]:
    """Return the lines of the copy on a node."""
    folder = cluster.nodes[number].folder / "journals"
    found = []
    for path in sorted(folder.glob("copy-*")):
        for _, _, lines in blocks(OSFilesystem(), str(path)):
            found += lines.splitlines(keepends=True)
    return found


def lines_of(cluster: Cluster) -> list[bytes]:
    segment = (cluster.folder / "front" / "journal" / segment_name(1)).read_bytes()
    return segment.rstrip(b"\0").splitlines(keepends=True)


def copies(status: Any) -> Any:
    return status["journal"]["copies"]


def in_sync(count: int) -> Callable[[Any], bool]:
    def holds(status: Any) -> bool:
        holders = copies(status)["holders"]
        return bool(
            copies(status)["present"] == count
            and sum(holder["state"] == "in sync" and not holder["behind"] for holder in holders) >= count
        )

    return holds


def holders(cluster: Cluster) -> list[int]:
    return [number for number in range(len(cluster.nodes)) if (copied(cluster, number))]


@pytest_twisted.ensureDeferred
async def test_each_record_is_on_three_nodes(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster:
        for number in range(5):
            assert (await cluster.put(f"/file{number}", b"x" * 100)).code == 201
        status = await cluster.status_becomes(in_sync(3))
        assert copies(status)["epoch"] == 1
        assert not [warning for warning in status["warnings"] if "copies" in warning]
        assert holders(cluster) == [0, 1, 2]
        for number in range(3):
            assert copied(cluster, number) == lines_of(cluster)


@pytest_twisted.ensureDeferred
async def test_the_front_goes_on_with_fewer_copies_and_says_so(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, 8) as cluster:
        for left in (2, 1, 0):
            await cluster.break_node(left)
            assert (await cluster.ask("MKCOL", f"/{left}")).code == 201
        status = await cluster.status_becomes(lambda status: copies(status)["present"] == 0)
        assert "journal copies: 0 of 3" in status["warnings"]
        assert "splitd_journal_copies_missing 3.0" in (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
        for number in range(3):
            await cluster.nodes[number].start()
        await cluster.status_becomes(in_sync(3))
        assert (await cluster.ask("MKCOL", "/after")).code == 201
        await cluster.status_becomes(in_sync(3))
        for number in range(3):
            assert copied(cluster, number) == lines_of(cluster)


@pytest_twisted.ensureDeferred
async def test_where_copies_are_required_nothing_changes_without_them(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, 8, journal_copies_required=True) as cluster:
        await cluster.break_node(0)
        assert (await cluster.ask("MKCOL", "/with-two")).code == 201
        await cluster.break_node(1)
        await cluster.status_becomes(lambda status: copies(status)["present"] == 1)
        refused = await cluster.ask("MKCOL", "/with-one")
        assert refused.code == 503
        assert "journal copies: 1 of 3, and journal_copies_required is set" in refused.text
        assert (await cluster.ask("GET", f"{cluster.admin_url}/ready?for=writes")).code == 503
        await cluster.nodes[1].start()
        await cluster.status_becomes(lambda status: copies(status)["present"] == 2)
        assert (await cluster.ask("MKCOL", "/with-one")).code == 201


@pytest_twisted.ensureDeferred
async def test_a_holder_whose_disk_hangs_holds_up_nobody_and_catches_up(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, 7, layout="2+0") as cluster:
        cluster.hang_node(1)
        for number in range(20):
            assert (await cluster.ask("MKCOL", f"/{number}")).code == 201
        cluster.nodes[1].filesystem.release()
        await cluster.status_becomes(in_sync(3))
        assert copied(cluster, 1) == lines_of(cluster)


@pytest_twisted.ensureDeferred
async def test_a_holder_whose_disk_is_full_holds_up_nobody_and_catches_up(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, 7, layout="2+0") as cluster:
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        await cluster.status_becomes(in_sync(3))
        cluster.fill_node(1)
        # What is allocated in advance is used up first.
        for number in range(12):
            note = f"<note>{number:030000}</note>"
            body = f'<propertyupdate xmlns="DAV:"><set><prop>{note}</prop></set></propertyupdate>'
            assert (await cluster.ask("PROPPATCH", "/a", body.encode())).code == 207
        await cluster.status_becomes(lambda status: copies(status)["present"] == 2)
        cluster.nodes[1].filesystem.room = None
        await cluster.status_becomes(in_sync(3))
        assert copied(cluster, 1) == lines_of(cluster)


@pytest_twisted.ensureDeferred
async def test_a_restart_takes_a_new_epoch_and_keeps_the_holders(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        await cluster.restart_front()
        assert (await cluster.ask("MKCOL", "/b")).code == 201
        status = await cluster.status_becomes(in_sync(3))
        assert copies(status)["epoch"] == 2
        for number in range(3):
            assert copied(cluster, number) == lines_of(cluster)


@pytest_twisted.ensureDeferred
async def test_a_small_cluster_has_fewer_copies(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, 2, layout="1+1") as cluster:
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        await cluster.status_becomes(in_sync(2))
        assert copied(cluster, 0) == copied(cluster, 1) == lines_of(cluster)


@pytest_twisted.ensureDeferred
async def test_snapshots_are_copied_and_old_records_dropped(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, journal_segment=Size(2000)) as cluster:
        for number in range(60):
            assert (await cluster.ask("MKCOL", f"/{number}")).code == 201
        status = await cluster.status_becomes(lambda status: status["journal"]["compactions"] >= 1)
        await cluster.status_becomes(in_sync(3))
        assert status["journal"]["segments"] < 10
        folder = cluster.folder / "front" / "journal"

        def same_snapshots(_: Any) -> bool:
            [snapshot] = folder.glob("snapshot-*.jsonl")
            return all(
                [path.read_bytes() for path in (cluster.nodes[number].folder / "journals").glob("snapshot-*.jsonl")]
                == [snapshot.read_bytes()]
                for number in range(3)
            )

        await cluster.status_becomes(same_snapshots)


@pytest_twisted.ensureDeferred
async def test_a_front_whose_disk_is_full_at_the_start_serves_the_files(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.put("/file", b"bytes")).code == 201
        await cluster.stop_front()
        cluster.journal_filesystem.room = 0
        await cluster.start_front()
        assert (await cluster.get("/file")).body == b"bytes"
        assert (await cluster.ask("MKCOL", "/a")).code == 503
        cluster.journal_filesystem.room = None
        await cluster.restart_front()
        assert (await cluster.ask("MKCOL", "/a")).code == 201
