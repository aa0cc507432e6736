"""The contract of requests: what resources may use of them, with any HTTP layer below."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from zope.interface.verify import verifyObject

from storaged.http import (
    IRequest,
    OwnNames,
    StreamingResource,
    StreamingSite,
    can_send_file,
    parse_networks,
    send_body,
    upgrade,
)
from storaged.http.names import Call, CalledNames


class Examined(StreamingResource):
    """A resource that shows each request to a test."""

    def __init__(self, examine: Callable[[IRequest], None]) -> None:
        super().__init__()
        self._examine = examine

    async def respond(self, request: IRequest) -> None:
        self._examine(request)
        request.finish()


class Asking(Protocol):
    """Sends a request, and keeps what it receives until the connection ends."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._pieces: list[bytes] = []
        self.answered: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)

    def connectionLost(self, _reason: object = None) -> None:
        self.answered.callback(b"".join(self._pieces))


async def answer(request: bytes, examine: Callable[[IRequest], None], names: OwnNames = OwnNames()) -> bytes:  # noqa: B008 - it is frozen
    """Send a request to a resource that examines it; return the answer."""
    from twisted.internet import reactor

    site = StreamingSite(Examined(examine), reactor, idle_timeout_s=60, body_timeout_s=60, names=names)
    port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
    asking = Asking(request)
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), asking)
    answered = await asking.answered
    await port.stopListening()
    return answered


@pytest_twisted.ensureDeferred
async def test_a_request_provides_its_interface_and_says_what_was_asked() -> None:
    seen: list[object] = []

    def examine(request: IRequest) -> None:
        verifyObject(IRequest, request)
        seen.extend((request.method, request.uri, request.body.length, request.call.host))
        seen.extend((request.header_values("X-A"), request.getHeader("x-a"), request.getHeader("X-B")))
        seen.extend((request.has_header(b"X-A"), request.has_header(b"X-B"), request.startedWriting))
        seen.extend((request.is_for("h:80"), request.is_called("h"), request.comes_by_safe_names()))

    head = (
        b"PUT /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: \xff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert (await answer(head, examine)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert seen == [
        *(b"PUT", b"/a%20b?c=d", 0, "h"),
        *(["1", "\udcff"], "\udcff", None),
        *(True, False, False),
        *(True, True, False),
    ]


@attrs.frozen
class CountingNames(OwnNames):
    """Notes how often they are asked for those of a request."""

    calls: list[Call] = attrs.Factory(list)

    def called(self, call: Call) -> CalledNames:
        self.calls.append(call)
        return super().called(call)


@pytest_twisted.ensureDeferred
async def test_the_names_in_a_request_are_read_once_however_often_they_are_asked_for() -> None:
    names = CountingNames(proxies=parse_networks(["127.0.0.1"]))

    def examine(request: IRequest) -> None:
        assert all(request.is_for("h") and request.is_called("p") for _ in range(100))
        assert not request.comes_by_safe_names()

    head = b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Host: p\r\nConnection: close\r\n\r\n"
    assert (await answer(head, examine, names)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert [call.host for call in names.calls] == ["h"]


@pytest_twisted.ensureDeferred
async def test_an_answer_is_written_as_its_resource_says() -> None:
    def examine(request: IRequest) -> None:
        request.setResponseCode(207)
        request.setHeader("X-A", "1")
        request.setHeader("X-B", "2")
        request.remove_header("X-B")
        request.setHeader(b"Content-Length", b"6")
        request.write(b"ab")
        assert request.startedWriting
        request.write_pieces([b"cd", b"ef"])

    head, _, body = (await answer(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", examine)).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 207 Multi-Status\r\n")
    assert b"X-A: 1" in head
    assert b"X-B" not in head
    assert body == b"abcdef"


@pytest_twisted.ensureDeferred
async def test_requests_of_another_layer_are_refused() -> None:
    with pytest.raises(TypeError):
        can_send_file(object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        upgrade(object(), "x", object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await send_body(object(), Deferred)  # type: ignore[arg-type]
