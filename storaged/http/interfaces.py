"""What this package offers to resources: a request and its answer.

Resources use nothing else of a request, so that another HTTP layer can take the place of Twisted's.  Such a layer also
has the limits of `StreamingSite`, and `send_body`, `send_file`, `receive_body` and `upgrade` for its own requests.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Attribute, Interface

from storaged.http.body import RequestBody
from storaged.http.names import Call


class IAnswer(Interface):
    """The answer to a request.  Nothing is written any more once the client has left; no call fails then."""

    startedWriting: bool = Attribute("Whether the head of the answer has been written: a bool.")

    def setResponseCode(status: int) -> None:
        """Set the status; 200 without this call."""

    def setHeader(name: str | bytes, value: str | bytes) -> None:
        """Set a header's only value.  To be called before the first `write`."""

    def remove_header(name: str) -> None:
        """Remove a header of the answer, if it is set.  To be called before the first `write`."""

    def write(data: bytes) -> None:
        """Write the head, if it has not been written, and a piece of the body; nothing of the body to a HEAD.

        Without a Content-Length the body is sent in chunks, or ends with the connection in HTTP/1.0.
        """

    def write_pieces(pieces: Sequence[bytes]) -> None:
        """Write pieces of the body without joining them; else as `write`."""

    def finish() -> None:
        """End the answer.

        If the client is still sending, what it sends is discarded for a while, and the connection is closed: the
        rest of the body is never read as a request.
        """

    def abort() -> None:
        """Cut the connection, so that the client sees that the answer is not whole."""


class IRequest(IAnswer):
    """A request whose head is complete, and its answer.

    Its head is well formed (RFC 9112), within the site's limits, and has one Host header at most.
    """

    method: bytes = Attribute("The method: bytes, in the case in which it was sent.")
    uri: bytes = Attribute("The request's target with its query: bytes, all ASCII; see `storaged.http.targets`.")
    body: RequestBody = Attribute("The body.  Before it is delivered, only what came with the head is read of it.")
    call: Call = Attribute("How the request calls the server: a `Call`.")

    def header_values(name: str) -> list[str]:
        """The values of a header, in order; bytes that are not UTF-8 are lone surrogates (`surrogateescape`)."""

    def getHeader(name: str) -> str | None:
        """The last value of a header, as `header_values` gives it; None if the request has no such header."""

    def has_header(name: bytes) -> bool:
        """Whether the request has a header.  Cheaper than its value."""

    def is_for(authority: str) -> bool:
        """Whether an authority, a host with or without a port, names the server that this request has called."""

    def is_called(authority: str) -> bool:
        """Whether an authority is exactly a name by which this request calls the server."""

    def comes_by_safe_names() -> bool:
        """Whether the request calls the server by names that no stranger can have; see `CalledNames`."""
