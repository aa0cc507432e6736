"""Bodies that are small enough to be kept whole: they are sent at once, and read into memory up to a limit."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from storaged.http.interfaces import IRequest
from storaged.http.resource import receive_body


class BodyTooLong(Exception):
    """The body of a request is longer than its reader allows."""


async def read_whole(request: IRequest, limit: int) -> bytes:
    """Return the body of a request.

    :param limit: the most bytes that it may have.
    :raise BodyTooLong: it has more.  The rest of it is neither read nor kept.
    :raise BodyBroken: the client left before the end of the body.
    """
    if (request.body.length or 0) > limit:
        raise BodyTooLong(f"the body has more than {limit} bytes")
    keeper = _Keeper(limit)
    await receive_body(request, keeper, keeper.broken)
    return bytes(keeper.data)


@implementer(IConsumer)
class _Keeper:
    """Keeps the bytes that are written to it, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.broken: Deferred[Exception] = Deferred()
        self._limit = limit

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Accept the producer.  It is never paused, because the body is small."""

    def unregisterProducer(self) -> None:
        """Do nothing: the producer was not kept."""

    def write(self, data: bytes) -> None:
        """Keep the next bytes; if they exceed the limit, fire `broken` instead."""
        if len(self.data) + len(data) <= self._limit:
            self.data += data
        elif not self.broken.called:
            self.broken.callback(BodyTooLong(f"the body has more than {self._limit} bytes"))


@implementer(IBodyProducer)
class WholeBody:
    """The body of a request to a node: bytes in memory, written at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write all bytes."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all bytes are written."""

    def resumeProducing(self) -> None:
        """Do nothing: all bytes are written."""

    def stopProducing(self) -> None:
        """Do nothing: all bytes are written."""
