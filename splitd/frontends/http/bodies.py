"""Reads small request bodies completely, and refuses bodies that must not be there."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from splitd.frontends.http.answers import Refused
from storaged.http import IRequest, receive_body

XML_LIMIT = 64 * 1024
"""The most bytes that a request's XML may have."""


async def read_body(request: IRequest) -> bytes:
    """Return the body of a request.

    :raise Refused: the body is longer than `XML_LIMIT`.  The rest of it is neither read nor kept.
    :raise BodyBroken: the client left before the end of the body.
    """
    if (request.body.length or 0) > XML_LIMIT:
        raise _too_long()
    keeper = _Keeper()
    await receive_body(request, keeper, keeper.broken)
    return bytes(keeper.data)


async def refuse_body(request: IRequest) -> None:
    """Refuse a body if the method gives it no meaning (RFC 4918 section 8.4).

    :raise Refused: the request has a body.
    """
    if request.body.length or await read_body(request):
        method = request.method.decode("ascii", "replace")
        raise Refused(415, f"{method} takes no body")


def _too_long() -> Refused:
    return Refused(413, f"the body has more than {XML_LIMIT} bytes")


@implementer(IConsumer)
class _Keeper:
    """Keeps the bytes that are written to it, up to the limit."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.broken: Deferred[Exception] = Deferred()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Accept the producer.  It is never paused, because the body is small."""

    def unregisterProducer(self) -> None:
        """Do nothing: the producer was not kept."""

    def write(self, data: bytes) -> None:
        """Keep the next bytes; if they exceed the limit, fire `broken` instead."""
        if len(self.data) + len(data) <= XML_LIMIT:
            self.data += data
        elif not self.broken.called:
            self.broken.callback(_too_long())
