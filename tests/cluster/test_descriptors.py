"""A front that lacks file descriptors says so, blames no node, and works again when it has some."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from storaged.system.descriptors import Descriptors
from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawAnswer, RawClient
from tests.cluster.waiting import eventually
from tests.descriptors import no_descriptors

DATA = os.urandom(50_000)
LIMIT = 260
ROOM = (LIMIT - 160 - LIMIT // 8) // 7
"""Clients that a front with so many descriptors serves at once."""


def states(cluster: Cluster) -> set[tuple[str, str]]:
    assert cluster.front is not None
    return {(node.state, node.health.problem) for node in cluster.front.registry.nodes()}


async def ask(client: RawClient, method: str, path: str, body: bytes = b"") -> RawAnswer:
    client.begin(method, path, f"Content-Length: {len(body)}")
    client.send(body)
    return await client.answer()


async def upload_under_way(cluster: Cluster) -> RawClient:
    """A client whose upload takes the connections to the nodes that are there; it still has to send its body."""
    client = await cluster.connect()
    client.begin("PUT", "/busy", f"Content-Length: {len(DATA)}", "Expect: 100-continue")
    assert (await client.answer()).code == 100
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    return client


def is_short(answer: RawAnswer) -> bool:
    return (
        answer.code == 503
        and answer.headers["retry-after"].isdigit()
        and b"this server has no free file descriptors (limit 0)" in answer.body
        and b"try again" in answer.body
    )


@pytest_twisted.ensureDeferred
async def test_a_large_file_waits_for_better_times(cluster: Cluster) -> None:
    await cluster.put("/kept", DATA)
    busy, client = await upload_under_way(cluster), await cluster.connect()
    with no_descriptors():
        assert is_short(await ask(client, "PUT", "/new", DATA))
        assert states(cluster) == {("up", "")}
    busy.send(DATA)
    assert (await busy.answer()).code == 201
    assert (await cluster.put("/new", DATA)).code == 201
    assert (await cluster.get("/kept")).body == DATA
    assert states(cluster) == {("up", "")}


@pytest_twisted.ensureDeferred
async def test_a_download_waits_for_better_times(cluster: Cluster) -> None:
    await cluster.put("/kept", DATA)
    busy, client = await upload_under_way(cluster), await cluster.connect()
    with no_descriptors():
        assert is_short(await ask(client, "GET", "/kept"))
    busy.send(DATA)
    assert (await busy.answer()).code == 201
    assert (await ask(client, "GET", "/kept")).body == DATA
    assert states(cluster) == {("up", "")}


@pytest_twisted.ensureDeferred
async def test_small_files_wait_for_better_times(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(small_part=262144)
    await cluster.start()
    client = await cluster.connect()
    with no_descriptors():
        assert is_short(await ask(client, "PUT", "/new", b"abc"))
        assert states(cluster) == {("up", "")}
    assert (await ask(client, "GET", "/new")).code == 404
    assert (await ask(client, "PUT", "/new", b"abc")).code == 201
    assert (await ask(client, "GET", "/new")).body == b"abc"


@pytest_twisted.ensureDeferred
async def test_a_node_that_cannot_be_asked_stays_what_it_was(cluster: Cluster) -> None:
    assert cluster.front is not None
    await upload_under_way(cluster)
    with no_descriptors():
        await cluster.front.registry.ask()
        assert states(cluster) == {("up", "")}
    await cluster.front.registry.ask()
    assert states(cluster) == {("up", "")}


@pytest.fixture
def short(make_cluster: Callable[..., Cluster]) -> Cluster:
    cluster = make_cluster()
    cluster.descriptors = Descriptors(LIMIT)
    pytest_twisted.blockon(Deferred.fromCoroutine(cluster.start()))
    return cluster


@pytest_twisted.ensureDeferred
async def test_clients_beyond_the_limit_wait_until_others_have_ended(short: Cluster) -> None:
    uploads = [await short.connect() for _ in range(ROOM)]
    for number, upload in enumerate(uploads):
        upload.begin("PUT", f"/{number}", f"Content-Length: {len(DATA)}", "Expect: 100-continue")
        assert (await upload.answer()).code == 100
    late = [await short.connect() for _ in range(5)]
    for number, client in enumerate(late):
        client.begin("PUT", f"/late-{number}", f"Content-Length: {len(DATA)}")
        client.send(DATA)
    status = await short.status_becomes(lambda status: status["connections"]["waiting"])
    assert (status["connections"]["open"], status["connections"]["limit"]) == (ROOM, ROOM)
    assert status["connections"]["descriptor_limit"] == LIMIT
    assert any("file descriptors" in warning for warning in status["warnings"])
    assert not any(client.received for client in late)
    for upload in uploads:
        upload.send(DATA)
        assert (await upload.answer()).code == 201
    # Now they are idle, and make room.
    for client in late:
        assert (await client.answer()).code == 201
    for client in (*uploads, *late):
        client.reset()
    await short.status_becomes(lambda status: not status["connections"]["waiting"])
    assert (await short.get("/late-4")).body == DATA
    assert {node["state"] for node in (await short.status())["nodes"]} == {"up"}


@pytest_twisted.ensureDeferred
async def test_clients_that_ask_for_nothing_make_room(short: Cluster) -> None:
    silent = [await short.connect() for _ in range(ROOM * 3)]
    assert (await short.put("/new", DATA)).code == 201
    assert (await short.get("/new")).body == DATA
    ended = [client for client in silent if client.ended]
    assert ended
    assert not any(client.received for client in ended)


@pytest_twisted.ensureDeferred
async def test_operators_are_served_however_many_clients_wait(short: Cluster) -> None:
    for _ in range(ROOM * 2):
        client = await short.connect()
        client.begin("PUT", "/new", "Content-Length: 9", "Expect: 100-continue")
    assert (await short.ask("GET", f"{short.admin_url}/health")).code == 200
    assert (await short.status())["connections"]["open"] <= ROOM
