"""A connection: begins its requests, one after the other, and refuses those that are malformed.

Twisted's channel accepts, or fails at, some requests that RFC 9112 wants refused.  A refusal closes the connection,
because it is then not known where the next request begins.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

from storaged.http.lines import LineBuffer
from storaged.http.targets import encode_target

LINGER_S = 10.0
"""Seconds for which a refused client may continue to send, so that it can read the answer.  A connection that is closed
with unread bytes is reset, and the answer may be lost.
"""

_FIRST_BYTES = frozenset(b"\r\n!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
"""The first bytes of methods, and of the empty line that may precede one (RFC 9112 section 2.2)."""

# Bytes of a path or query that are not ASCII should be percent-encoded; curl and others send them as they are typed.
_BYTES = rb"[!-~\x80-\xff]*"
_AUTHORITY = rb"[!\"$-.0->@-~]*"
_TARGET = rb"(?:/" + _BYTES + rb"|[A-Za-z][A-Za-z0-9+.-]*://" + _AUTHORITY + rb"(?:[/?#]" + _BYTES + rb")?)"
_FIRST_LINE = re.compile(rb"[!-~]+ " + _TARGET + rb" HTTP/1\.[01]|OPTIONS \* HTTP/1\.[01]|CONNECT [!-~]+ HTTP/1\.[01]")
"""RFC 9112 sections 3.2 and 2.3; the base class checks the method only, and accepts invalid targets."""

_OTHER_VERSION = re.compile(rb"[^ ]+ [^ ]+ HTTP/(?!1\.[01])[0-9]\.[0-9]")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(:[0-9]*)?")
_EXPECTED = {b"100-continue"}
_MOST_DIGITS = 18
"""The most digits of a length, which must fit into the 64 bits that other programs use."""

_NEEDS_LENGTH = frozenset({b"PATCH", b"POST", b"PUT"})
"""Methods whose requests need a length in HTTP/1.0, which has no chunks: without a length a body has no known end."""

_MOST_EMPTY_LINES = 16
"""The most empty lines that are skipped before a request (RFC 9112 section 2.2)."""

_HEADER_COST = 256
"""Bytes that a header takes in memory in addition to its own, approximately."""

_MOST_AHEAD = 16 * 1024
"""Bytes that a client may send ahead, before it got its answer, until reading from it is paused."""


class StreamingChannel(HTTPChannel):
    """Receives one request after the other on a connection."""

    transport: Any
    site: Any
    _networkProducer: Any
    begun = False
    """Whether a request has begun on this connection."""
    _refused = False
    _held: list[bytes] | None = None
    _ahead_size = 0
    _empty_lines = 0
    _is_head_timed = False
    _parsing = False
    waits_for_reader = False
    """Whether the kernel ends the connection of a client that takes nothing of its answer."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = LineBuffer()

    # Input

    def connectionMade(self) -> None:
        """Begin to wait for the first request."""
        super().connectionMade()
        self.totalHeadersSize = self.site.head_limit
        self.site.idle_connections.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._refused:
            return  # bytes still arrive while the client reads the answer, or while TLS closes
        if self._held is not None:
            self._held.append(data)
            return
        if not self.line_mode:
            # The base class does this in a request's head, too: a byte now and then would keep a connection for ever.
            self.resetTimeout()
        elif not self._lines and not self._receivedHeaderSize and data and data[0] not in _FIRST_BYTES:
            # For example, a client that speaks TLS to this port waits for an answer, and never sends the end of a line.
            self.refuse(400, "this is not HTTP")
            return
        self._parse(data)
        if not self.line_mode:
            return
        if self._lines.has_bare_feed:
            # LF alone does not end a line here; a client that thinks so would wait in vain.
            self.refuse(400, "a line should end with CR and LF, not with LF alone")
        elif self._has_begun_head():
            if not self._is_head_timed:
                # One time limit for the whole head, from its first byte on; further bytes do not extend it.
                self._is_head_timed = True
                self.setTimeout(min(self.site.head_timeout_s, self.site.timeOut))
            size = self._receivedHeaderSize + len(self._lines) + _HEADER_COST * self._receivedHeaderCount
            self.site.idle_connections.hold(self, size)

    def _parse(self, data: bytes) -> None:
        """Handle the received bytes: line by line in a head, otherwise all at once.

        The base class does this, too.  But for each line it copies all bytes after the line, and each time that more of
        a line arrives it searches for the end of the line from its beginning.
        """
        self._lines.add(data)
        if self._parsing:
            return
        self._parsing = True
        try:
            while self._lines:
                if not self.line_mode:
                    self.rawDataReceived(self._lines.take_all())
                    continue
                line = self._lines.take_line()
                if line is None:
                    if len(self._lines) > self.totalHeadersSize:
                        self._refuse_size(self._receivedHeaderSize)
                    return
                self.lineReceived(line)
                if self.transport is None or self.transport.disconnecting:
                    return
        finally:
            self._parsing = False

    def clearLineBuffer(self) -> bytes:
        """Take the received bytes that are not parsed yet."""
        return self._lines.take_all()

    def _has_begun_head(self) -> bool:
        return bool(self.line_mode and (self._lines or self._receivedHeaderSize))

    def lineReceived(self, line: bytes) -> None:
        """Handle a line of a request's head."""
        size = self._receivedHeaderSize
        if size + len(line) > self.totalHeadersSize:
            self._refuse_size(size)
        elif size:
            if line.startswith((b" ", b"\t")):
                # The base class joins it to the line before; other programs see a second header (RFC 9112 section 5.2).
                self.refuse(400, "a header should be one line")
            else:
                super().lineReceived(line)
        elif not line:
            self._empty_lines += 1
            if self._empty_lines > _MOST_EMPTY_LINES:
                self.refuse(400, f"more than {_MOST_EMPTY_LINES} empty lines came before a request")
        elif _FIRST_LINE.fullmatch(line):
            self._begin_head(line)
        elif _OTHER_VERSION.fullmatch(line):
            self.refuse(505, "this server speaks HTTP/1.1")
        else:
            self.refuse(400, "a request should begin with a method, a path or a URL, and HTTP/1.1")

    def _begin_head(self, line: bytes) -> None:
        try:
            # The base class accepts no UTF-8 here.
            encoded = encode_target(line)
        except UnicodeDecodeError:
            self.refuse(400, "a URL should be UTF-8, percent-encoded or not")
            return
        if len(encoded) > self.totalHeadersSize:
            self._refuse_size(0)
        else:
            super().lineReceived(encoded)

    def _refuse_size(self, before: int) -> None:
        if before:
            self.refuse(431, f"the head of a request should have at most {self.totalHeadersSize} bytes")
        else:
            self.refuse(414, f"the first line of a request should have at most {self.totalHeadersSize} bytes")

    def headerReceived(self, line: bytes) -> bool:
        """Handle a header, and return whether it is well formed."""
        if self._receivedHeaderCount == self.maxHeaders:
            return self.refuse(431, f"a request should have at most {self.maxHeaders} headers")
        return bool(super().headerReceived(line))

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        # The base class accepts "identity" as a coding and any number of digits, and it accepts chunks in HTTP/1.0,
        # which other programs may not understand (RFC 9112 section 6.1).
        if header not in {b"Content-Length", b"Transfer-Encoding"}:
            return True
        if self._transferDecoder is not None:
            return self.refuse(400, "the length of the body should be told once")
        if header == b"Content-Length":
            if not data.isdigit() or len(data) > _MOST_DIGITS:
                return self.refuse(400, "Content-Length: should be the number of the body's bytes")
        elif data.lower() != b"chunked":
            return self.refuse(501, "Transfer-Encoding: should be chunked")
        elif self._version != b"HTTP/1.1":
            return self.refuse(400, "Transfer-Encoding: is of HTTP/1.1")
        return bool(super()._maybeChooseTransferDecoder(header, data))

    def allHeadersReceived(self) -> None:
        """Begin the request if its head is well formed; otherwise refuse it."""
        self._empty_lines = 0
        self._is_head_timed = False
        self.site.idle_connections.discard(self)
        problem = _fault_of_headers(self.requests[-1], self._version)
        if problem is None and self._transferDecoder is None and self._version == b"HTTP/1.0":
            problem = _fault_of_length(self._command)
        if problem is None:
            super().allHeadersReceived()
        else:
            self.refuse(*problem)

    def allContentReceived(self) -> None:
        """Handle the end of a request."""
        if not self._refused:
            super().allContentReceived()

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Return whether the connection may stay open when the request is answered."""
        # The base class reads the first header only, and does not split it at commas.
        values = request.requestHeaders._rawHeaders.get(b"Connection", ())
        options = [option.strip() for value in values for option in value.lower().split(b",")]
        if version == b"HTTP/1.1" and b"close" not in options:
            return True
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    # The turn of the next request

    def rawDataReceived(self, data: bytes) -> None:
        """Handle bytes of a body, or bytes that were sent ahead."""
        if not self._handlingRequest:
            super().rawDataReceived(data)
            return
        # The base class does not stop reading from a client that takes nothing, whose bytes would fill the memory.
        self._dataBuffer.append(data)
        self._ahead_size += len(data)
        if self._ahead_size > _MOST_AHEAD:
            self._networkProducer.pauseProducing()

    def requestDone(self, request: Request) -> None:
        """Handle the end of an answer."""
        # The base class continues at once with the bytes that were sent ahead, even if the client does not take the
        # answers, which would fill the memory.  If answers need no waiting, no other client would get a turn.
        ahead = b"".join(self._dataBuffer) + self.clearLineBuffer()
        self._dataBuffer = []
        self._ahead_size = 0
        super().requestDone(request)
        if self.persistent:
            self.site.idle_connections.add(self)
        if ahead and self.persistent:
            self._held = [ahead]
            self._networkProducer.pauseProducing()
            self.callLater(0, self._go_on)

    def resumeProducing(self) -> None:
        """Continue, because the client has taken the bytes that waited for it."""
        super().resumeProducing()
        if self._held is not None:
            self.callLater(0, self._go_on)

    def _go_on(self) -> None:
        if self._held is None or self._waitingForTransport or self.transport.disconnecting:
            return
        held, self._held = self._held, None
        self._networkProducer.resumeProducing()
        self.dataReceived(b"".join(held))

    # The end

    def timeoutConnection(self) -> None:
        """Handle a timeout: nothing arrived for too long."""
        if self._held is not None or (self.waits_for_reader and _has_unsent(self.transport)):
            self.setTimeout(self.timeOut)  # it is this side that has something to send
        elif self._has_begun_head():
            self.refuse(408, "the head of the request took too long")
        elif self.requests:
            self.refuse(408, "the body of the request broke off")
        else:
            super().timeoutConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        # The base class gives no reason and closes at once, even in the middle of a previous answer.
        self.refuse(400, "this is not well-formed HTTP")

    def refuse(self, status: int, why: str) -> bool:
        """Refuse a request, and close the connection when the client has read the refusal.

        :return: False, for methods that return whether the request may continue.
        """
        if self._refused:
            return False
        self._refused = True
        self._held = None
        self.clearLineBuffer()
        self._dataBuffer = []
        requests, self.requests = self.requests, []
        if not any(request.startedWriting for request in requests):
            self.transport.write(_format_refusal(status, why))
        self._close_gently()
        for request in requests:
            request.connectionLost(Failure(ConnectionAborted(why)))
        return False

    def _close_gently(self) -> None:
        self.setTimeout(None)
        self._abortingCall = self.callLater(LINGER_S, self.forceAbortClient)  # the base class cancels it at the end
        self._networkProducer.unregisterProducer()
        if isinstance(self.transport, Connection):
            self.transport.loseWriteConnection()
            self.transport.resumeProducing()
        else:
            self.transport.loseConnection()  # TLS waits until the other side closes, too

    def evict(self) -> None:
        """End a connection without a request in progress, because there are too many of them."""
        if self._has_begun_head():
            self.refuse(503, "too many connections wait with a request that is not whole")
        else:
            self.setTimeout(None)
            if self._abortingCall is None:
                # TLS would wait for ever for the other side to close, too.  The base class cancels the call at the end.
                self._abortingCall = self.callLater(LINGER_S, self.forceAbortClient)
            self.loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Handle the end of the connection."""
        self.site.idle_connections.discard(self)
        self._held = None
        super().connectionLost(reason)


def _fault_of_headers(request: Request, version: bytes) -> tuple[int, str] | None:
    headers = request.requestHeaders._rawHeaders  # the channel spells names like this: Host
    hosts = headers.get(b"Host", ())
    # RFC 9112 section 3.2
    if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
        return 400, f"a request should have one Host header, not {len(hosts)}"
    if hosts and not _HOST.fullmatch(hosts[0]):
        return 400, "Host: should be a name or an address, with or without a port"
    # RFC 9110 section 10.1.1; HTTP/1.0 has no expectations.
    if b"Expect" in headers and version == b"HTTP/1.1" and {each.lower() for each in headers[b"Expect"]} != _EXPECTED:
        return 417, "Expect: should be 100-continue"
    return None


def _fault_of_length(method: bytes) -> tuple[int, str] | None:
    if method not in _NEEDS_LENGTH:
        return None
    return 411, f"{method.decode('ascii', 'replace')} in HTTP/1.0 needs a Content-Length"


def _format_refusal(status: int, why: str) -> bytes:
    body = f"{why}\n"
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode("ascii")


def _has_unsent(transport: Any) -> bool:
    below = getattr(transport, "transport", transport)  # the transport below TLS
    return bool(below.dataBuffer or below._tempDataBuffer)
