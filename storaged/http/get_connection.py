"""A connection on which one server answers GET requests, one after the other."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web._newclient import ResponseFailed, ResponseNeverReceived
from twisted.web.client import ResponseDone
from zope.interface import implementer

from storaged.http.chunks import BrokenChunks, ChunkDecoder, take_body
from storaged.http.eager import write_eagerly

_MOST_HEAD = 32 * 1024
_FIRST_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([^\x00\r\n]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_WITHOUT_BODY = frozenset({204, 304})


class BadAnswer(Exception):
    """An answer is not HTTP/1.1 as this client needs it."""


class NothingAnswered(ResponseNeverReceived):
    """A connection that was used before has ended before a byte of the answer came.

    The server may have closed it before it got the request.
    """


class GetHeaders:
    """The headers of an answer."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def getRawHeaders(self, name: str) -> list[str] | None:
        """Return the values of a header, in order; None if the answer does not have it."""
        return self._values.get(name.lower())

    def hasHeader(self, name: str) -> bool:
        """Return whether the answer has a header."""
        return name.lower() in self._values


@implementer(IPushProducer)
class GetAnswer:
    """An answer whose body may still be arriving; it is to be used as treq's answers are.

    :ivar code: the status.
    :ivar length: the bytes of the body; None if they are not known.
    """

    def __init__(self, connection: GetConnection, code: int, headers: GetHeaders, length: int | None) -> None:
        self.code = code
        self.headers = headers
        self.length = length
        self._connection: GetConnection | None = connection
        self._early: list[bytes] = []
        self._reader: IProtocol | None = None
        self._reason: Failure | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether somebody takes the body."""
        return self._reader is not None

    def deliverBody(self, reader: IProtocol) -> None:
        """Pass the body to a protocol, whose connection is lost with `ResponseDone` at the end of the body."""
        self._reader = reader
        self.resumeProducing()
        reader.makeConnection(self)  # type: ignore[arg-type]  # as much of a transport as a body's reader needs
        early, self._early = self._early, []
        for data in early:
            reader.dataReceived(data)
        if self._reason is not None:
            reader.connectionLost(self._reason)

    # The transport of the reader

    def pauseProducing(self) -> None:
        """Read nothing more of the body for now."""
        if self._connection is not None:
            self._connection.set_reading(False)

    def resumeProducing(self) -> None:
        """Continue to read."""
        if self._connection is not None:
            self._connection.set_reading(True)

    def stopProducing(self) -> None:
        """Do without the rest of the body, and end the connection."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """Do without the rest of the body, and end the connection."""
        if self._connection is not None:
            self._connection.abort()

    # Called by the connection

    def received(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._reader is None:
            self._early.append(data)
        else:
            self._reader.dataReceived(data)

    def ended(self, reason: Failure) -> None:
        """Take note of the end of the body, or of the connection."""
        self._connection = None
        self._reason = reason
        if self._reader is not None:
            self._reader.connectionLost(reason)


class Keeper(typing.Protocol):
    """The owner of connections, which keeps those that are idle."""

    def keep(self, connection: GetConnection) -> None:
        """Keep a connection whose answer has ended for a further request, or abort it."""

    def forget(self, connection: GetConnection) -> None:
        """Take note that a connection has ended."""


class GetConnection(Protocol):
    """One connection.

    :param owner: keeps the connection while it is idle.
    :ivar generation: of the owner, when the connection was begun.
    """

    transport: Any

    def __init__(self, owner: Keeper, generation: int) -> None:
        self.generation = generation
        self.lost: Deferred[None] = Deferred()
        self._owner = owner
        self._asked: Deferred[GetAnswer] | None = None
        self._head = b""
        self._answer: GetAnswer | None = None
        self._left: int | ChunkDecoder = 0  # of the body: its bytes, or the decoder of its chunks
        self._stays = True
        self._used = False
        self._is_reading = True
        self._is_over = False
        self._successor: IProtocol | None = None

    def ask(self, request: bytes) -> Deferred[GetAnswer]:
        """Send a request.

        :param request: its head.
        :return: a Deferred that fires with the answer.  Cancelling it ends the connection.
        :raise NothingAnswered: the connection was used before, and has ended without a byte of the answer.
        """
        asked: Deferred[GetAnswer] = Deferred(lambda _: self.abort())
        if self._is_over:
            asked.errback(NothingAnswered([]))
            return asked
        self._asked = asked
        write_eagerly(self.transport, [request])
        return asked

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._successor is not None:
            self._successor.dataReceived(data)
        elif self._is_over:
            return
        elif self._answer is not None:
            self._read_body(data)
        elif self._asked is not None:
            self._read_head(data)
        else:
            self.abort()  # nothing was asked

    def _read_head(self, data: bytes) -> None:
        head, end, rest = (self._head + data).partition(b"\r\n\r\n")
        if not end:
            self._head = head
            if len(head) > _MOST_HEAD:
                self._fail(BadAnswer("the head of the answer is too long"))
            return
        self._head = b""
        try:
            version, code, headers = read_answer_head(head)
            if code < 200:
                self._read_head(rest)  # an interim answer; that of the request comes after it
                return
            self._left = left = begin_body(code, headers)
        except BadAnswer as problem:
            self._fail(problem)
            return
        options = ",".join(headers.get("connection", ())).lower()
        self._stays = version == 1 and "close" not in options
        asked, self._asked = self._asked, None
        answer = GetAnswer(self, code, GetHeaders(headers), left if isinstance(left, int) else None)
        self._answer = answer
        if rest or not left:
            self._read_body(rest)
        assert asked is not None
        if not asked.called:
            asked.callback(answer)
        if self._answer is answer and not answer.is_delivered:
            self.set_reading(False)

    def _read_body(self, data: bytes) -> None:
        answer = self._answer
        assert answer is not None
        try:
            self._left, data, rest = take_body(self._left, data)
        except BrokenChunks as problem:
            self._fail(BadAnswer(str(problem)))
            return
        left = self._left
        if data:
            answer.received(data)
        if left == 0 and not self._is_over:
            self._answer = None
            self._used = True
            self.set_reading(True)
            if rest or not self._stays:
                self.abort()
            else:
                self._owner.keep(self)
            answer.ended(Failure(ResponseDone()))

    def set_reading(self, wanted: bool) -> None:
        """Read on from the server, or read nothing for now."""
        if wanted != self._is_reading and not self._is_over:
            self._is_reading = wanted
            if wanted:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def _fail(self, problem: Exception) -> None:
        self.abort()
        self._report(Failure(ResponseFailed([Failure(problem)])))

    def hand_over(self, protocol: IProtocol) -> None:
        """Pass the connection, which is idle, on to another protocol."""
        self._successor = protocol
        protocol.makeConnection(self.transport)

    def abort(self) -> None:
        """End the connection at once."""
        if not self._is_over:
            self._is_over = True
            self._owner.forget(self)
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Report the end of the connection to whom it matters."""
        if self._successor is not None:
            self._successor.connectionLost(reason)
            return
        self._is_over = True
        self._owner.forget(self)
        kind: Callable[[list[Failure]], Exception] = ResponseFailed
        if self._asked is not None and not self._head:
            kind = NothingAnswered if self._used else ResponseNeverReceived
        self._report(Failure(kind([reason])))
        self.lost.callback(None)

    def _report(self, failure: Failure) -> None:
        asked, self._asked = self._asked, None
        answer, self._answer = self._answer, None
        if asked is not None and not asked.called:
            asked.errback(failure)
        if answer is not None:
            answer.ended(failure)


