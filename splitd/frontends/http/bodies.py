"""Bodies of requests that are read whole, and are small."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from splitd.frontends.http.answers import Refused
from storaged.http import IRequest, receive_body

XML_LIMIT = 64 * 1024
"""Bytes that a request's XML may have."""


async def read_body(request: IRequest) -> bytes:
    """The body of a request.

    :raise Refused: it is longer than `XML_LIMIT`; it is not read to its end then, nor kept.
    """
    if (request.body.length or 0) > XML_LIMIT:
        raise _too_long()
    keeper = _Keeper()
    await receive_body(request, keeper, keeper.broken)
    return bytes(keeper.data)


async def refuse_body(request: IRequest) -> None:
    """Refuse a body where none has a meaning (RFC 4918 section 8.4).

    :raise Refused: there is one.
    """
    if request.body.length or await read_body(request):
        method = request.method.decode("ascii", "replace")
        raise Refused(415, f"{method} takes no body")


def _too_long() -> Refused:
    return Refused(413, f"the body has more than {XML_LIMIT} bytes")


@implementer(IConsumer)
class _Keeper:
    """Keeps what is written to it, up to the limit."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.broken: Deferred[Exception] = Deferred()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer, which is never paused: the body is small."""

    def unregisterProducer(self) -> None:
        """Let the producer go."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if len(self.data) + len(data) <= XML_LIMIT:
            self.data += data
        elif not self.broken.called:
            self.broken.callback(_too_long())
