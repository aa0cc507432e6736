"""Documents of other servers are fetched with limits, over real connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from storaged.http import Fetcher, NotFetched

LIMIT = 1000


class Scripted(Protocol):
    """Answers whatever comes with bytes, and keeps the connection."""

    def dataReceived(self, data: bytes) -> None:
        factory: Any = self.factory
        factory.heard.append(data)
        assert self.transport is not None
        self.transport.write(factory.answer)

    def connectionLost(self, reason: object = None) -> None:  # noqa: ARG002 - Twisted's
        factory: Any = self.factory
        factory.lost.callback(None)


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], Any]]:
    """A function that serves one answer; it returns the factory, which has the URL."""
    from twisted.internet import reactor

    ports = []

    def begin(answer: bytes) -> Any:
        factory: Any = Factory.forProtocol(Scripted)
        factory.answer, factory.heard, factory.lost = answer, [], Deferred()
        ports.append(reactor.listenTCP(0, factory, interface="127.0.0.1"))  # type: ignore[attr-defined]
        factory.url = f"http://127.0.0.1:{ports[-1].getHost().port}/keys"
        return factory

    yield begin
    for port in ports:
        pytest_twisted.blockon(port.stopListening())


def fetcher(timeout_s: float = 60.0) -> Fetcher:
    from twisted.internet import reactor

    return Fetcher(reactor, timeout_s=timeout_s, limit=LIMIT)


def answer(body: bytes, status: str = "200 OK", length: int | None = None, more: str = "") -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{more}\r\n".encode() + body


@pytest_twisted.ensureDeferred
async def test_a_document_is_fetched(serve: Callable[[bytes], Any]) -> None:
    server = serve(answer(b"x" * LIMIT))
    assert await fetcher().fetch(server.url) == b"x" * LIMIT
    await server.lost
    assert b"GET /keys HTTP/1.1\r\n" in server.heard[0]


@pytest_twisted.ensureDeferred
async def test_answers_that_are_of_no_use_are_refused(serve: Callable[[bytes], Any]) -> None:
    for said, reason in [
        (answer(b"x" * (LIMIT + 1)), "more than 1000 bytes"),
        (answer(b"x" * (LIMIT + 1), length=10**12), "more than 1000 bytes"),  # and the rest is not waited for
        (answer(b"", "500 Oops"), "has the status 500"),
        (answer(b"", "302 Found", more="Location: http://127.0.0.1:1/\r\n"), "has the status 302"),
        (b"nonsense\r\n\r\n", "not well-formed HTTP"),
    ]:
        server = serve(said)
        with pytest.raises(NotFetched, match=reason) as caught:
            await fetcher().fetch(server.url)
        assert str(caught.value).startswith(server.url)
        await server.lost


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_is_told(serve: Callable[[bytes], Any]) -> None:
    with pytest.raises(NotFetched, match="the connection was refused"):
        await fetcher().fetch("http://127.0.0.1:1/")


@pytest_twisted.ensureDeferred
async def test_a_server_that_stops_in_the_middle_is_left(serve: Callable[[bytes], Any]) -> None:
    for said in (b"", answer(b"x", length=2)):
        server = serve(said)
        with pytest.raises(NotFetched, match="no answer in 0 s"):
            await fetcher(timeout_s=0.2).fetch(server.url)
        await server.lost


@pytest_twisted.ensureDeferred
async def test_a_fetch_that_is_cancelled_ends_its_connection(serve: Callable[[bytes], Any]) -> None:
    server = serve(answer(b"x", length=2))
    fetching = fetcher().fetch(server.url)
    while not server.heard:
        await _turn()
    fetching.cancel()
    with pytest.raises((CancelledError, NotFetched)):
        await fetching
    await server.lost


async def _turn() -> None:
    from twisted.internet import reactor

    await deferLater(reactor, 0)
