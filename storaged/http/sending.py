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


async def send_body(request: IRequest, read: Callable[[], Deferred[Sequence[Piece]]]) -> None:
    """Write an answer's body, as fast as the client takes it.

    :param read: returns a Deferred that fires with the next pieces; with none at the end.
    :raise BodyBroken: the client left before the end.
    Errors of `read` are passed on.  The answer is not finished here.
    """
    request = own_request(request)
    sender = _Sender(request)
    try:
        while True:
            if sender.paused is not None:
                await sender.paused
            if request.pace is not None:
                await sender.rest(request.pace)
            if sender.stopped:
                raise BodyBroken("the client left before the end")
            sender.reading = read()
            try:
                pieces = await sender.reading
            except CancelledError:
                if sender.stopped:
                    raise BodyBroken("the client left before the end") from None
                raise
            if not pieces:
                return
            request.write_pieces(pieces)
    finally:
        sender.end()


@implementer(IPushProducer)
class _Sender:
    """The producer side of `send_body`."""

    def __init__(self, request: StreamingRequest) -> None:
        self.paused: Deferred[None] | None = None
        self.reading: Deferred[Sequence[Piece]] | None = None
        self.stopped = False
        self._resting: Deferred[None] | None = None
        self._request = request
        request.registerProducer(self, True)

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
        if self.reading is not None:
            self.reading.cancel()
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
