"""The end of a connection: each one ends, and no client is cut that still takes its last answer."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, connectProtocol, serverFromString
from twisted.internet.interfaces import IConsumer
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from zope.interface import implementer

from storaged.http import IRequest, StreamingResource, StreamingSite
from storaged.http.linger import LINGER_S
from storaged.http.uptake import count_unsent
from tests.certificates import write_certificate
from tests.cluster.raw import RawClient
from tests.cluster.waiting import eventually

# Twisted still passes pyOpenSSL objects that it makes itself.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

IDLE_S = 5
SIZE = 4_000_000
STEP = 250_000
"""Bytes that a slow client takes at a time; if they are few, its kernel does not tell the server's."""

BODY = bytes(40_000)
"""More than one record of TLS: the last ones arrive although reading was paused at the first."""


@implementer(IConsumer)
class Halting:
    """Pauses its producer at each piece, until the next turn of the reactor."""

    def __init__(self) -> None:
        self._producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        assert data
        from twisted.internet import reactor

        self._producer.pauseProducing()
        reactor.callLater(0, self._resume)  # type: ignore[attr-defined]

    def _resume(self) -> None:
        if self._producer is not None:
            self._producer.resumeProducing()


class Large(StreamingResource):
    """Answers a GET with much, and others with little, when their body has come."""

    def __init__(self) -> None:
        self.answers = 0

    async def respond(self, request: IRequest) -> None:
        await request.body.deliver(Halting())
        data = bytes(SIZE if request.method == b"GET" else 2)
        request.setHeader("Content-Length", str(len(data)))
        request.write(data)
        request.finish()
        self.answers += 1


@attrs.frozen
class Served:
    """A site whose time stands still unless a test advances the clock."""

    site: StreamingSite
    resource: Large
    clock: Clock
    endpoint: Any

    async def connect(self) -> RawClient:
        """Connect a client that has got one answer, and reads no more."""
        client = await connectProtocol(self.endpoint, RawClient())
        # Otherwise the kernel would take a large answer at once.
        client.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STEP // 2)
        client.begin("POST", "/", "Content-Length: 0")
        assert (await client.answer()).code == 200
        client.stop_reading()
        return client

    async def answered(self) -> None:
        """Wait until the second answer is given to the transport."""
        await eventually(lambda: self.resource.answers == 2)

    def unsent(self) -> int:
        """Return how many bytes the only connection has not sent; 0 if it has ended."""
        return sum(count_unsent(connection.transport) for connection in self.site.connections())

    async def has_ended(self) -> None:
        """Wait until no connection is left."""
        await eventually(lambda: not self.site.connections())


@asynccontextmanager
async def serving(kind: str, folder: Path) -> AsyncIterator[Served]:
    """Start a site.

    :param kind: "tcp" or "ssl".
    """
    from twisted.internet import reactor

    listen, pem = f"{kind}:0:interface=127.0.0.1", folder / "site.pem"
    if kind == "ssl":
        write_certificate(pem)
        listen += f":privateKey={pem}:certKey={pem}"
    clock, resource = Clock(), Large()
    site = StreamingSite(resource, clock, idle_timeout_s=IDLE_S, body_timeout_s=IDLE_S)
    port = await serverFromString(reactor, listen).listen(site)
    number = port.getHost().port
    endpoint = (
        TCP4ClientEndpoint(reactor, "127.0.0.1", number)
        if kind == "tcp"
        else SSL4ClientEndpoint(reactor, "127.0.0.1", number, CertificateOptions())
    )
    try:
        yield Served(site, resource, clock, endpoint)
    finally:
        await port.stopListening()
        site.abort_connections()
        await eventually(lambda: not site.connections())


kinds = pytest.mark.parametrize("kind", ["tcp", "ssl"])


@kinds
@pytest.mark.parametrize(
    ("header", "end"),
    [
        pytest.param("X: y", lambda served: served.clock.advance(IDLE_S), id="as it is idle"),
        pytest.param("X: y", lambda served: served.site.idle_connections.evict(1, 0), id="evicted"),
        pytest.param("X: y", lambda served: served.site.drain() and None, id="at a stop"),
        pytest.param("Connection: close", lambda served: served.clock.advance(0), id="with its answer"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_connection_does_not_end_before_its_client_has_taken_the_answer(
    tmp_path: Path, kind: str, header: str, end: Callable[[Served], None]
) -> None:
    async with serving(kind, tmp_path) as served:
        client = await served.connect()
        client.begin("GET", "/", header)
        await served.answered()
        end(served)
        while client.total < SIZE:
            before, next_stop = served.unsent(), min(client.total + STEP, SIZE)
            client.read_on()
            await client.until(lambda next_stop=next_stop: client.total >= next_stop)  # type: ignore[misc]
            client.stop_reading()
            await eventually(lambda before=before: served.unsent() != before or not before)
            served.clock.advance(LINGER_S)
        client.read_on()
        assert len((await client.answer()).body) == SIZE
        client.leave()
        await served.has_ended()


@kinds
@pytest_twisted.ensureDeferred
async def test_a_connection_ends_though_its_client_takes_nothing(tmp_path: Path, kind: str) -> None:
    async with serving(kind, tmp_path) as served:
        client = await served.connect()
        client.begin("GET", "/", "Connection: close")
        await served.answered()
        served.clock.pump([LINGER_S] * 2)
        await served.has_ended()
        client.read_on()
        await client.until_ended()
        assert client.total < SIZE


@kinds
@pytest_twisted.ensureDeferred
async def test_a_connection_ends_though_its_client_does_not_close_it(tmp_path: Path, kind: str) -> None:
    async with serving(kind, tmp_path) as served:
        client = await served.connect()
        client.begin("POST", "/", "Connection: close", "Content-Length: 0")
        await served.answered()
        await eventually(lambda: not served.unsent())
        served.clock.advance(LINGER_S)
        await served.has_ended()
        client.read_on()
        await client.until_ended()


@kinds
@pytest_twisted.ensureDeferred
async def test_a_connection_ends_after_a_body_that_was_paused_at_its_end(tmp_path: Path, kind: str) -> None:
    async with serving(kind, tmp_path) as served:
        client = await served.connect()
        client.read_on()
        client.begin("PUT", "/", "Connection: close", f"Content-Length: {len(BODY)}")
        client.send(BODY)
        assert (await client.answer()).code == 200
        await client.until_ended()
        await served.has_ended()
