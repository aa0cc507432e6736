"""Connections that begin as an HTTP request and continue with a different protocol (RFC 9110 section 7.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from storaged.http.interfaces import IDrainingProtocol, IRequest
from storaged.http.request import own_request
from storaged.http.transports import set_buffer_size
from storaged.system.once import Once

_MAX_HEAD = 16 * 1024

_BUFFER_SIZE = 256 * 1024
"""The most bytes of one read, and those that wait until a producer is paused.  The messages are mostly short."""


class NotUpgraded(Exception):
    """The server answered with a status other than 101.

    :param headers: the headers of the answer, by lower-case names.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.headers = headers


def upgrade(request: IRequest, name: str, protocol: IDrainingProtocol) -> None:
    """Answer a request with 101; from then on its connection belongs to `protocol`.

    If the client has left, nothing is done, and `protocol` is not connected.

    :param name: the protocol's name, as the client requested it.
    """
    own = own_request(request)
    if own.is_gone:
        return
    connection = own.connection
    transport = connection.transport
    transport.writeSequence(
        format_lines("HTTP/1.1 101 Switching Protocols", {"Connection": "Upgrade", "Upgrade": name})
    )
    _keep(transport)
    connection.hand_over(protocol)


def _keep(transport: Any) -> None:
    """Set up a connection that stays open, and whose messages must not be delayed."""
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    set_buffer_size(transport, _BUFFER_SIZE)


def format_lines(first: str, headers: Mapping[str, str]) -> list[bytes]:
    """Return a head, from its first line and its headers."""
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return ["\r\n".join(lines).encode("ascii")]


class UpgradingProtocol(Protocol):
    """Requests a different protocol, and afterwards passes the events of the connection to it.

    :param path: the path of the request.
    :param headers: the headers of the request; `Connection` and `Upgrade` are added.
    :param name: the protocol's name.
    :param protocol: the protocol, which is connected when the server has agreed.
    """

    transport: Any

    def __init__(self, path: str, headers: Mapping[str, str], name: str, protocol: IProtocol) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self.transport.abortConnection())
        self._ask = format_lines(f"GET {path} HTTP/1.1", {**headers, "Connection": "Upgrade", "Upgrade": name})
        self._protocol = protocol
        self._head: bytes | None = b""
        self._lost: Once[None] = Once()

    def when_lost(self) -> Deferred[None]:
        """Return a Deferred that fires when the connection has ended."""
        return self._lost.wait()

    def connectionMade(self) -> None:
        """Send the request."""
        _keep(self.transport)
        self.transport.writeSequence(self._ask)

    def dataReceived(self, data: bytes) -> None:
        """Handle the head of the answer, and pass all bytes after it to the protocol."""
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
        status, headers = parse_head(head)
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
        """Handle the end of the connection."""
        if self._head is None:
            self._protocol.connectionLost(reason)
        else:
            self._report(reason)
        self._lost.fire(None)


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the headers, by lower-case names, of an answer; status 0 if it has none."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return status, headers
