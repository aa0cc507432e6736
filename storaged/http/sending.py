"""Sends the body of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from zope.interface import implementer

from storaged.http.body import BodyBroken
from storaged.http.interfaces import IRequest
from storaged.http.pace import Pace
from storaged.http.request import StreamingRequest, own_request
from storaged.system.buffers import Piece
from storaged.system.parallel import result_of

_LEFT = "the client left before the end"


async def send_body(request: IRequest, read: Callable[[], Deferred[Sequence[Piece]]]) -> None:
    """Write an answer's body, as fast as the client takes it.

    What can be read at once is written together, because each write costs a call of the kernel and a row of others.
    One read is always in progress, or done, ahead of the writes.

    :param read: returns a Deferred that fires with the next pieces; with none at the end.
    :raise BodyBroken: the client left before the end.
    Errors of `read` are passed on.  The answer is not finished here.
    """
    request = own_request(request)
    sender = _Sender(request, read)
    try:
        while True:
            if sender.paused is not None:
                await sender.paused
            if request.pace is not None:
                await sender.rest(request.pace)
            pieces = await sender.read()
            if not pieces:
                return
            request.write_pieces(sender.with_more(pieces))
    finally:
        sender.end()


@implementer(IPushProducer)
class _Sender:
    """The producer side of `send_body`."""

    def __init__(self, request: StreamingRequest, read: Callable[[], Deferred[Sequence[Piece]]]) -> None:
        self.paused: Deferred[None] | None = None
        self.stopped = False
        self._read = read
        self._reading: Deferred[Sequence[Piece]] | None = None
        self._resting: Deferred[None] | None = None
        self._request = request
        request.registerProducer(self, True)

    async def read(self) -> Sequence[Piece]:
        """Read on.

        :raise BodyBroken: the client has left.
        """
        if self.stopped:
            raise BodyBroken(_LEFT)
        if self._reading is None:
            self._reading = self._read()
        try:
            pieces = await self._reading
        except CancelledError:
            if self.stopped:
                raise BodyBroken(_LEFT) from None
            raise
        self._reading = None
        return pieces

    def with_more(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Return pieces, and those after them that need not be waited for, as many as may be written together."""
        size, most = sum(map(len, pieces)), self._request.most_at_once
        together = [*pieces]
        while size < most and self.paused is None:
            if self._reading is None:
                self._reading = self._read()
            more = result_of(self._reading)
            if not more:  # an error, and the end of the body, are found by the next `read`
                break
            self._reading = None
            together += more
            size += sum(map(len, more))
        return together

    def pauseProducing(self) -> None:
        if self.paused is None:
            self.paused = Deferred()

    def resumeProducing(self) -> None:
        paused, self.paused = self.paused, None
        if paused is not None:
            paused.callback(None)

    def stopProducing(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        self.resumeProducing()
        if self._reading is not None:
            self._reading.cancel()
        if self._resting is not None:
            self._resting.cancel()

    async def rest(self, pace: Pace) -> None:
        """Wait until the bytes that were written are paid for, or the client leaves."""
        while not self.stopped and (wait_s := pace.sending_wait_s()) > 0:
            self._resting = deferLater(pace.clock, wait_s)
            try:
                await self._resting
            except CancelledError:
                if not self.stopped:
                    raise
            finally:
                self._resting = None

    def end(self) -> None:
        self._request.unregisterProducer()
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.addErrback(lambda _: None)
            reading.cancel()