def read_answer_head(head: bytes) -> tuple[int, int, dict[str, list[str]]]:
    """Read the head of an answer.

    :param head: its bytes, without the empty line and the CRLF before that.
    :return: the minor version, the status, and the headers by their names in lower case.
    :raise BadAnswer: it is malformed, or not of HTTP/1.0 or 1.1.
    """
    first, *lines = head.split(b"\r\n")
    begin = _FIRST_LINE.fullmatch(first)
    if begin is None:
        raise BadAnswer("the answer is not HTTP/1.1")
    headers: dict[str, list[str]] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise BadAnswer("the answer has a malformed header")
        headers.setdefault(header[1].decode("ascii").lower(), []).append(header[2].rstrip(b" \t").decode("latin-1"))
    return int(begin[1]), int(begin[2]), headers


def begin_body(code: int, headers: Mapping[str, list[str]]) -> int | ChunkDecoder:
    """Return the bytes of the body that comes after a head, or the decoder of its chunks (RFC 9112 section 6.3).

    :raise BadAnswer: its length is not told, told twice, or told in a way that is not known.
    """
    if code in _WITHOUT_BODY:
        return 0
    codings, lengths = headers.get("transfer-encoding"), headers.get("content-length")
    if codings is not None:
        if lengths is not None or [coding.lower() for coding in codings] != ["chunked"]:
            raise BadAnswer("the answer tells its length in two ways, or in one that is not known")
        return ChunkDecoder()
    if lengths is None or len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadAnswer("the answer does not tell its length")
    return int(lengths[0])
