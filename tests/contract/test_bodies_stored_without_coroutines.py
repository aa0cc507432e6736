"""Bodies that a resource stores without a coroutine, whether they come with their heads or later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from storaged.http import IRequest, StreamingResource, StreamingSite
from tests.cluster.raw import RawClient, connect
from tests.cluster.waiting import eventually
from tests.contract.test_answered_without_coroutines import Observing, say


@implementer(IConsumer)
class Taking:
    """Keeps a body, and stores it when the test says so."""

    def __init__(self) -> None:
        self.data = b""
        self.stored: Deferred[Any] | None = None
        self.aborted = ""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert producer is not None
        assert streaming

    def unregisterProducer(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> Deferred[Any]:
        self.stored = Deferred()
        return self.stored

    def abort(self, reason: str) -> Deferred[None]:
        self.aborted = reason
        return succeed(None)


class Storing(StreamingResource):
    """Takes the bodies of `/soon`, and leaves all others to its coroutine."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Taking] = []
        self.left: list[bytes] = []

    def begin_at_once(self, request: IRequest) -> Taking | None:
        if request.uri != b"/soon":
            return None
        self.taken.append(Taking())
        return self.taken[-1]

    def answer_stored(self, stored: Any, request: IRequest) -> None:
        say(request, stored)

    async def judge(self, request: IRequest, work: Any) -> None:
        try:
            await work()
        except ValueError as problem:
            say(request, str(problem).encode())

    async def respond(self, request: IRequest) -> None:
        self.left.append(request.uri)
        say(request, b"left")


@attrs.frozen
class Served:
    resource: Storing
    observer: Observing
    client: RawClient

    async def stored(self, number: int = 0) -> Taking:
        """Return what has taken a body, after its end."""
        taken = self.resource.taken
        await eventually(lambda: len(taken) > number and taken[number].stored is not None)
        return taken[number]


@pytest_twisted.async_yield_fixture
async def served() -> AsyncIterator[Served]:
    from twisted.internet import reactor

    resource, observer = Storing(), Observing()
    site = StreamingSite(resource, reactor, idle_timeout_s=60, body_timeout_s=60, observer=observer)
    port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
    yield Served(resource, observer, await connect(port.getHost().port))
    await port.stopListening()
    site.abort_connections()
    await eventually(lambda: not site.connections())


def begin(served: Served, path: str, *headers: str, size: int = 6) -> None:
    served.client.begin("PUT", path, f"Content-Length: {size}", *headers)


@pytest.mark.parametrize("expects", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_body_that_comes_later_is_stored_after_its_last_byte(served: Served, expects: bool) -> None:
    begin(served, "/soon", *(["Expect: 100-continue"] if expects else []))
    if expects:
        assert (await served.client.answer()).code == 100
    await eventually(lambda: served.resource.taken)
    [taking] = served.resource.taken
    for piece in (b"ab", b"cd"):
        served.client.send(piece)
        await eventually(lambda piece=piece: taking.data.endswith(piece))
    assert taking.stored is None
    served.client.send(b"efGET /next HTTP/1.1\r\nHost: test\r\n\r\n")
    taking = await served.stored()
    assert (taking.data, served.resource.left) == (b"abcdef", [])
    assert taking.stored is not None
    taking.stored.callback(b"stored")
    assert [(await served.client.answer()).body for _ in range(2)] == [b"stored", b"left"]
    assert served.observer.ends == [(b"/soon", True), (b"/next", True)]
    assert (served.resource.left, taking.aborted) == ([b"/next"], "")


@pytest_twisted.ensureDeferred
async def test_a_body_that_cannot_be_stored_is_answered_with_the_reason(served: Served) -> None:
    for number, at_once in enumerate((True, False)):
        begin(served, "/soon", "Expect: 100-continue")
        served.client.send(b"abcdef" if at_once else b"")
        if not at_once:
            assert (await served.client.answer()).code == 100
            served.client.send(b"abcdef")
        taking = await served.stored(number)
        assert taking.stored is not None
        taking.stored.errback(ValueError("no room"))
        assert (await served.client.answer()).body == b"no room"


@pytest_twisted.ensureDeferred
async def test_what_cannot_begin_gets_no_continue(served: Served) -> None:
    begin(served, "/other", "Expect: 100-continue")
    answer = await served.client.answer()
    assert (answer.code, answer.body, answer.headers["connection"]) == (200, b"left", "close")
    assert await served.client.until_ended() == b""


@pytest.mark.parametrize("sent", [b"", b"abc"])
@pytest_twisted.ensureDeferred
async def test_a_body_that_breaks_off_is_aborted_and_not_answered(served: Served, sent: bytes) -> None:
    begin(served, "/soon", "Expect: 100-continue")
    assert (await served.client.answer()).code == 100
    [taking] = served.resource.taken
    served.client.send(sent)
    await eventually(lambda: taking.data == sent)
    served.client.reset()
    await eventually(lambda: taking.aborted)
    assert (taking.stored, served.resource.left) == (None, [])
    assert served.observer.ends == [(b"/soon", False)]


@pytest.mark.parametrize("lines", ["Content-Length: 0", "Transfer-Encoding: chunked"])
@pytest_twisted.ensureDeferred
async def test_a_body_that_is_empty_or_of_unknown_length_is_left_to_the_coroutine(served: Served, lines: str) -> None:
    served.client.begin("PUT", "/soon", lines, "Expect: 100-continue")
    assert (await served.client.answer()).body == b"left"
    assert (served.resource.left, served.resource.taken) == ([b"/soon"], [])
