"""A slow peer makes the others wait, and no process's memory fills."""

from __future__ import annotations

from collections.abc import Callable

import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually, standstill

MIB = 1024 * 1024
SIZE = 128 * MIB
BOUND = 64 * MIB
"""The most that the sockets of seven connections hold in the kernel, plus some stripes."""


@pytest_twisted.ensureDeferred
async def test_a_client_that_reads_nothing_stops_the_nodes_and_nobody_else(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(unit=64 * 1024)
    await cluster.start()
    assert (await cluster.put("/file", bytes(SIZE))).code == 201
    client = await cluster.connect(receive_buffer=65_536)
    client.stop_reading()
    client.begin("GET", "/file")
    await eventually(lambda: all(node.filesystem.bytes_read for node in cluster.nodes))
    read = await standstill(lambda: sum(node.filesystem.bytes_read for node in cluster.nodes))
    assert 0 < read < BOUND
    await cluster.put("/other", b"abc" * 1000)
    assert (await cluster.get("/other")).body == b"abc" * 1000
    client.read_on()
    assert len((await client.answer()).body) == SIZE


@pytest_twisted.ensureDeferred
async def test_a_node_that_writes_slowly_stops_the_client(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(unit=64 * 1024)
    await cluster.start()
    slow = cluster.nodes[3].filesystem
    slow.hold("write")
    cluster.nodes[3].bound_receiving(MIB)  # else the kernel holds up to 32 MiB, more on a busy machine
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {SIZE}")
    client.send(bytes(SIZE))
    others = [node.filesystem for node in cluster.nodes if node.filesystem is not slow]
    await eventually(lambda: all(filesystem.bytes_written for filesystem in others))
    written = await standstill(lambda: sum(filesystem.bytes_written for filesystem in others))
    taken = (await cluster.status())["uploads"]["bytes"]
    assert 0 < taken < BOUND
    assert taken - written * 6 / 5 < BOUND
    read = await gatherResults([Deferred.fromCoroutine(cluster.get("/missing")) for _ in range(3)])
    assert [answer.code for answer in read] == [404] * 3
    slow.release()
    assert (await client.answer()).code == 201
    assert (await cluster.get("/file", Range="bytes=1000-1999")).body == bytes(1000)
