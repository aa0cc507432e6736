"""Connections that begin as an HTTP request and go on with a protocol of their own (RFC 9110 section 7.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from storaged.http.interfaces import IRequest
from storaged.http.request import BUFFER_SIZE, own_request
from storaged.system.once import Once

_MAX_HEAD = 16 * 1024


class NotUpgraded(Exception):
    """The server answered something else than 101.

    :param headers: the answer's headers, by lower-case names.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.headers = headers


class IDrainingProtocol(IProtocol):
    """A protocol that can be asked to come to its end."""

    def drain() -> None:
        """Take no more requests, and end the connection when those under way are answered."""


def upgrade(request: IRequest, name: str, protocol: IDrainingProtocol) -> None:
    """Answer a request with 101; from then on its connection belongs to a protocol.

    :param name: the protocol's name, as the client asked for it.
    """
    channel = own_request(request).channel
    transport = channel.transport
    transport.writeSequence(_lines("HTTP/1.1 101 Switching Protocols", {"Connection": "Upgrade", "Upgrade": name}))
    # The channel paused the transport for writes that are too much for it, and ended it where it was idle.
    channel._networkProducer.unregisterProducer()
    channel.setTimeout(None)
    _keep(transport)
    # What the connection's proxy of the channel gets goes to the protocol from now on, over TLS too.
    proxy = next(each for each in channel.site.connections() if each._channel is channel)
    proxy._channel = protocol
    protocol.makeConnection(transport)
    transport.resumeProducing()


def _keep(transport: Any) -> None:
    """Suit a connection that stays, with messages that are waited for."""
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    transport.bufferSize = BUFFER_SIZE


def _lines(first: str, headers: Mapping[str, str]) -> list[bytes]:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return ["\r\n".join(lines).encode("ascii")]


class UpgradingProtocol(Protocol):
    """Asks for another protocol, and is a conduit to it afterwards.

    :param path: what to GET.
    :param headers: of the request; `Connection` and `Upgrade` are added.
    :param name: the protocol's name.
    :param protocol: is connected when the server has agreed.
    """

    transport: Any

    def __init__(self, path: str, headers: Mapping[str, str], name: str, protocol: IProtocol) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self.transport.abortConnection())
        self._ask = _lines(f"GET {path} HTTP/1.1", {**headers, "Connection": "Upgrade", "Upgrade": name})
        self._protocol = protocol
        self._head: bytes | None = b""
        self._lost: Once[None] = Once()

    def when_lost(self) -> Deferred[None]:
        """Learn that the connection has ended."""
        return self._lost.wait()

    def connectionMade(self) -> None:
        """Ask."""
        _keep(self.transport)
        self.transport.writeSequence(self._ask)

    def dataReceived(self, data: bytes) -> None:
        """Take the answer's head, and after it what is the protocol's."""
        if self._head is None:
            self._protocol.dataReceived(data)
            return
        if self.done.called:  # refused, or cancelled: the connection is being aborted
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if end:
            self._answered(head, rest)
        elif len(self._head) > _MAX_HEAD:
            self.transport.abortConnection()

    def _answered(self, head: bytes, rest: bytes) -> None:
        status, headers = _parse_head(head)
        if status != 101:
            self.transport.abortConnection()
            self._report(Failure(NotUpgraded(status, headers)))
            return
        self._head = None
        self._protocol.makeConnection(self.transport)
        self._report(None)
        if rest:
            self._protocol.dataReceived(rest)

    def _report(self, failure: Failure | None) -> None:
        if self.done.called:
            return
        if failure is None:
            self.done.callback(None)
        else:
            self.done.errback(failure)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Take the end."""
        if self._head is None:
            self._protocol.connectionLost(reason)
        else:
            self._report(reason)
        self._lost.fire(None)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return status, headers
