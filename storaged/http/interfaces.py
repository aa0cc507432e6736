"""The interfaces that this package offers to resources and observers: a request and its answer; and protocols that
take the place of HTTP on a connection.

Resources use nothing else of a request, so that a different HTTP layer can take the place of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from twisted.internet.interfaces import IProtocol
from zope.interface import Attribute, Interface

from storaged.http.body import RequestBody, Work
from storaged.http.names import Call
from storaged.http.origins import Origin
from storaged.http.pace import Pace
from storaged.system.buffers import Piece


class IAnswer(Interface):
    """The answer to a request.  After the client has left, calls do not fail, and write nothing."""

    startedWriting: bool = Attribute("Whether the head of the answer has been written: a bool.")

    def setResponseCode(status: int) -> None:
        """Set the status; 200 without this call."""

    def setHeader(name: str | bytes, value: str | bytes) -> None:
        """Set a header's only value.  To be called before the first `write`."""

    def add_header(name: str, value: str) -> None:
        """Set a further value of a header, on a line of its own.  To be called before the first `write`."""

    def describe(lines: bytes) -> None:
        """Set headers that are encoded already, each with its line end, beside those that are set by `setHeader`.

        They should have `Content-Length`, and nothing that `setHeader` sets, too.  To be called before the first
        `write`.
        """

    def remove_header(name: str) -> None:
        """Remove a header of the answer, if it is set.  To be called before the first `write`."""

    def write(data: bytes) -> None:
        """Write the head, if it has not been written, and a piece of the body.  To a HEAD request no body is sent.

        Without a Content-Length the body is sent in chunks; in HTTP/1.0 it ends with the connection.
        """

    def write_pieces(pieces: Sequence[Piece]) -> None:
        """Write pieces of the body without joining them; otherwise like `write`."""

    def finish() -> None:
        """End the answer.

        If the client is still sending, its bytes are discarded for some seconds, and the connection is closed: the rest
        of the body is never read as a request.
        """

    def abort() -> None:
        """Cut the connection, so that the client sees that the answer is not whole."""


class IHeaders(Interface):
    """The headers of a request, or what takes their place."""

    def header_names() -> Iterable[str]:
        """Return the names of all headers, in lower case."""

    def header_values(name: str) -> list[str]:
        """Return the values of a header, in order; bytes that are not UTF-8 are lone surrogates (`surrogateescape`)."""

    def getHeader(name: str) -> str | None:
        """Return the last value of a header, as in `header_values`; None if there is no such header."""

    def has_any_header(names: frozenset[bytes]) -> bool:
        """Return whether there is one of some headers.

        :param names: in lower case.
        """


class IRequest(IAnswer, IHeaders):
    """A request whose head is complete, and its answer.

    Its head is well formed (RFC 9112), within the site's limits, and has at most one Host header.
    """

    method: bytes = Attribute("The method: bytes, in the case in which it was sent.")
    uri: bytes = Attribute("The request's target with its query: bytes, all ASCII; see `storaged.http.targets`.")
    body: RequestBody = Attribute("The body.  Until it is delivered, only what came with the head is read of it.")
    client: str = Attribute("The address of the client, as trusted proxies report it; empty on a local socket: a str.")
    user: str | None = Attribute("Who asks, for logs: the name of a user, or None. Set by those who judge that.")
    what: str | None = Attribute(
        "What a change is about, for logs, where the URL does not say it.  Set by who makes it."
    )
    id: str = Attribute("What names this request in logs and in the answer; empty if nobody observes the site.")
    is_gone: bool = Attribute("Whether the client has left, or the answer has ended: a bool.")
    call: Call = Attribute("The names by which the request calls the server: a `Call`.")
    origin: Origin = Attribute("The scheme and the name by which the client sees the server: an `Origin`.")

    known: object = Attribute("What the resource has kept for this connection by `know`; None at first.")

    def know(what: object) -> None:
        """Keep what the resource knows of the client, for all further requests on this connection."""

    pace: Pace | None = Attribute("How fast the client may send and take; None for as fast as it can: a `Pace`.")

    def limit_pace(pace: Pace) -> None:
        """Let the client send and take no faster.  To be called before the body is delivered."""

    def count_work(work: Work) -> None:
        """Tell of the server's own work on this request, which pauses while it waits for the body, and ends when the
        answer begins, or at once if the request has ended.  To be called before the body is delivered.
        """

    def inform(status: int, phrase: str, headers: Mapping[str, str]) -> None:
        """Send an interim answer (RFC 9110 section 15.2).  Nothing is sent to a client of HTTP/1.0, which knows none,
        nor once the answer has begun.

        :param status: from 102 to 199.
        """

    def at_end(call: Callable[[], object]) -> None:
        """Call something once when the request has ended: its answer is written, or the client has left.  If that has
        happened before, it is called at once.
        """

    def only_header(name: bytes) -> bytes | None:
        """Return the value of a header that the request has exactly once, as it was sent; None otherwise.

        :param name: in lower case.
        """

    def only_headers(names: Iterable[bytes]) -> list[bytes] | None:
        """Return the values of headers that the request has exactly once each, as they were sent; None if it does not
        have each of them once.

        :param names: in lower case.
        """

    def has_header(name: bytes) -> bool:
        """Return whether the request has a header.  Cheaper than to get its value."""

    def take_headers(headers: Mapping[str, str]) -> None:
        """Take headers that the client has sent outside the head.  Where the head has one of them, that stays.

        :param headers: the values by the names, in lower case.
        """

    def is_for(authority: str) -> bool:
        """Return whether an authority, a host with or without a port, names the server that this request has called."""

    def is_called(authority: str) -> bool:
        """Return whether an authority is exactly a name by which this request calls the server."""

    def comes_by_safe_names() -> bool:
        """Return whether the request calls the server by safe names only; see `CalledNames.allows_operators`."""


class IObservedRequest(IRequest):
    """A request as those see it who write logs and metrics of it."""

    version: bytes = Attribute("The version of HTTP, as it was sent: bytes.")
    status: int = Attribute("The status of the answer, so far as it is decided: an int.")
    began_s: float = Attribute("When its head was complete, by the reactor: seconds, a float.")
    sent: int = Attribute("Bytes of the answer's body that were written: an int.")


class IDrainingProtocol(IProtocol):
    """A protocol that can be asked to finish."""

    def drain() -> None:
        """Take no more requests, and end the connection when the pending ones are answered."""
