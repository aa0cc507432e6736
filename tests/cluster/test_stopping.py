"""A server that stops finishes the work in progress, up to a time limit, and accepts nothing new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError

from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawClient, connect
from tests.cluster.waiting import eventually

DATA = bytes(range(256)) * 8000


@pytest_twisted.async_yield_fixture
async def patient(make_cluster: Callable[..., Cluster]) -> Any:
    """A cluster that finishes the work in progress when it stops."""
    cluster = make_cluster(stop_timeout_s=60.0)
    for node in cluster.nodes:
        node.stop_timeout_s = 60.0
    await cluster.start()
    yield cluster


async def begin_upload(cluster: Cluster, path: str) -> RawClient:
    """Send the first half of `DATA`."""
    client = await cluster.connect()
    client.send(f"PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(DATA)}\r\n\r\n".encode())
    client.send(DATA[: len(DATA) // 2])
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    return client


@pytest_twisted.ensureDeferred
async def test_servers_stop_while_clients_are_connected(patient: Cluster) -> None:
    assert (await patient.ask("PUT", "/file", b"bytes")).code == 201
    # The client's connection, and the front's to the nodes, are kept open and idle.
    await patient.nodes[0].stop()
    await patient.stop_front()
    await patient.nodes[0].start()
    await patient.start_front()
    assert (await patient.ask("GET", "/file")).body == b"bytes"


@pytest_twisted.ensureDeferred
async def test_an_upload_under_way_is_finished_and_nothing_new_is_taken(patient: Cluster) -> None:
    client = await begin_upload(patient, "/file")
    idle = await patient.connect()
    front = patient.front
    assert front is not None
    stopping = front.stop()
    await idle.until(lambda: idle.ended)
    assert idle.ended
    with pytest.raises(ConnectError):
        await connect(patient.port)
    status = await patient.status()
    assert status["problems"] == ["the front stops, and finishes what is under way"]
    assert not stopping.called
    client.send(DATA[len(DATA) // 2 :])
    answer = await client.answer()
    assert (answer.code, answer.headers["connection"]) == (201, "close")
    await stopping
    patient.front = None
    await patient.start_front()
    assert (await patient.get("/file")).body == DATA


@pytest_twisted.ensureDeferred
async def test_a_download_under_way_is_finished(patient: Cluster) -> None:
    data = DATA * 12  # more than the sockets hold
    await patient.put("/file", data)
    client = await patient.connect(receive_buffer=65536)
    client.stop_reading()
    client.send(b"GET /file HTTP/1.1\r\nHost: h\r\n\r\n")
    await patient.status_becomes(lambda status: status["downloads"]["under_way"] == 1)
    front = patient.front
    assert front is not None
    stopping = front.stop()
    assert not stopping.called
    client.read_on()
    assert (await client.answer()).body == data
    await stopping
    patient.front = None


@pytest_twisted.ensureDeferred
async def test_what_takes_too_long_is_given_up_and_leaves_nothing(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(stop_timeout_s=0.1)
    await cluster.start()
    client = await begin_upload(cluster, "/file")
    await cluster.stop_front()
    await client.until(lambda: client.ended)
    assert client.ended
    await eventually(cluster.nothing_stored)
    await cluster.start_front()
    assert (await cluster.get("/file")).code == 404
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)


@pytest_twisted.ensureDeferred
async def test_a_node_finishes_the_parts_under_way(patient: Cluster) -> None:
    client = await begin_upload(patient, "/file")
    stopping = [node.end() for node in patient.nodes]
    client.send(DATA[len(DATA) // 2 :])
    assert (await client.answer()).code == 201
    for each in stopping:
        await each
    for node in patient.nodes:
        await node.start()
    await patient.restart_front()
    assert (await patient.get("/file")).body == DATA


@pytest_twisted.ensureDeferred
async def test_a_node_answers_for_small_parts_before_it_ends(patient: Cluster) -> None:
    await patient.stop_front()
    patient.settings["small_part"] = 10_000
    await patient.start_front()
    await patient.put("/first", b"the links are there now")
    for node in patient.nodes:
        node.filesystem.hold("write")
    answer = Deferred.fromCoroutine(patient.put("/second", b"small"))
    await eventually(lambda: all(node.filesystem.waiting for node in patient.nodes))
    servers = [node.end() for node in patient.nodes]
    for node in patient.nodes:
        node.filesystem.release()
    assert (await answer).code == 201
    for server in servers:
        await server
