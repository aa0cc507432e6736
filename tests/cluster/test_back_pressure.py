"""A slow peer makes the others wait, and no process's memory fills."""

from __future__ import annotations

from collections.abc import Callable

import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually, standstill

MIB = 1024 * 1024
SIZE = 96 * MIB

STOPPED_READER = 48 * MIB
"""The most that nodes read for a client that reads nothing.

On each of six connections: 2 MiB in the kernel of the node and 1 MiB in that of the front, 1.25 MiB in the node, and in
the front a window and one read, of 1 MiB each.  Besides, 1 MiB or little more that the client's connection keeps.
"""

STOPPED_WRITER = 60 * MIB
"""The most that the front takes from a client while a node writes nothing.

That node's lane holds 2 MiB and one read of 1 MiB for the disk, 1 MiB in the kernel of the node and 2 MiB in that of
the front, a window of 1 MiB in the front, and what it is given with the block in which it became full.  Before the
client stops, the five others were given as much.
"""


@pytest_twisted.ensureDeferred
async def test_a_client_that_reads_nothing_stops_the_nodes_and_nobody_else(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(unit=64 * 1024)
    await cluster.start()
    cluster.bound_sending(65_536)
    assert (await cluster.put("/file", bytes(SIZE))).code == 201
    client = await cluster.connect(receive_buffer=65_536)
    client.stop_reading()
    client.begin("GET", "/file")
    await eventually(lambda: all(node.filesystem.bytes_read for node in cluster.nodes))
    read = await standstill(lambda: sum(node.filesystem.bytes_read for node in cluster.nodes))
    assert 0 < read < STOPPED_READER
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
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {SIZE}")
    client.send(bytes(SIZE))
    others = [node.filesystem for node in cluster.nodes if node.filesystem is not slow]
    await eventually(lambda: all(filesystem.bytes_written for filesystem in others))
    await standstill(lambda: sum(filesystem.bytes_written for filesystem in others))
    taken = (await cluster.status())["uploads"]["bytes"]
    assert 0 < taken < STOPPED_WRITER
    read = await gatherResults([Deferred.fromCoroutine(cluster.get("/missing")) for _ in range(3)])
    assert [answer.code for answer in read] == [404] * 3
    slow.release()
    assert (await client.answer()).code == 201
    assert (await cluster.get("/file", Range="bytes=1000-1999")).body == bytes(1000)
