"""A second machine takes over from a front: nothing acknowledged is lost, and never do both change anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from splitd.cli.recover import Node
from splitd.errors import RecoveryRefused
from splitd.nodes.entries import read_registry
from splitd.takeover.recovery import Recovered, Recovery
from storaged.journals.scan import blocks
from storaged.parts.blocks import encode_block
from storaged.parts.proofs import ClusterKeys
from storaged.system.filesystem import OSFilesystem
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY
from tests.cluster.test_journal_copies import cluster_of, copies, in_sync


class Second:
    """A second front over the nodes of a cluster, with a data folder of its own."""

    def __init__(self, cluster: Cluster, pool: ThreadPool, name: str) -> None:
        from twisted.internet import reactor

        self._reactor = reactor
        self._pool = pool
        self.cluster = Cluster(cluster.folder / name, reactor, 0, **cluster.settings)
        self.cluster.nodes = cluster.nodes
        self.cluster.folder.mkdir()
        self.cluster.write_registry()
        self.data = self.cluster.folder / "front"
        self.said: list[str] = []

    async def recover(self, *, accept_loss: bool = False) -> Recovered:
        entries = read_registry("", self.cluster.registry.read_text())
        nodes = [Node(entry, ClusterKeys([KEY])) for entry in entries]
        recovery = Recovery(nodes, self.data, OSFilesystem(), lambda: os.urandom(8).hex(), self.said.append)
        return await deferToThreadPool(self._reactor, self._pool, lambda: recovery.run(accept_loss=accept_loss))


@asynccontextmanager
async def second_front(cluster: Cluster, pool: ThreadPool, name: str = "second") -> AsyncIterator[Second]:
    """Make a second front, which is not started yet."""
    made = Second(cluster, pool, name)
    try:
        yield made
    finally:
        made.cluster.nodes = []
        await made.cluster.stop()


async def lose_front(cluster: Cluster) -> None:
    """End the front so that it writes nothing more, and take its disk away."""
    await cluster.crash_front()
    shutil.rmtree(cluster.folder / "front")


@pytest_twisted.ensureDeferred
async def test_what_was_acknowledged_is_there_on_another_machine(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path, small_part=Size(0)) as cluster:
        for number in range(10):
            assert (await cluster.put(f"/file{number}", b"%d" % number * 5000)).code == 201
        assert (await cluster.ask("DELETE", "/file3")).code == 204
        await lose_front(cluster)
        async with second_front(cluster, pool) as second:
            recovered = await second.recover()
            assert (recovered.state.files, recovered.plan.doubt) == (9, "")
            await second.cluster.start_front()
            for number in range(10):
                answer = await second.cluster.get(f"/file{number}")
                assert answer.code == (404 if number == 3 else 200)
                assert number == 3 or answer.body == b"%d" % number * 5000
            assert (await second.cluster.put("/new", b"new")).code == 201
            status = await second.cluster.status_becomes(in_sync(3))
            assert copies(status)["epoch"] == 3


@pytest_twisted.ensureDeferred
async def test_snapshots_are_recovered(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path, journal_segment=Size(2000)) as cluster:
        for number in range(60):
            assert (await cluster.ask("MKCOL", f"/{number}")).code == 201
        await cluster.status_becomes(
            lambda _: all(
                list((cluster.nodes[number].folder / "journals").glob("snapshot-*.jsonl")) for number in range(3)
            )
        )
        await lose_front(cluster)
        async with second_front(cluster, pool) as second:
            assert (await second.recover()).plan.copy.snapshot
            await second.cluster.start_front()
            for number in range(60):
                assert (await second.cluster.ask("PROPFIND", f"/{number}", Depth="0")).code == 207


@pytest_twisted.ensureDeferred
async def test_of_two_fronts_at_once_only_the_new_one_changes_anything(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.put("/old", b"old")).code == 201
        async with second_front(cluster, pool) as second:
            await second.recover()
            refused = await cluster.ask("MKCOL", "/by-the-old-one")
            assert refused.code == 503
            assert "has taken over with epoch 2" in refused.text
            assert (await cluster.put("/by-the-old-one", b"x")).code == 503
            assert (await cluster.ask("DELETE", "/old")).code == 503
            assert (await cluster.get("/old")).body == b"old"
            await second.cluster.start_front()
            assert (await second.cluster.put("/by-the-new-one", b"new")).code == 201
            for _ in range(3):  # each start begins an epoch of its own, and still none is accepted
                await cluster.restart_front()
                refused = await cluster.ask("MKCOL", "/by-the-old-one")
                assert refused.code == 503
                assert "has taken over with epoch" in refused.text
                assert (await cluster.get("/old")).body == b"old"
            assert (await second.cluster.put("/by-the-new-one", b"newer")).code == 204


@pytest_twisted.ensureDeferred
async def test_an_old_front_without_copies_by_its_settings_is_refused_too(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.put("/old", b"old" * 1000)).code == 201
        async with second_front(cluster, pool) as second:
            await second.recover()
            cluster.settings["journal_copies"] = 0
            await cluster.restart_front()
            assert (await cluster.put("/by-the-old-one", b"x" * 1000)).code != 201
            assert (await cluster.get("/old")).code == 200


@pytest_twisted.ensureDeferred
async def test_a_front_restored_from_a_backup_is_refused(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster:
        await cluster.stop_front()
        shutil.copytree(tmp_path / "front", tmp_path / "backup")
        await cluster.start_front()
        assert (await cluster.ask("MKCOL", "/since-then")).code == 201
        await cluster.stop_front()
        shutil.rmtree(tmp_path / "front")
        (tmp_path / "backup").rename(tmp_path / "front")
        await cluster.start_front()
        refused = await cluster.ask("MKCOL", "/more")
        assert refused.code == 503
        assert "knows epochs up to 1 only" in refused.text


@pytest_twisted.ensureDeferred
async def test_a_recovery_needs_two_of_three_holders(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        await lose_front(cluster)
        for number in (0, 1):
            await cluster.break_node(number)
        async with second_front(cluster, pool) as second:
            with pytest.raises(RecoveryRefused, match=r"2 of the holders n1, n2, n3 must be read.*\(not n1, n2\)"):
                await second.recover()
            assert not second.data.exists()
            recovered = await second.recover(accept_loss=True)
            assert "must be read" in recovered.plan.doubt
            await cluster.nodes[0].start()
            third = Second(cluster, pool, "third")
            assert (await third.recover()).plan.doubt == ""


@pytest_twisted.ensureDeferred
async def test_a_front_that_went_on_with_one_copy_is_recovered_from_it(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        for number in (0, 1):
            await cluster.break_node(number)
        assert (await cluster.ask("MKCOL", "/with-one-copy")).code == 201
        await lose_front(cluster)
        for number in (0, 1):
            await cluster.nodes[number].start()
        async with second_front(cluster, pool) as second:
            recovered = await second.recover()
            assert (recovered.plan.node, recovered.plan.roster.holders, recovered.plan.doubt) == ("n3", ("n3",), "")
            assert recovered.state.find("/with-one-copy") is not None


@pytest_twisted.ensureDeferred
async def test_a_recovery_is_refused_and_changes_nothing(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        async with second_front(cluster, pool) as second:
            second.data.mkdir(parents=True)
            (second.data / "something").write_text("")
            with pytest.raises(RecoveryRefused, match="is not empty: something is there"):
                await second.recover()
            (second.data / "something").unlink()
            for number in (0, 4, 5):
                await cluster.break_node(number)
            with pytest.raises(RecoveryRefused, match="3 of 6 nodes answer, and 4 are needed"):
                await second.recover()
            assert list(second.data.iterdir()) == []
            for number in (0, 4, 5):
                await cluster.nodes[number].start()
            await cluster.look_at_nodes()
            assert (await cluster.ask("MKCOL", "/b")).code == 201  # no epoch was claimed


@pytest_twisted.ensureDeferred
async def test_copies_that_contradict_each_other_are_refused(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path) as cluster:
        await cluster.disks_are_known()  # six records after the first
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        await cluster.status_becomes(in_sync(3))
        await lose_front(cluster)
        [path] = (cluster.nodes[1].folder / "journals").glob("copy-*")
        written = b""
        for _, block, lines in blocks(OSFilesystem(), str(path)):
            other = lines.replace(b'"/a"', b'"/b"')
            written += b"".join(encode_block(block.epoch, block.first, block.count, block.synced, other))
        await cluster.break_node(1)
        path.write_bytes(written)
        await cluster.nodes[1].start()
        async with second_front(cluster, pool) as second:
            with pytest.raises(RecoveryRefused, match="contradict each other: record 8 on n1 is not that on n2"):
                await second.recover()


@pytest_twisted.ensureDeferred
async def test_a_cluster_without_copies_cannot_be_recovered(tmp_path: Path, pool: ThreadPool) -> None:
    async with cluster_of(tmp_path, journal_copies=0) as cluster:
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        async with second_front(cluster, pool) as second:
            with pytest.raises(RecoveryRefused, match="no node knows of a copy"):
                await second.recover()
