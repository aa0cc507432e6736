"""Clients that are slow on purpose, send ahead, read nothing, or are many: they cost little, and others are served."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.hostile import KEPT, SMUGGLED, refused, surviving
from tests.cluster.raw import RawClient

PATIENCE_S = 0.5


@pytest.fixture
def front(make_cluster: Callable[..., Cluster], request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster with the settings from `having`."""
    with surviving(make_cluster(small_part=Size(262_144), **getattr(request, "param", {}))) as cluster:
        yield cluster


def having(**settings: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("front", [settings], indirect=True, ids=[""])


async def drip(client: RawClient, data: bytes) -> None:
    """Send a byte at intervals, as long as the connection lasts."""
    from twisted.internet import reactor

    for position in range(len(data)):
        if client.ended or client.received:
            return
        client.send(data[position : position + 1])
        await deferLater(reactor, PATIENCE_S / 10)
    raise AssertionError(f"{len(data)} bytes, and nobody lost patience")


@having(idle_timeout_s=PATIENCE_S)
@pytest.mark.parametrize(
    ("before", "slowly"),
    [
        pytest.param(b"", b"GET /" + b"a" * 200, id="the first line"),
        pytest.param(b"GET /kept HTTP/1.1\r\n", b"X: y\r\n" * 50, id="headers"),
        pytest.param(b"GET /kept HTTP/1.1\r\nHost: test\r\n", b"X: " + b"y" * 200, id="a header"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_head_that_comes_byte_by_byte_is_not_waited_for_without_end(
    front: Cluster, before: bytes, slowly: bytes
) -> None:
    client = await front.connect()
    client.send(before)
    await drip(client, slowly)
    client.send(SMUGGLED)
    assert (await refused(client)).code == 408


@having(idle_timeout_s=PATIENCE_S)
@pytest_twisted.ensureDeferred
async def test_a_slow_head_behind_an_answer_is_not_waited_for_either(front: Cluster) -> None:
    client = await front.connect()
    client.begin("GET", "/kept")
    assert (await client.answer()).body == KEPT
    await drip(client, b"GET /kept HTTP/1.1\r\n" + b"X: y\r\n" * 50)
    assert (await refused(client)).code == 408


@having(head_timeout_s=PATIENCE_S)
@pytest.mark.parametrize("before", [b"", b"\r\n\r\n", b"GET /kept HTTP/1.1\r\nHost: test\r\n\r\n"])
@pytest_twisted.ensureDeferred
async def test_a_head_has_its_time_as_a_whole(front: Cluster, before: bytes) -> None:
    """Though the connection may be idle for longer, and something comes all the time."""
    client = await front.connect()
    client.send(before)
    if len(before) > 4:
        assert (await client.answer()).body == KEPT
    await drip(client, b"GET /kept HTTP/1.1\r\n" + b"X: y\r\n" * 50)
    assert (await refused(client)).code == 408


@having(head_timeout_s=PATIENCE_S)
@pytest_twisted.ensureDeferred
async def test_the_time_of_a_head_does_not_run_while_there_is_none(front: Cluster) -> None:
    from twisted.internet import reactor

    client, slow = await front.connect(), await front.connect()
    slow.begin("PUT", "/slow", "Content-Length: 10")
    client.send(b"\r\n")
    for _ in range(10):
        await deferLater(reactor, PATIENCE_S / 5)
        slow.send(b"x")
    assert (await slow.answer()).code == 201
    client.begin("GET", "/kept")
    assert (await client.answer()).body == KEPT


FEW = 20


@having(idle_connections=FEW)
@pytest_twisted.ensureDeferred
async def test_an_address_keeps_a_number_of_idle_connections_and_the_newest(front: Cluster) -> None:
    busy = await front.connect()
    busy.begin("PUT", "/busy", "Content-Length: 3")
    half = await front.connect()
    half.send(b"GET /kept HTTP/1.1\r\n")
    used = await front.connect()
    used.begin("GET", "/kept")
    assert (await used.answer()).body == KEPT
    newer = [await front.connect() for _ in range(FEW * 2)]
    assert (await refused(half)).code == 503
    assert await used.until_ended() == b""
    for client in newer[: FEW - 1]:
        assert await client.until_ended() == b""
    for client in newer[FEW:]:
        client.begin("GET", "/kept")
        assert (await client.answer()).body == KEPT
    busy.send(b"abc")
    assert (await busy.answer()).code == 201


@having(client_timeout_s=PATIENCE_S)
@pytest_twisted.ensureDeferred
async def test_a_body_that_breaks_off_is_told_so(front: Cluster) -> None:
    client = await front.connect()
    client.begin("PUT", "/new", "Content-Length: 100000")
    client.send(SMUGGLED)
    assert (await refused(client)).code == 408
    assert (await front.get("/new")).code == 404


PIECE = bytes(250_000)
"""A file that is answered in one piece, at once."""

AHEAD = 500
BOUND = 20_000_000
"""The most that the sockets of a connection hold in the kernel, plus some answers."""

BREW = b"BREW / HTTP/1.1\r\nHost: test\r\n\r\n"
CROWD = 1_000

STILL = 30  # how many polls in a row must give the same result
SENT_DURING = 32_000_000
"""Bytes; more than the sockets of a connection hold."""


@pytest_twisted.ensureDeferred
async def test_requests_sent_ahead_by_who_reads_nothing_do_not_fill_the_memory(front: Cluster) -> None:
    await front.put("/piece", PIECE)
    assert (await front.get("/piece")).body == PIECE  # now it is in memory, and answered at once
    before = (await front.status())["downloads"]["bytes"]
    client = await front.connect(receive_buffer=65_536)
    client.stop_reading()
    client.send(b"GET /piece HTTP/1.1\r\nHost: test\r\n\r\n" * AHEAD)
    seen: list[int] = []
    while len(seen) < STILL or len(set(seen[-STILL:])) > 1:
        seen.append((await front.status())["downloads"]["bytes"])
    assert before < seen[-1] < before + BOUND
    assert (await front.get("/kept")).body == KEPT
    client.read_on()
    for _ in range(AHEAD):
        answer = await client.answer()
        assert (answer.code, len(answer.body)) == (200, len(PIECE))


@pytest_twisted.ensureDeferred
async def test_what_is_sent_during_an_answer_by_who_reads_nothing_does_not_fill_the_memory(front: Cluster) -> None:
    big = os.urandom(16_000_000)
    await front.put("/big", big)
    assert front.front is not None
    front.front.endpoints.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262_144)  # type: ignore[union-attr]
    front.front.endpoints.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 262_144)  # type: ignore[union-attr]
    client = await front.connect(receive_buffer=262_144)
    client.stop_reading()
    client.begin("GET", "/big")
    for _ in range(STILL):  # now the answer has begun, and waits for its reader
        assert (await front.get("/kept")).body == KEPT
    client.send(bytes(SENT_DURING))
    unsent: list[int] = []
    while len(unsent) < STILL or len(set(unsent[-STILL:])) > 1:
        assert (await front.get("/kept")).body == KEPT
        unsent.append(client.unsent())
    assert unsent[-1] > SENT_DURING / 2
    client.read_on()
    assert (await client.answer()).body == big


@pytest_twisted.ensureDeferred
async def test_one_client_that_sends_very_much_ahead_leaves_others_their_turn(front: Cluster) -> None:
    first, other = await front.connect(), await front.connect()
    first.send(BREW * AHEAD)
    other.send(BREW)
    await other.answer()
    assert first.received.count(b"HTTP/1.1 405 ") < AHEAD / 10
    for _ in range(AHEAD):
        assert (await first.answer()).code == 405


@having(idle_timeout_s=PATIENCE_S)
@pytest_twisted.ensureDeferred
async def test_a_slow_reader_is_not_idle(front: Cluster) -> None:
    from twisted.internet import reactor

    await front.put("/piece", PIECE)
    assert front.front is not None
    # On one machine the kernel would take it all from us at once; between two it takes less.
    front.front.endpoints.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # type: ignore[union-attr]
    client = await front.connect(receive_buffer=16_384)
    client.stop_reading()
    client.begin("GET", "/piece")
    for _ in range(5):
        await deferLater(reactor, PATIENCE_S * 0.6)
        client.read_on()
        seen = client.total
        await client.until(lambda seen=seen: client.total > seen)  # type: ignore[misc]
        client.stop_reading()
    assert client.total < len(PIECE)
    client.read_on()
    assert (await client.answer()).body == PIECE
    client.begin("GET", "/kept")
    assert (await client.answer()).body == KEPT


@pytest_twisted.ensureDeferred
async def test_who_takes_nothing_of_an_answer_is_cut(front: Cluster) -> None:
    from twisted.internet import reactor

    assert (await front.put("/large", bytes(30_000_000))).code == 201
    front.settings["client_timeout_s"] = PATIENCE_S  # from now on nothing has to be quick
    await front.restart_front()
    client = await front.connect(receive_buffer=4096)
    client.stop_reading()
    client.begin("GET", "/large")
    await front.status_becomes(lambda status: status["downloads"]["under_way"] == 1)
    while (await front.status())["downloads"]["under_way"]:
        await deferLater(reactor, PATIENCE_S / 10)
    client.read_on()
    assert len(await client.until_ended()) < 30_000_000


@pytest_twisted.ensureDeferred
async def test_many_connections_without_a_request_keep_nobody_out(front: Cluster) -> None:
    clients = [await front.connect() for _ in range(CROWD)]
    for client in clients[::2]:
        client.send(b"GET /kept HTTP/1.1\r\nHo")
    assert (await front.put("/new", b"abc")).code == 201
    assert (await front.get("/new")).body == b"abc"
    for client in clients[::2]:
        client.send(b"st: test\r\n\r\n")
    for client in clients[::2]:
        assert (await client.answer()).body == KEPT
    assert not any(client.ended for client in clients)
