"""What is left when a connection ends: nothing, whatever fails on its way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from storaged.http import IRequest, StreamingResource, StreamingSite, upgrade
from tests.cluster.raw import RawClient, connect
from tests.cluster.waiting import eventually

Answer = Callable[[IRequest], Awaitable[None]]


class Answering(StreamingResource):
    """Answers by a function of a test."""

    def __init__(self, answer: Answer) -> None:
        self._by = answer

    async def respond(self, request: IRequest) -> None:
        await self._by(request)


class Upgraded(Protocol):
    """A protocol that takes the place of HTTP."""

    def __init__(self) -> None:
        self.received = b""
        self.draining = False
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def drain(self) -> None:
        self.draining = True
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, _reason: Failure | None = None) -> None:  # type: ignore[override]
        self.lost = True


@attrs.frozen
class Served:
    site: StreamingSite
    client: RawClient


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Served]:
    """Start a site, and connect a client to it."""
    from twisted.internet import reactor

    site = StreamingSite(Answering(answer), reactor, idle_timeout_s=60, body_timeout_s=60)
    port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
    try:
        yield Served(site, await connect(port.getHost().port))
    finally:
        await port.stopListening()
        site.abort_connections()
        await eventually(lambda: not site.connections())


class LostBadly(Upgraded):
    """Fails when its connection ends."""

    def connectionLost(self, _reason: Failure | None = None) -> None:  # type: ignore[override]
        super().connectionLost()
        raise RuntimeError("lost badly")


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_fails_at_its_end_does_not_hold_up_a_stop() -> None:
    protocol = LostBadly()

    async def answer(request: IRequest) -> None:
        upgrade(request, "x", protocol)  # type: ignore[arg-type]

    async with serving(answer) as served:
        served.client.begin("GET", "/")
        assert (await served.client.answer()).code == 101
        served.client.leave()
        await eventually(lambda: protocol.lost)
        assert not served.site.connections()


@pytest_twisted.ensureDeferred
async def test_a_request_whose_resource_fails_is_cut_rather_than_left_waiting() -> None:
    async def answer(_request: IRequest) -> None:
        raise RuntimeError("a resource that fails")

    async with serving(answer) as served:
        served.client.begin("GET", "/")
        await eventually(lambda: served.client.ended)


@pytest_twisted.ensureDeferred
async def test_a_request_whose_head_has_begun_at_a_stop_is_answered() -> None:
    async def answer(request: IRequest) -> None:
        request.finish()

    async with serving(answer) as served:
        served.client.send(b"GET / HTTP/1.1\r\nHo")
        await eventually(lambda: any(connection._head for connection in served.site.connections()))
        served.site.drain()
        served.client.send(b"st: test\r\n\r\n")
        answered = await served.client.answer()
        assert (answered.code, answered.headers["connection"]) == (200, "close")
        await eventually(lambda: served.client.ended)


@pytest_twisted.ensureDeferred
async def test_an_upgrade_during_a_stop_is_drained_too() -> None:
    protocol, going_on = Upgraded(), Deferred[None]()
    begun: list[IRequest] = []

    async def answer(request: IRequest) -> None:
        begun.append(request)
        await going_on
        upgrade(request, "x", protocol)  # type: ignore[arg-type]

    async with serving(answer) as served:
        served.client.begin("GET", "/")
        await eventually(lambda: begun)
        served.site.drain()
        going_on.callback(None)
        assert (await served.client.answer()).code == 101
        assert protocol.draining


@pytest_twisted.ensureDeferred
async def test_an_upgrade_after_the_client_has_left_does_nothing() -> None:
    protocol, going_on = Upgraded(), Deferred[None]()
    begun: list[IRequest] = []
    done: list[bool] = []

    async def answer(request: IRequest) -> None:
        begun.append(request)
        await going_on
        upgrade(request, "x", protocol)  # type: ignore[arg-type]
        done.append(True)

    async with serving(answer) as served:
        served.client.begin("GET", "/")
        await eventually(lambda: begun)
        served.client.leave()
        await eventually(lambda: not served.site.connections())
        going_on.callback(None)
        assert done
        assert protocol.transport is None


@pytest_twisted.ensureDeferred
async def test_what_is_answered_after_an_upgrade_is_not_written_into_the_new_protocol() -> None:
    protocol = Upgraded()

    async def answer(request: IRequest) -> None:
        upgrade(request, "x", protocol)  # type: ignore[arg-type]
        request.setHeader("Content-Length", "1")
        request.write(b"a")
        request.finish()

    async with serving(answer) as served:
        served.client.begin("GET", "/")
        served.client.send(b"b")
        assert (await served.client.answer()).code == 101
        await eventually(lambda: protocol.received == b"b")
        assert protocol.transport is not None
        protocol.transport.loseConnection()
        assert await served.client.until_ended() == b""
