"""A request whose head is complete, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from http import HTTPStatus
from typing import Any

from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http.body import RequestBody, Work
from storaged.http.forwarded import client_behind
from storaged.http.header_lines import header_line, header_name
from storaged.http.heads import Head
from storaged.http.interfaces import IObservedRequest, IRequest
from storaged.http.names import Call, CalledNames, OwnNames
from storaged.http.origins import Origin, origin_of
from storaged.http.pace import Pace
from storaged.http.seams import ServedConnection
from storaged.http.targets import parse_absolute
from storaged.http.transports import set_buffer_size
from storaged.system.buffers import Piece

_LINES = {status.value: b" %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_WITHOUT_BODY = frozenset({204, 304})
_LEAST_READ = 16 * 1024


@implementer(IObservedRequest)
class StreamingRequest:
    """A request, and its answer; see `IObservedRequest`.

    :ivar is_gone: whether the client has left, or the answer has ended.
    :ivar began_s: when its head was complete, by the reactor; 0.0 if nobody observes the site.
    :ivar sent: bytes of the answer's body that were written.
    """

    _pace: Pace | None = None
    _work: Work | None = None
    _ends: Sequence[Callable[[], object]] = ()
    _has_ended = False
    _lines = b""
    _names: tuple[str, ...] | None = None

    def __init__(self, connection: ServedConnection, head: Head, body: RequestBody) -> None:
        self.connection = connection
        self.method = head.method
        self.uri = head.uri
        self.body = body
        self.startedWriting = False
        self.is_gone = False
        self._version = head.version
        self._headers = head.headers
        self._status = 200
        self._answer: dict[str, bytes] = {}  # the lines of the answer's head, by the headers' names in lower case
        self._is_chunked = False
        self._has_body = True
        self._producer: Any = None
        self.sent = 0
        self.user: str | None = None
        self.what: str | None = None
        self.id = ""
        self.began_s = 0.0
        observer = self._observer = connection.site.observer
        if observer is not None:
            self.began_s = connection.site.reactor.seconds()
            observer.began(self)

    def __repr__(self) -> str:
        return f"<{self.method.decode()} {self.uri.decode()}>"

    # The request

    @property
    def version(self) -> bytes:
        """The version of HTTP, as it was sent."""
        return self._version

    @property
    def status(self) -> int:
        """The status of the answer, so far as it is decided."""
        return self._status

    @cached_property
    def client(self) -> str:
        """The address of the client, as trusted proxies report it; empty on a local socket."""
        peer = getattr(self.connection.peer, "host", None)
        if b"x-forwarded-for" not in self._headers and b"forwarded" not in self._headers:
            return peer or ""
        trusts = self.connection.site.names.trusts
        return client_behind(peer, self.header_values("X-Forwarded-For"), self.header_values("Forwarded"), trusts)

    def header_values(self, name: str) -> list[str]:
        """Return the values of a header, in order; bytes that are not UTF-8 are lone surrogates."""
        values = self._headers.get(name.lower().encode("ascii"))
        return [] if values is None else [value.decode("utf-8", "surrogateescape") for value in values]

    def getHeader(self, name: str) -> str | None:
        """Return the last value of a header, as in `header_values`; None if the request has no such header."""
        values = self._headers.get(name.lower().encode("ascii"))
        return None if values is None else values[-1].decode("utf-8", "surrogateescape")

    def only_header(self, name: bytes) -> bytes | None:
        """Return the value of a header that the request has exactly once, as it was sent; None otherwise.

        :param name: in lower case.
        """
        values = self._headers.get(name)
        return values[0] if values is not None and len(values) == 1 else None

    def only_headers(self, names: Iterable[bytes]) -> list[bytes] | None:
        """Return the values of headers that the request has exactly once each, as they were sent; None if it does not.

        :param names: in lower case.
        """
        headers, found = self._headers, []
        for name in names:
            values = headers.get(name)
            if values is None or len(values) != 1:
                return None
            found.append(values[0])
        return found

    def header_names(self) -> Iterable[str]:
        """Return the names of all headers, in lower case."""
        if self._names is None:
            self._names = _decode_names(tuple(self._headers))
        return self._names

    def has_header(self, name: bytes) -> bool:
        """Return whether the request has a header."""
        return name.lower() in self._headers

    def has_any_header(self, names: frozenset[bytes]) -> bool:
        """Return whether the request has one of some headers, whose names are in lower case."""
        return not names.isdisjoint(self._headers)

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """Take headers that the client has sent outside the head.  Where the head has one of them, that stays."""
        taken = {name.encode("ascii"): [value.encode("utf-8", "surrogateescape")] for name, value in headers.items()}
        self._headers = {**taken, **self._headers}  # the requests of a connection may share a head
        self._names = None

    @property
    def call(self) -> Call:
        """The names by which the request calls the server.  An absolute-form target overrides `Host` (RFC 9112 section
        3.2.2).
        """
        absolute = parse_absolute(self.uri)
        host = absolute[1].decode("ascii", "replace") if absolute else self.getHeader("Host") or ""
        local, peer = self.connection.host, self.connection.peer
        return Call(
            host,
            self.header_values("X-Forwarded-Host"),
            self.header_values("Forwarded"),
            (local.host, local.port) if hasattr(local, "port") else None,
            getattr(peer, "host", None),
        )

    @cached_property
    def origin(self) -> Origin:
        """The scheme and the name by which the client sees the server, as trusted proxies report them."""
        call, names = self.call, self.connection.site.names
        return origin_of(
            call.host,
            is_secure=self.connection.is_secure,
            trusts=names.trusts(call.peer),
            protocols=self.header_values("X-Forwarded-Proto"),
            hosts=call.forwarded_hosts,
            forwarded=call.forwarded,
        )

    @cached_property
    def _called(self) -> CalledNames:
        """The names by which the request calls the server, read once, however many URLs a header has."""
        names: OwnNames = self.connection.site.names
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

    @property
    def known(self) -> object:
        """What the resource knows of the client on this connection."""
        return self.connection.known

    def know(self, what: object) -> None:
        """Keep what the resource knows of the client, for all further requests on this connection."""
        self.connection.known = what

    # Limits

    @property
    def pace(self) -> Pace | None:
        """How fast the client may send and take; None for as fast as it can."""
        return self._pace

    @property
    def most_at_once(self) -> int:
        """How many bytes of the answer are written together, approximately."""
        size: int = self.connection.site.window.size
        return size if self._pace is None else min(size, self._pace.slowest)

    def limit_pace(self, pace: Pace) -> None:
        """Let the client send and take no faster.  To be called before the body is delivered."""
        self._pace = self.body.pace = pace
        # Each read and write is a step; with small ones the flow is even.
        set_buffer_size(
            self.connection.transport, max(_LEAST_READ, min(self.connection.site.window.size, pace.slowest))
        )

    def count_work(self, work: Work) -> None:
        """Tell of the server's own work on this request.  To be called before the body is delivered."""
        self._work = self.body.work = work
        if self._has_ended:
            work.end()

    def at_end(self, call: Callable[[], object]) -> None:
        """Call something once when the request has ended, or at once if it has; see `IRequest.at_end`."""
        if self._has_ended:
            call()
        else:
            self._ends = [*self._ends, call]

    # The answer

    def inform(self, status: int, phrase: str, headers: Mapping[str, str]) -> None:
        """Send an interim answer, unless the client is one of HTTP/1.0, or the answer has begun."""
        if self.is_gone or self.startedWriting or self._version != b"HTTP/1.1":
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if lines.count("\r") + lines.count("\n") != 2 * len(headers):
            raise ValueError(f"a header of an interim answer has a line end: {lines!r}")
        self.connection.write([f"HTTP/1.1 {status} {phrase}\r\n{lines}\r\n".encode()])

    def setResponseCode(self, status: int) -> None:
        """Set the status."""
        self._status = status

    def setHeader(self, name: str | bytes, value: str | bytes) -> None:
        """Set a header's only value; a line end in it becomes a space."""
        key, begin = header_name(name)
        self._answer[key] = header_line(begin, value)

    def add_header(self, name: str, value: str) -> None:
        """Set a further value of a header; a line end in it becomes a space."""
        key, _ = header_name(name)
        before = self._answer.get(key, b"")
        self.setHeader(name, value)
        self._answer[key] = before + self._answer[key]

    def describe(self, lines: bytes) -> None:
        """Set headers that are encoded already, with `Content-Length`; see `IAnswer.describe`."""
        self._lines = lines

    def remove_header(self, name: str) -> None:
        """Remove a header of the answer, if it is set."""
        self._answer.pop(name.lower(), None)

    def write(self, data: bytes) -> None:
        """Write a piece of the answer."""
        self.write_pieces([data] if data else [])

    def write_pieces(self, pieces: Sequence[Piece]) -> None:
        """Write pieces of the answer's body, without joining them."""
        if self.is_gone:
            return
        head = [] if self.startedWriting else [self._begin_answer()]
        if not self._has_body:
            pieces = []
        size = sum(map(len, pieces))
        self.sent += size
        if self._pace is not None:
            self._pace.count_sent(size)
        if self._is_chunked and self._has_body:
            pieces = [b"%x\r\n" % size, *pieces, b"\r\n"] if size else []
        if head or pieces:
            self.connection.write([*head, *pieces])

    def _begin_answer(self) -> bytes:
        """Return the head of the answer."""
        self.startedWriting = True
        if self._work is not None:
            self._work.end()
        connection, answer, status = self.connection, self._answer, self._status
        self._has_body = self.method != b"HEAD" and status not in _WITHOUT_BODY
        lines = self._lines
        if self._has_body and not lines and self._version == b"HTTP/1.1" and "content-length" not in answer:
            self._is_chunked = True
            answer["transfer-encoding"] = b"Transfer-Encoding: chunked\r\n"
        # If the body has not ended, the rest of it would be read as the next request.
        if not connection.may_stay(body_ended=self.body.complete):
            answer["connection"] = b"Connection: close\r\n"
        line = _LINES.get(status) or b" %d Unknown\r\n" % status
        return b"".join(
            [
                self._version,
                line,
                connection.site.common_headers(secure=connection.is_secure),
                *answer.values(),
                lines,
                b"\r\n",
            ]
        )

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the push producer of the answer's body, which is stopped when the client leaves."""
        assert streaming
        self._producer = producer
        if self.is_gone:
            producer.stopProducing()
        else:
            self.connection.flow.set_producer(producer)

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""
        self._producer = None
        if not self.is_gone:
            self.connection.flow.set_producer(None)

    def finish(self) -> None:
        """End the answer.  If the client is still sending, its bytes are discarded for some seconds."""
        if self.is_gone:
            return
        if not self.startedWriting:
            if "content-length" not in self._answer and self._status not in _WITHOUT_BODY and self.method != b"HEAD":
                self._answer["content-length"] = b"Content-Length: 0\r\n"
            self.write(b"")
        if self._is_chunked and self._has_body:
            self.connection.write([b"0\r\n\r\n"])
        self._tell(whole=True)
        if self.body.complete:
            self.is_gone = True
            self.connection.answered()
        else:
            self._has_body = False
            self.connection.discard_body(self)

    def abort(self) -> None:
        """Cut the connection, so that the client sees that the answer is not whole."""
        if not self.is_gone:
            self.connection.transport.abortConnection()

    def _tell(self, *, whole: bool) -> None:
        self._has_ended = True
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.ended(self, whole=whole)
        if self._work is not None:
            self._work.end()
        ends, self._ends = self._ends, ()
        for call in ends:
            call()

    def lost(self, reason: Failure) -> None:
        """Take note that the connection has ended."""
        self._tell(whole=False)
        self.is_gone = True
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self.body.broke(reason)


@lru_cache(128)  # the headers of a client's requests have the same names
def _decode_names(names: tuple[bytes, ...]) -> tuple[str, ...]:
    """Return names of headers, which are ASCII, as text."""
    return tuple(map(bytes.decode, names))


def own_request(request: IRequest) -> StreamingRequest:
    """Return a request as this package made it, with its connection.

    :raise TypeError: the request is of a different HTTP layer.
    """
    if isinstance(request, StreamingRequest):
        return request
    raise TypeError(f"{request!r} is not a StreamingRequest")
