"""Nodes whose disks are full cannot note the epoch of a front that starts; it works as long as enough others can."""

from __future__ import annotations

from pathlib import Path

import pytest_twisted

from tests.cluster.test_journal_copies import cluster_of, copies, in_sync


@pytest_twisted.ensureDeferred
async def test_a_front_starts_while_fewer_than_half_of_the_nodes_are_full(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.put("/file", b"bytes" * 1000)).code == 201
        await cluster.stop_front()
        for number in (3, 4):
            cluster.fill_node(number)
        await cluster.start_front()
        assert (await cluster.ask("MKCOL", "/a")).code == 201
        assert (await cluster.ask("DELETE", "/file")).code == 204
        assert copies(await cluster.status_becomes(in_sync(3)))["epoch"] == 2


@pytest_twisted.ensureDeferred
async def test_a_front_changes_nothing_until_enough_full_nodes_have_room_to_note_its_epoch(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster:
        assert (await cluster.put("/file", b"bytes" * 1000)).code == 201
        await cluster.stop_front()
        for number in (3, 4, 5):
            cluster.fill_node(number)
        await cluster.start_front()
        refused = await cluster.ask("MKCOL", "/a")
        assert refused.code == 503
        assert "of 6 nodes have confirmed epoch 2 of this front" in refused.text
        assert (await cluster.get("/file")).body == b"bytes" * 1000
        cluster.nodes[4].filesystem.room = None
        await cluster.status_becomes(lambda status: copies(status)["confirmed"])
        assert (await cluster.ask("MKCOL", "/a")).code == 201
