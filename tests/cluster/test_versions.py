"""Replacing and deleting: a reader gets one whole version, and parts that nobody needs are deleted."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawClient
from tests.cluster.waiting import eventually, standstill

SIZE = 24_000_000
"""More than the sockets between a node and a client that does not read can hold."""


async def read_slowly(cluster: Cluster, path: str) -> RawClient:
    """Return a client that has requested a file and reads only its beginning."""
    client = await cluster.connect(receive_buffer=65_536)
    client.begin("GET", path)
    await client.until(lambda: client.total > 0)
    client.stop_reading()
    await standstill(lambda: sum(node.filesystem.bytes_read for node in cluster.nodes))
    return client


@pytest.mark.parametrize("change", ["PUT", "DELETE"])
@pytest_twisted.ensureDeferred
async def test_a_reader_gets_the_version_it_began_with_whole(cluster: Cluster, change: str) -> None:
    old = os.urandom(SIZE)
    await cluster.put("/file", old)
    upload = cluster.uploads_stored()
    client = await read_slowly(cluster, "/file")
    answer = await cluster.ask(change, "/file", b"new" if change == "PUT" else None)
    assert answer.code == 204
    assert (await cluster.ask("DELETE", "/file")).code == (204 if change == "PUT" else 404)
    assert (await cluster.get("/file")).code == 404
    await eventually(lambda: cluster.uploads_stored() == upload, "the parts of the version that is read, and no others")
    client.read_on()
    got = await client.answer()
    assert got.code == 200
    assert got.body == old
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_a_reader_that_leaves_holds_nothing_back(cluster: Cluster) -> None:
    await cluster.put("/file", os.urandom(SIZE))
    clients = [await read_slowly(cluster, "/file") for _ in range(2)]
    assert (await cluster.ask("DELETE", "/file")).code == 204
    clients[0].reset()
    await cluster.status_becomes(lambda status: status["downloads"]["under_way"] == 1)
    assert not cluster.nothing_stored()
    clients[1].leave()
    clients[1].read_on()
    await eventually(cluster.nothing_stored)
    downloads = (await cluster.status())["downloads"]
    assert (downloads["under_way"], downloads["failed"]) == (0, 0)


@pytest_twisted.ensureDeferred
async def test_a_reader_that_takes_nothing_for_too_long_is_cut(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    await cluster.start()
    assert (await cluster.put("/file", bytes(SIZE))).code == 201
    cluster.settings["client_timeout_s"] = 0.5  # from now on nothing has to be quick
    await cluster.restart_front()
    client = await read_slowly(cluster, "/file")
    await cluster.ask("DELETE", "/file")
    await eventually(cluster.nothing_stored)
    client.read_on()
    assert len(await client.until_ended()) < SIZE


@pytest_twisted.ensureDeferred
async def test_a_file_is_made_once_and_then_replaced(cluster: Cluster) -> None:
    codes: list[int] = []
    bodies: list[Any] = [b"one", b"", b"three" * 1000]
    for body in bodies:
        codes.append((await cluster.put("/file", body)).code)
        assert (await cluster.get("/file")).body == body
    assert codes == [201, 204, 204]
    await eventually(lambda: len(cluster.uploads_stored()) == 1, "the parts of the last version alone")
    await cluster.ask("DELETE", "/file")
    assert (await cluster.put("/file", b"again")).code == 201


@pytest_twisted.ensureDeferred
async def test_the_old_version_is_there_until_the_new_one_is_whole(cluster: Cluster) -> None:
    await cluster.put("/file", b"old")
    new = os.urandom(30_000)
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {len(new)}")
    client.send(new[:-1])
    await cluster.status_becomes(lambda status: status["uploads"]["bytes"] >= len(new) + 2)
    assert (await cluster.get("/file")).body == b"old"
    client.send(new[-1:])
    assert (await client.answer()).code == 204
    assert (await cluster.get("/file")).body == new


@pytest_twisted.ensureDeferred
async def test_parts_on_a_node_that_is_down_go_when_it_is_back(cluster: Cluster) -> None:
    await cluster.put("/file", b"x" * 10_000)
    await cluster.break_node(0)
    assert (await cluster.ask("DELETE", "/file")).code == 204
    await eventually(lambda: not any(node.parts() for node in cluster.nodes[1:]))
    assert (await cluster.status())["reaper"]["doomed"] == 1
    await cluster.mend_node(0)
    await eventually(cluster.nothing_stored)
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
