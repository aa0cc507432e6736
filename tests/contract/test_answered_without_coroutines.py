"""Requests that a resource answers without a coroutine, once one thing that it waits for is proven."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import pytest_twisted
from twisted.internet.defer import Deferred

from storaged.http import IObservedRequest, IRequest, StreamingResource, StreamingSite
from tests.cluster.raw import RawClient, connect
from tests.cluster.waiting import eventually


class Proving(StreamingResource):
    """Answers a GET when a test has proven it, and by its coroutine if that is not so.

    :ivar proofs: those that were asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.proofs: list[tuple[IRequest, Deferred[bool]]] = []
        self.left: list[bytes] = []

    def respond_at_once(self, request: IRequest) -> bool | Deferred[bool]:
        if request.uri == b"/now":
            return self._write(True, request)
        proof: Deferred[bool] = Deferred()
        self.proofs.append((request, proof))
        return proof.addCallback(self._write, request)

    def _write(self, proven: bool, request: IRequest) -> bool:
        if proven:
            say(request, b"proven " + request.uri)
        return proven

    async def respond(self, request: IRequest) -> None:
        self.left.append(request.uri)
        say(request, b"left " + request.uri)


def say(request: IRequest, what: bytes) -> None:
    request.setHeader("Content-Length", str(len(what)))
    request.write(what)
    request.finish()


class Observing:
    """Notes which requests have ended, and whether their answers were whole."""

    def __init__(self) -> None:
        self.ends: list[tuple[bytes, bool]] = []

    def began(self, request: IObservedRequest) -> None:
        request.id = "id"

    def ended(self, request: IObservedRequest, *, whole: bool) -> None:
        self.ends.append((request.uri, whole))

    def refused(self, status: int, peer: str) -> None:
        raise AssertionError((status, peer))


@attrs.frozen
class Served:
    resource: Proving
    observer: Observing
    site: StreamingSite
    client: RawClient

    async def asked(self, *paths: str) -> tuple[IRequest, Deferred[bool]]:
        """Send requests together, and return the first proof that is asked for."""
        self.client.send(*(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode() for path in paths))
        await eventually(lambda: self.resource.proofs)
        return self.resource.proofs.pop(0)

    async def left(self) -> None:
        """Let the client leave, and wait until the site knows it."""
        self.client.reset()
        await eventually(lambda: not self.site.connections())


@pytest_twisted.async_yield_fixture
async def served() -> AsyncIterator[Served]:
    from twisted.internet import reactor

    resource, observer = Proving(), Observing()
    site = StreamingSite(resource, reactor, idle_timeout_s=60, body_timeout_s=60, observer=observer)
    port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
    yield Served(resource, observer, site, await connect(port.getHost().port))
    await port.stopListening()
    site.abort_connections()
    await eventually(lambda: not site.connections())


@pytest_twisted.ensureDeferred
async def test_requests_that_come_together_are_answered_in_their_order(served: Served) -> None:
    _, first = await served.asked("/a", "/now", "/b", "/c")
    assert not served.resource.proofs  # the next one begins when this one is answered
    first.callback(True)
    await eventually(lambda: served.resource.proofs)
    served.resource.proofs.pop(0)[1].callback(False)
    await eventually(lambda: served.resource.proofs)
    served.resource.proofs.pop(0)[1].callback(True)
    bodies = [(await served.client.answer()).body for _ in range(4)]
    assert bodies == [b"proven /a", b"proven /now", b"left /b", b"proven /c"]
    assert served.observer.ends == [(b"/a", True), (b"/now", True), (b"/b", True), (b"/c", True)]


@pytest_twisted.ensureDeferred
async def test_nothing_is_written_to_a_client_that_has_left_and_its_request_ends_once(served: Served) -> None:
    request, proof = await served.asked("/a")
    ends: list[str] = []
    request.at_end(lambda: ends.append("before"))
    await served.left()
    assert ends == ["before"]
    assert request.is_gone
    proof.callback(True)
    assert served.observer.ends == [(b"/a", False)]
    assert ends == ["before"]


@pytest_twisted.ensureDeferred
async def test_a_request_whose_client_has_left_is_not_begun_again(served: Served) -> None:
    _, proof = await served.asked("/a")
    await served.left()
    proof.callback(False)
    assert served.resource.left == []
    assert served.observer.ends == [(b"/a", False)]


@pytest_twisted.ensureDeferred
async def test_a_request_whose_proof_fails_is_cut_rather_than_left_waiting(served: Served) -> None:
    _, proof = await served.asked("/a")
    proof.errback(RuntimeError("a proof that fails"))
    await eventually(lambda: served.client.ended)
    assert served.observer.ends == [(b"/a", False)]


class Worked:
    """Counts how often the work on a request was said to have ended."""

    ended = 0

    def pause(self) -> None:
        raise AssertionError

    resume = pause

    def end(self) -> None:
        self.ended += 1


@pytest_twisted.ensureDeferred
async def test_what_counts_a_request_after_its_client_has_left_is_told_of_the_end_at_once(served: Served) -> None:
    request, _ = await served.asked("/a")
    await served.left()
    ends: list[str] = []
    request.at_end(lambda: ends.append("after"))
    work = Worked()
    request.count_work(work)
    assert ends == ["after"]
    assert work.ended == 1
