"""Stopping and starting: what was answered stays, and what was not answered is removed."""

from __future__ import annotations

import os

import pytest_twisted
from twisted.internet.defer import Deferred

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually

DATA = os.urandom(100_000)


@pytest_twisted.ensureDeferred
async def test_a_front_that_starts_again_serves_the_same(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    await cluster.put("/a/file", DATA, Content_Type="text/x-test")
    await cluster.put("/empty", b"")
    await cluster.put("/gone", b"x")
    await cluster.ask("DELETE", "/gone")
    paths = ["/", "/a", "/a/file", "/empty", "/gone"]
    before = [await cluster.get(path, Accept="application/json") for path in paths]
    await cluster.restart_front()
    after = [await cluster.get(path, Accept="application/json") for path in paths]
    for one, other in zip(before, after, strict=True):
        assert (one.code, one.body) == (other.code, other.body)
        for name in ("ETag", "Last-Modified", "Content-Type"):
            assert one.header(name) == other.header(name)
    assert [answer.code for answer in after] == [200, 200, 200, 200, 404]


@pytest_twisted.ensureDeferred
async def test_uploads_under_way_when_the_front_stops_leave_nothing(cluster: Cluster) -> None:
    await cluster.put("/file", b"the version before")
    before = cluster.uploads_stored()
    clients = [await cluster.connect() for _ in range(3)]
    for client in clients:
        client.begin("PUT", "/file", f"Content-Length: {len(DATA)}")
        client.send(DATA[:-1])
    await eventually(lambda: all(len(node.half_written()) == 3 for node in cluster.nodes))
    await cluster.stop_front()
    for client in clients:
        await client.until_ended()
    await cluster.start_front()
    await eventually(lambda: cluster.uploads_stored() == before)
    assert (await cluster.get("/file")).body == b"the version before"


@pytest_twisted.ensureDeferred
async def test_parts_of_uploads_that_a_stopped_front_could_not_reap_go_after_the_restart(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    await cluster.break_node(1)
    await cluster.ask("DELETE", "/file")
    await cluster.stop_front()
    assert len(cluster.nodes[1].parts()) == 1
    await cluster.nodes[1].start()
    await cluster.start_front()
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_a_front_stops_while_files_are_read(cluster: Cluster) -> None:
    await cluster.put("/file", os.urandom(24_000_000))
    client = await cluster.connect(receive_buffer=65_536)
    client.begin("GET", "/file")
    await client.until(lambda: client.total > 0)
    client.stop_reading()
    asked = Deferred.fromCoroutine(cluster.get("/file", Range="bytes=0-9"))
    await asked
    await cluster.stop_front()
    client.read_on()
    assert len(await client.until_ended()) < 24_000_000
    await cluster.start_front()
    assert (await cluster.get("/file", Range="bytes=0-9")).code == 206


@pytest_twisted.ensureDeferred
async def test_nodes_that_were_started_again_meanwhile_serve_as_if_nothing_was(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    for node in cluster.nodes:
        await node.stop()
        await node.start()
    assert (await cluster.get("/file")).body == DATA
    for node in cluster.nodes:
        await node.stop()
        await node.start()
    assert (await cluster.put("/file", DATA[::-1])).code == 204
    assert (await cluster.get("/file")).body == DATA[::-1]


@pytest_twisted.ensureDeferred
async def test_a_node_that_starts_again_has_its_parts_and_no_half_written_ones(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    node = cluster.nodes[0]
    parts = node.parts()
    await node.stop()
    (node.folder / "tmp" / f"{'0' * 32}.1").write_bytes(b"torn")
    await node.start()
    assert (node.parts(), node.half_written()) == (parts, [])
    assert (await cluster.get("/file")).body == DATA
