"""HTTP exchanges with a server: each has its own connection, and needs constant memory."""

from __future__ import annotations

import json
import select
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
    RemoteDisconnected,
)
from io import BufferedIOBase
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import attrs

from splitd.cli.errors import ServerRefused, TransferBroken, Unreachable
from splitd.cli.paths import printable, quote_path
from storaged.system.os_errors import os_reason

PIECE = 1 << 20
"""The most bytes that are read or sent at once."""

_CONNECT_S = 10.0
_STALL_S = 300.0
_SENTENCE_LIMIT = 2000
_NOTHING: Mapping[str, Any] = {}


@attrs.frozen
class Body:
    """The body of a request.

    :param stream: the source of the bytes.
    :param size: the number of bytes; None sends the stream in chunks, to its end.
    :param name: the name of the source in error messages.
    :param advanced: called with the number of bytes, each time some were sent.
    """

    stream: BufferedIOBase
    size: int | None
    name: str
    advanced: Callable[[int], None]


@attrs.frozen
class Server:
    """A server, and the timeouts of exchanges with it.

    :param url: the URL of its root, http or https.
    :param connect_s: how long to wait for a connection, in seconds.
    :param stall_s: how long to wait for the next byte to move, in seconds.
    :param authorization: the value of the `Authorization` header; empty for none.
    :param ca: the PEM file of the authorities that sign the server's certificate; None for those the system trusts.
    """

    url: str
    connect_s: float = _CONNECT_S
    stall_s: float = _STALL_S
    authorization: str = attrs.field(default="", repr=False)
    ca: str | None = None

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        body: Body | None = None,
    ) -> Iterator[HTTPResponse]:
        """Send a request; inside the `with` block, the answer can be read.

        :param path: the path of a file or collection, not yet quoted.
        :raise ServerRefused: the status of the answer is not 2xx; the message is the server's sentence.
        :raise Unreachable: the connection could not be made.
        :raise TransferBroken: the connection broke.
        """
        place = urlsplit(self.url)
        target = self._target(path)
        if query:
            target += "?" + urlencode(query, errors="surrogateescape", quote_via=quote)
        connection = self._connect(place)
        try:
            what = f"{method} {printable(path)}"
            try:
                answer = self._exchange(connection, method, target, headers, body)
            except (OSError, HTTPException) as problem:
                raise TransferBroken(f"{what}: {_reason(problem)}") from problem
            _refuse_no(what, answer)
            yield answer
        finally:
            connection.close()

    def url_of(self, path: str) -> str:
        """Return the URL of a file or collection, whose path is not yet quoted."""
        place = urlsplit(self.url)
        return f"{place.scheme}://{place.netloc}{self._target(path)}"

    def _target(self, path: str) -> str:
        return urlsplit(self.url).path.rstrip("/") + quote_path(path)

    def document(self, path: str, query: Mapping[str, str | int] = _NOTHING, *, method: str = "GET") -> Any:
        """Request a JSON document.

        :raise CommandFailed: the request failed as in `ask`, or the answer is not JSON.
        """
        what = f"{method} {printable(path)}"
        with self.ask(method, path, query=query, headers={"Accept": "application/json"}) as answer:
            text = b"".join(read_pieces(answer, what))
        try:
            return json.loads(text)
        except ValueError as problem:
            raise TransferBroken(f"{what}: {self.url} answered what is not JSON") from problem

    def _connect(self, place: SplitResult) -> HTTPConnection:
        connection = self._connection(place)
        try:
            connection.connect()
        except OSError as problem:
            connection.close()
            raise Unreachable(f"cannot reach {self.url}: {_reason(problem)}") from problem
        connection.sock.settimeout(self.stall_s)
        return connection

    def _connection(self, place: SplitResult) -> HTTPConnection:
        host = place.hostname or ""
        if place.scheme != "https":
            return HTTPConnection(host, place.port, timeout=self.connect_s)
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) and not isinstance(problem, ssl.SSLError) else ""
            raise Unreachable(f"{self.ca}: {reason or 'this is not a PEM file of certificates'}") from problem
        return HTTPSConnection(host, place.port, timeout=self.connect_s, context=context)

    def _exchange(
        self, connection: HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: Body | None
    ) -> HTTPResponse:
        connection.putrequest(method, target, skip_accept_encoding=True)
        if self.authorization:
            connection.putheader("Authorization", self.authorization)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is None:
            connection.endheaders()
            return connection.getresponse()
        if body.size is None:
            connection.putheader("Transfer-Encoding", "chunked")
        else:
            connection.putheader("Content-Length", str(body.size))
        connection.endheaders()
        try:
            whole = self._send(connection, body)
        except (BrokenPipeError, ConnectionResetError) as problem:
            # A server that refuses a body says why before it closes the connection; its answer may have arrived
            # already.
            try:
                return _early(connection.getresponse())
            except (OSError, HTTPException):
                raise problem from None
        answer = connection.getresponse()
        return answer if whole else _early(answer)

    def _send(self, connection: HTTPConnection, body: Body) -> bool:
        """Send a body.

        :return: False if the server answered before the end of the body.
        """
        left = body.size
        while left != 0:
            data = body.stream.read1(PIECE if left is None else min(PIECE, left))
            if left is None:
                framed = b"%x\r\n%b\r\n" % (len(data), data)  # the empty chunk is the last one
            elif data:
                left -= len(data)
                framed = data
            else:
                raise TransferBroken(f"{body.name}: ended {left} bytes early, {body.size} were expected")
            if not self._send_piece(connection, framed):
                return False
            body.advanced(len(data))
            if not data:
                break
        return True

    def _send_piece(self, connection: HTTPConnection, data: bytes) -> bool:
        sock = connection.sock
        # With TLS, a readable socket may only carry messages of TLS itself: only on a plain one does it mean an answer.
        watched = [] if isinstance(sock, ssl.SSLSocket) else [sock]
        view = memoryview(data)
        while view:
            readable, writable, _ = select.select(watched, [sock], [], self.stall_s)
            if readable:
                return False
            if not writable:
                raise TimeoutError(f"the server took no byte for {self.stall_s:.0f} s")
            view = view[sock.send(view) :]
        return True


