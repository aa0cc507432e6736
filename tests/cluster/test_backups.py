"""A backup of the journal while the front runs, and a front on what is restored from it: nothing newer is deleted."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest_twisted
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from splitd.catalog.backup import BackupReader
from splitd.cli.recover import Node as AskedNode
from splitd.nodes.entries import read_registry
from splitd.takeover.restoring import Restored, Restoring
from storaged.parts.proofs import ClusterKeys
from storaged.system.filesystem import OSFilesystem
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY, Node
from tests.cluster.raw import connect
from tests.cluster.test_journal_copies import cluster_of, copies, in_sync
from tests.cluster.test_takeover import Second, lose_front, second_front
from tests.cluster.waiting import becomes

DAY_MS = 86_400_000
NOW_MS = 4_000_000_000_000


async def back_up(cluster: Cluster) -> bytes:
    answer = await cluster.ask("GET", f"{cluster.admin_url}/journal/backup")
    assert answer.code == 200
    reader = BackupReader("backup")
    reader.feed(answer.body)
    reader.finish()
    return answer.body


async def restore(second: Second, pool: ThreadPool, backup: bytes, *, accept_loss: bool = True) -> Restored:
    from twisted.internet import reactor

    nodes = [AskedNode(entry, ClusterKeys([KEY])) for entry in read_registry("", second.cluster.registry.read_text())]
    restoring = Restoring(nodes, second.data, OSFilesystem(), lambda: os.urandom(8).hex(), NOW_MS)
    return await deferToThreadPool(
        reactor, pool, lambda: restoring.run("backup", [backup], accept_loss=accept_loss, hold_ms=DAY_MS)
    )


@pytest_twisted.ensureDeferred
async def test_a_front_on_a_restored_journal_serves_and_keeps_what_is_newer(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.put("/old", b"old" * 1000)).code == 201
        client = await cluster.connect()
        client.begin("PUT", "/late", "Content-Length: 6000")
        client.send(b"l" * 3000)
        await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
        backup = await back_up(cluster)
        client.send(b"l" * 3000)
        assert (await client.answer()).code == 201
        assert (await cluster.put("/new", b"new" * 1000)).code == 201
        stored = cluster.parts()
        await lose_front(cluster)
        async with second_front(cluster, pool) as second:
            restored = await restore(second, pool, backup)
            assert restored.state.files == 1
            await second.cluster.start_front()
            assert (await second.cluster.get("/old")).body == b"old" * 1000
            assert (await second.cluster.get("/late")).code == 404
            status = await second.cluster.status_becomes(in_sync(3))
            assert copies(status)["epoch"] == restored.epoch + 1
            assert any("the journal was restored at 2096-10-02" in warning for warning in status["warnings"])
            # Everything that may delete parts has its turn, and finds nothing.
            await second.cluster.disks_are_known()
            report = await second.cluster.ask("POST", f"{second.cluster.admin_url}/sweep")
            assert json.loads(report.body)["trashed"] == 0
            assert (await second.cluster.put("/more", b"m" * 1000)).code == 201
            assert (await second.cluster.ask("DELETE", "/old")).code == 204
            await becomes(lambda: no_doomed(second.cluster), "the reaper is done")
            old = [uploads for uploads in uploads_of(stored) if uploads not in uploads_of(cluster.parts())]
            assert len(old) == 1  # that of /old, which was deleted just now


FILES = {"/small": b"small" * 200, "/large": b"large" * 30_000, "/parity": b"parity" * 30_000}


async def moved_about(cluster: Cluster) -> bytes:
    """Store `FILES`, take a backup, and have parts of all of them moved and rebuilt; the old ones are deleted."""
    for _ in range(2):
        await cluster.new_node(2**30)
    cluster.write_registry()
    await cluster.reload()
    await cluster.status_becomes(lambda status: [node["state"] for node in status["nodes"]] == ["up"] * 8)
    assert (await cluster.ask("MKCOL", "/dir")).code == 201
    layout = f"{cluster.admin_url}/layout?path=/dir&layout=4%2B2"
    assert (await cluster.ask("PUT", layout)).code == 200
    for path, data in FILES.items():
        assert (await cluster.put(path if path != "/parity" else "/dir/parity", data)).code == 201
    backup = await back_up(cluster)
    # Each file is on all nodes but two, so at least two nodes have a part of each of the three.
    held = [(len(await node.store.list_parts("", 100)), node) for node in cluster.nodes]
    left = next(node for count, node in held if count == len(FILES))
    text = cluster.registry.read_text()
    cluster.registry.write_text(re.sub(f"(id: {left.node_id}\\b.*)", r"\1\n  state: draining", text))
    assert (await cluster.ask("POST", f"{cluster.admin_url}/reload")).code == 200
    await becomes(lambda: nothing_on(cluster, left), f"node {left.node_id} is empty")
    return backup


async def nothing_on(cluster: Cluster, node: Node) -> bool:
    return not await node.store.list_parts("", 1) and await no_doomed(cluster)


@pytest_twisted.ensureDeferred
async def test_files_read_right_though_their_parts_have_moved_since_the_backup(
    tmp_path: Path, pool: ThreadPool
) -> None:
    async with cluster_of(tmp_path, small_part=Size(1000), cache=Size(0)) as cluster:
        backup = await moved_about(cluster)
        await lose_front(cluster)
        async with second_front(cluster, pool) as second:
            restored = await restore(second, pool, backup)
            assert (restored.found.moved, restored.found.silent) == (3, ())
            await second.cluster.start_front()
            for path, data in FILES.items():
                assert (await second.cluster.get(path if path != "/parity" else "/dir/parity")).body == data
            # The power is cut before anything else is written, and the next front knows it, too.
            await second.cluster.crash_front()
            await second.cluster.start_front()
            await second.cluster.disks_are_known()
            for path, data in FILES.items():
                assert (await second.cluster.get(path if path != "/parity" else "/dir/parity")).body == data


def uploads_of(parts: dict[str, dict[str, Path]]) -> set[str]:
    return {part.partition(".")[0] for found in parts.values() for part in found}


async def no_doomed(cluster: Cluster) -> bool:
    status = await cluster.status()
    return not status["reaper"]["doomed"]


@pytest_twisted.ensureDeferred
async def test_the_old_front_is_refused_and_its_copies_are_replaced(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.put("/old", b"old" * 1000)).code == 201
        backup = await back_up(cluster)
        assert (await cluster.put("/new", b"new" * 1000)).code == 201
        async with second_front(cluster, pool) as second:
            await restore(second, pool, backup)
            refused = await cluster.ask("MKCOL", "/by-the-old-one")
            assert refused.code == 503
            assert "has taken over" in refused.text
            await second.cluster.start_front()
            assert (await second.cluster.put("/more", b"more" * 1000)).code == 201
            await second.cluster.status_becomes(in_sync(3))
            await lose_front(second.cluster)
            async with second_front(cluster, pool, "third") as third:  # from the copies on nodes
                assert (await third.recover()).state.files == 2
                await third.cluster.start_front()
                assert (await third.cluster.get("/old")).code == 200
                assert (await third.cluster.get("/more")).code == 200
                assert (await third.cluster.get("/new")).code == 404
                status = await third.cluster.status()
                assert any("the journal was restored" in warning for warning in status["warnings"])


@pytest_twisted.ensureDeferred
async def test_a_cluster_without_copies_is_restored_and_its_old_front_refused(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path, journal_copies=0) as cluster:
        assert (await cluster.put("/old", b"old" * 1000)).code == 201
        backup = await back_up(cluster)
        async with second_front(cluster, pool) as second:
            await restore(second, pool, backup, accept_loss=False)
            assert (await cluster.put("/by-the-old-one", b"x" * 1000)).code != 201
            await second.cluster.start_front()
            assert (await second.cluster.get("/old")).code == 200
            assert (await second.cluster.put("/more", b"more" * 1000)).code == 201
            await second.cluster.restart_front()
            assert (await second.cluster.put("/more", b"again" * 1000)).code == 204


@pytest_twisted.ensureDeferred
async def test_one_backup_at_a_time_and_a_client_that_leaves_ends_its_own(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, journal_copies=0) as cluster:
        for number in range(3):
            assert (await cluster.ask("MKCOL", f"/{number}")).code == 201
        cluster.journal_filesystem.hold("read")
        first = await connect(int(cluster.admin_url.rpartition(":")[2]))
        first.send(b"GET /journal/backup HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await becomes(lambda: is_held(cluster), "the backup reads")
        second = await cluster.ask("GET", f"{cluster.admin_url}/journal/backup")
        assert (second.code, second.text) == (409, "another backup has not ended yet\n")
        first.reset()
        cluster.journal_filesystem.release()

        async def works() -> bool:
            return (await cluster.ask("GET", f"{cluster.admin_url}/journal/backup")).code == 200

        await becomes(works, "the next backup")


async def is_held(cluster: Cluster) -> bool:
    return bool(cluster.journal_filesystem.waiting)
