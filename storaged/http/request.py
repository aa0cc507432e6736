"""Requests that are answered when their headers are complete, and the site that makes them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import cached_property
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from storaged.http.admission import Admission
from storaged.http.body import RequestBody
from storaged.http.channel import LINGER_S, StreamingChannel
from storaged.http.eager import write_eagerly
from storaged.http.idle import IdleConnections
from storaged.http.interfaces import IRequest
from storaged.http.names import Call, CalledNames, OwnNames
from storaged.http.reading import read_to_measure
from storaged.http.targets import parse_absolute
from storaged.http.window import SharedWindow
from storaged.system.once import Once

BUFFER_SIZE = 256 * 1024
"""The most bytes of one read, and the bytes kept for a slow peer before its producer is paused."""

_ALL_CONNECTIONS = 32 * 1024 * 1024
"""Bytes that all connections of a site together may hold like this; if they are many, each gets less."""

HEAD_TIMEOUT_S = 30.0
"""Seconds that the head of a request may take, unless a site has a different limit."""

HEAD_LIMIT = 16 * 1024
"""Bytes that the head of a request may have, unless a site has a different limit."""

IDLE_LIMIT = 1024
"""Connections that one address may keep without a request in progress, unless a site has a different limit."""


@implementer(IRequest)
class StreamingRequest(Request):
    """A request that is processed when its headers are complete; its body is `body`."""

    body: RequestBody
    channel: Any

    def gotLength(self, length: int | None) -> None:
        """Begin the request.  The channel calls this after the headers, before any byte of the body."""
        self.content = BytesIO()  # the base class closes it; nothing is written to it
        channel = self.channel
        expects_continue = self.getHeader("Expect") is not None and channel._version == b"HTTP/1.1"
        # The channel answers 100 by itself, right after this method, if it finds this header.
        self.requestHeaders.removeHeader("Expect")
        self.body = RequestBody(self, length, expects_continue=expects_continue)
        if not channel.begun:
            channel.begun = True
            # Both the size of a read and the high-water mark of writes (abstract.FileDescriptor).
            channel.transport.bufferSize = channel.site.window.size
            read_to_measure(channel.transport)
            # Each request calls this, and the transport would ask the kernel each time.
            host = self.host
            channel.getHost = lambda: host
            if channel.site.take_timeout_s is not None:
                channel.waits_for_reader = _limit_waiting(channel.transport, channel.site.take_timeout_s)
        if length != 0:
            # Without a body the channel calls requestReceived at once; with a body it does so only at the body's end.
            self._begin(channel._command, channel._path, channel._version)

    def _begin(self, command: bytes, path: bytes, version: bytes) -> None:
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.split(b"?", 1)[0]
        if not self.body.complete:
            self.channel.setTimeout(None)  # the body is not wanted yet
        self.process()

    def header_values(self, name: str) -> list[str]:
        """Return the values of a header, in order; bytes that are not UTF-8 are lone surrogates."""
        values = self.requestHeaders.getRawHeaders(name.encode("ascii"), [])
        return [value.decode("utf-8", "surrogateescape") for value in values]

    def getHeader(self, key: Any) -> Any:
        """Return the last value of a header, as in `header_values`; None if the request has no such header."""
        if isinstance(key, bytes):
            return super().getHeader(key)
        values = self.header_values(key)
        return values[-1] if values else None

    def has_header(self, name: bytes) -> bool:
        """Return whether the request has a header."""
        return bool(self.requestHeaders.hasHeader(name))

    def remove_header(self, name: str) -> None:
        """Remove a header of the answer, if it is set."""
        self.responseHeaders.removeHeader(name)

    @property
    def call(self) -> Call:
        """The names by which the request calls the server.  An absolute-form target overrides `Host` (RFC 9112 section
        3.2.2).
        """
        absolute = parse_absolute(self.uri)
        host = absolute[1].decode("ascii", "replace") if absolute else self.getHeader("Host") or ""
        local, peer = self.host, self.client
        return Call(
            host,
            self.header_values("X-Forwarded-Host"),
            self.header_values("Forwarded"),
            (local.host, local.port) if hasattr(local, "port") else None,
            getattr(peer, "host", None),
        )

    @cached_property
    def _called(self) -> CalledNames:
        """The names by which the request calls the server, read once, however many URLs a header has."""
        names: OwnNames = self.channel.site.names
        return names.called(self.call)

    def is_for(self, authority: str) -> bool:
        """Return whether an authority, a host with or without a port, names the server that this request has called."""
        return self._called.has(authority)

    def is_called(self, authority: str) -> bool:
        """Return whether an authority is exactly a name by which this request calls the server."""
        return self._called.is_called(authority)

    def comes_by_safe_names(self) -> bool:
        """Return whether the request calls the server by safe names only; see `CalledNames.allows_operators`."""
        return self._called.allows_operators()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body."""
        self.body.received(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Handle the end of the body, or a request without a body."""
        # The channel has just saved the timeout of the body as the one to continue with after the answer.
        self.channel._savedTimeOut = self.channel.site.timeOut
        if self.body.complete:
            self._begin(command, path, version)
        else:
            self.body.ended()

    def connectionLost(self, reason: Failure) -> None:
        """Handle the end of the connection."""
        super().connectionLost(reason)
        if self.content is not None:  # a request whose head was not well formed never began
            self.body.broke(reason)

    def pause_reading(self) -> None:
        """Stop reading from the client.  No timeout runs, because it is this side that waits."""
        self.channel.setTimeout(None)
        self.channel.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Continue to read; the client must not be silent for longer than `body_timeout_s`."""
        self.channel.setTimeout(self.channel.site.body_timeout_s)
        self.channel.transport.resumeProducing()

    def send_continue(self) -> None:
        """Tell the client to send its body."""
        # Written to the transport directly, because it is not the answer.
        self.channel.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def write(self, data: bytes) -> None:
        """Write a piece of the answer."""
        if self.startedWriting or self._disconnected:
            super().write(data)
        else:
            write_eagerly(self.channel.transport, [self._begin_answer(data)])

    def write_pieces(self, pieces: Sequence[bytes]) -> None:
        """Write pieces of the answer's body, without joining them."""
        if self._disconnected:
            return
        head = [] if self.startedWriting else [self._begin_answer(b"")]
        size = sum(map(len, pieces))
        if self.method == b"HEAD" or not size:
            write_eagerly(self.channel.transport, head)
        elif self.chunked:
            write_eagerly(self.channel.transport, [*head, b"%x\r\n" % size, *pieces, b"\r\n"])
        else:
            write_eagerly(self.channel.transport, [*head, *pieces])

    def _begin_answer(self, data: bytes) -> bytes:
        """Return the head of the answer, with the first piece of its body."""
        # Otherwise the rest of the request's body would be read as the next request.  A draining site takes no more.
        if not self.body.complete or self.channel.site.draining:
            self.channel.persistent = False
            self.setHeader("Connection", "close")
        # The base class and the channel write to the transport in several pieces; here they are needed in one.
        written = _Written()
        transport, self.channel.transport = self.channel.transport, written
        try:
            super().write(data)
        finally:
            self.channel.transport = transport
        return b"".join(written.pieces)

    def finish(self) -> None:
        """End the answer.  If the client is still sending, its bytes are discarded for up to `LINGER_S` seconds."""
        if self._disconnected:
            return
        if not self.startedWriting:
            self.write(b"")
        if self.body.complete:
            super().finish()
            return
        finish = super().finish
        linger = self.channel.site.reactor.callLater(LINGER_S, self._give_up_lingering)

        def ended(_: object) -> None:
            if linger.active():
                linger.cancel()
            if not self._disconnected:
                finish()

        if self.chunked:
            self.channel.write(b"0\r\n\r\n")
            self.chunked = 0
        self.body.discard().addBoth(ended)

    def _give_up_lingering(self) -> None:
        self.channel.transport.abortConnection()

    def abort(self) -> None:
        """Cut the connection, so that the client sees that the answer is not whole."""
        if not self._disconnected:
            self.channel.transport.abortConnection()


def own_request(request: IRequest) -> StreamingRequest:
    """Return a request as this package made it, with its connection.

    :raise TypeError: the request is of a different HTTP layer.
    """
    if isinstance(request, StreamingRequest):
        return request
    raise TypeError(f"{request!r} is not a StreamingRequest")


class _Written:
    """A transport that collects the bytes written to it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.write = self.pieces.append
        self.writeSequence = self.pieces.extend


def _limit_waiting(transport: Any, timeout_s: float) -> bool:
    """Make the kernel end a connection whose peer takes nothing for too long (tcp(7)); return whether it will."""
    if transport.socket.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout_s * 1000))
    return True


class _Connection(_GenericHTTPChannelProtocol):
    """The protocol of a connection: a proxy of a channel, or of the protocol that took its place.

    The base class is private; `HTTPFactory.protocol` makes it.
    """

    _factory: Any

    def connectionLost(self, reason: Failure) -> None:
        """Handle the end of the connection."""
        self._factory.forget(self)
        self._channel.connectionLost(reason)


class StreamingSite(Site):
    """A site whose resource gets requests before their bodies.

    :param resource: a leaf, which gets every request.
    :param idle_timeout_s: seconds for which a connection may stay without a request.
    :param body_timeout_s: seconds for which a client may send nothing while its body is wanted.
    :param head_limit: bytes that the head of a request may have.
    :param head_timeout_s: seconds that the head of a request may take, from its first byte to its last.
    :param idle_limit: how many connections one address may keep without a request in progress; 0 for no limit.
    :param names: the server's own names.
    :param take_timeout_s: seconds for which a client may take nothing of an answer; None for no limit.
    :param connection_limit: how many connections there may be at once; None for no limit.
    :ivar admission: decides which connections are accepted; see `storaged.http.listening.listen`.
    """

    noisy = False
    protocol = staticmethod(lambda: _Connection(StreamingChannel()))

    def __init__(
        self,
        resource: IResource,
        reactor: Any,
        *,
        idle_timeout_s: float,
        body_timeout_s: float,
        head_limit: int = HEAD_LIMIT,
        head_timeout_s: float = HEAD_TIMEOUT_S,
        idle_limit: int = IDLE_LIMIT,
        names: OwnNames = OwnNames(),  # noqa: B008 - it is frozen
        take_timeout_s: float | None = None,
        connection_limit: int | None = None,
    ) -> None:
        super().__init__(
            resource,
            requestFactory=StreamingRequest,
            timeout=idle_timeout_s,
            reactor=reactor,
            parsePOSTFormSubmission=False,
        )
        self.body_timeout_s = body_timeout_s
        self.names = names
        self.head_limit = head_limit
        self.head_timeout_s = head_timeout_s
        self.idle_connections = IdleConnections(idle_limit, reactor)
        self.take_timeout_s = take_timeout_s
        self.displayTracebacks = False
        self._connections: set[Any] = set()
        self.admission = Admission(connection_limit, lambda: len(self._connections), self.idle_connections, reactor)
        self._drained: Once[None] = Once()
        self.draining = False
        self.window = SharedWindow(_ALL_CONNECTIONS, BUFFER_SIZE, self._limit_buffers)
        """How much each connection may read at once, and hold for a slow client."""

    def buildProtocol(self, addr: Any) -> Any:
        """Make the protocol of a new connection."""
        protocol = super().buildProtocol(addr)
        self._connections.add(protocol)
        self.window.enter()
        return protocol

    def forget(self, protocol: Any) -> None:
        """Forget a connection that has ended."""
        if protocol in self._connections:
            self._connections.discard(protocol)
            self.window.leave()
            self.admission.left()
        self._report_drained()

    def _limit_buffers(self, size: int) -> None:
        for protocol in self._connections:
            transport = protocol._channel.transport
            if transport is not None:
                transport.bufferSize = size

    def drain(self) -> Deferred[None]:
        """Take no more requests on the open connections: idle ones end now, the others with their answer.

        :return: a Deferred that fires with None when no connection is left.
        """
        self.draining = True
        self.admission.stop()
        for protocol in self.connections():
            connection = protocol._channel
            if isinstance(connection, HTTPChannel):
                if connection.requests:
                    connection.persistent = False
                elif connection.transport is not None:
                    connection.transport.loseConnection()
            else:
                connection.drain()
        drained = self._drained.wait()
        self._report_drained()
        return drained

    def _report_drained(self) -> None:
        if self.draining and not self._connections:
            self._drained.fire(None)

    def connections(self) -> list[Any]:
        """Return the protocols of the open connections, each a proxy of its channel."""
        return list(self._connections)

    def abort_connections(self) -> None:
        """Cut all open connections."""
        for protocol in list(self._connections):
            # The protocol is a proxy of the channel that holds the transport (http._GenericHTTPChannelProtocol).
            transport = protocol._channel.transport
            if transport is not None:  # None if it was never connected: a client left while TLS was set up
                transport.abortConnection()

    def _updateLogDateTime(self) -> None:
        """Format no date for access lines.

        The base class formats one each second, by the reactor's clock, which is not the wall clock.
        """

    def log(self, request: Any) -> None:
        """Write no access line: the code that does the work logs all that matters."""