def read_pieces(answer: HTTPResponse, what: str) -> Iterator[bytes]:
    """Yield the body of an answer, piece by piece, to its announced end.

    :param what: the name of the exchange in error messages.
    :raise TransferBroken: the body ended early.
    """
    expected = answer.length
    got = 0
    while True:
        try:
            piece = answer.read(PIECE)
        except (OSError, HTTPException) as problem:
            raise TransferBroken(f"{what}: broke off after {got} bytes: {_reason(problem)}") from problem
        if not piece:
            break
        got += len(piece)
        yield piece
    if expected is not None and got != expected:
        raise TransferBroken(f"{what}: got {got} bytes, expected {expected}")


def read_lines(answer: HTTPResponse, what: str) -> Iterator[bytes]:
    """Yield the lines of an answer as they arrive, to its end.

    :param what: the name of the exchange in error messages.
    :raise TransferBroken: the body ended early, or in the middle of a line.
    """
    rest = b""
    while True:
        try:
            piece = answer.read1(PIECE)
        except (OSError, HTTPException) as problem:
            raise TransferBroken(f"{what}: broke off: {_reason(problem)}") from problem
        if not piece:
            break
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        raise TransferBroken(f"{what}: broke off in the middle of a line")


def _early(answer: HTTPResponse) -> HTTPResponse:
    if answer.status < 300:
        raise HTTPException(f"the server answered {answer.status} before the end was sent")
    return answer


def _refuse_no(what: str, answer: HTTPResponse) -> None:
    if 200 <= answer.status < 300:
        return
    sentence = _sentence(answer) or answer.reason
    if answer.status == 401:
        sentence += "; see --user and --token-file"
    raise ServerRefused(f"{what}: {sentence} ({answer.status})", answer.status)


def _sentence(answer: HTTPResponse) -> str:
    """Return why a server refuses, in one line; empty if it does not say: then the status alone must."""
    kind = answer.headers.get_content_type()
    try:
        said = answer.read(_SENTENCE_LIMIT)
        text = json.loads(said)["error"] if kind == "application/json" else said.decode("utf-8", "replace")
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return ""
    is_known = kind in {"application/json", "text/plain"} and isinstance(text, str)
    return printable(" ".join(text.split())) if is_known else ""


def _reason(problem: OSError | HTTPException) -> str:
    """Return what went wrong in plain words."""
    if isinstance(problem, TimeoutError) and not problem.errno:
        return str(problem) or "timed out"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {problem.verify_message.rstrip('.')}"
    if isinstance(problem, ssl.SSLError):
        return f"TLS: {(problem.reason or 'the connection broke').replace('_', ' ').lower()}"
    if isinstance(problem, RemoteDisconnected):
        return "the server closed the connection before its answer"
    if isinstance(problem, IncompleteRead):
        return "the server closed the connection in the middle of its answer"
    if isinstance(problem, OSError):
        return os_reason(problem)
    return str(problem) or type(problem).__name__
