"""A request's body on its way in."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http.reasons import why_client_left


class Connection(Protocol):
    """What a body needs of the connection it comes through."""

    def pause_reading(self) -> None:
        """Read no more for now."""

    def resume_reading(self) -> None:
        """Read on."""

    def send_continue(self) -> None:
        """Tell the client that its body is wanted."""


class BodyBroken(Exception):
    """The request's body will not come to its end: the client left, or sent nothing for too long."""


@implementer(IPushProducer)
class RequestBody:
    """The body of one request, on its way in.

    No more than what came with the headers, or one read, is taken from the connection until `deliver` is called; then
    `100 Continue` is sent where the client waits for it.

    :param length: its bytes, or None where the client did not say.
    """

    def __init__(self, connection: Connection, length: int | None, *, expects_continue: bool) -> None:
        self.length = length
        # None from the end on: the request refers to its body, and a cycle would stay until a garbage collection.
        self._connection: Connection | None = None if length == 0 else connection
        self._expects_continue = expects_continue
        self._early: list[bytes] = []
        self._early_size = 0
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._broken: Failure | None = None
        self._paused = False
        self._discarding = False
        self.complete = length == 0

    def deliver(self, consumer: IConsumer) -> Deferred[None]:
        """Write the body to a consumer, which may pause it.

        :return: a Deferred that fires when the last byte was written.  Cancelling it stops the flow.
        :raise BodyBroken: the body broke off.
        """
        done: Deferred[None] = Deferred(self._cancelled)
        self._done = done
        self._consumer = consumer
        consumer.registerProducer(self, True)
        for data in self._early:
            consumer.write(data)
        self._early = []
        if self._broken is not None:
            self._end(self._broken)
        elif self.complete:
            self._end(None)
        else:
            if self._expects_continue:
                self._expects_continue = False
                assert self._connection is not None
                self._connection.send_continue()
            if not self._paused:
                self.resumeProducing()
        return done

    def _cancelled(self, _: Deferred[None]) -> None:
        self._done = None
        self._detach()
        self._pause_transport()

    def pauseProducing(self) -> None:
        """Read no more from the client for now."""
        self._paused = True
        self._pause_transport()

    def resumeProducing(self) -> None:
        """Read on."""
        self._paused = False
        if self._connection is not None:
            self._connection.resume_reading()

    def stopProducing(self) -> None:
        """Deliver nothing more: the consumer needs no more bytes."""
        self.pauseProducing()

    def _pause_transport(self) -> None:
        if self._connection is not None:
            self._connection.pause_reading()

    # What the request tells

    def received(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._discarding:
            return
        if self._consumer is None:
            # A short body comes with the headers, or right behind them: it is whole already, and there is nothing to
            # pause.  Over TLS more may come after the pause.
            self._early.append(data)
            self._early_size += len(data)
            if self._early_size != self.length:
                self._pause_transport()
        else:
            self._consumer.write(data)

    def ended(self) -> None:
        """Take the end of the body."""
        self.complete = True
        self._connection = None
        self._end(None)

    def broke(self, reason: Failure) -> None:
        """Take the end of the connection."""
        if not self.complete and self._broken is None:
            self._broken = Failure(BodyBroken(why_client_left(reason.value)))
            self._connection = None
            self._end(self._broken)

    def discard(self) -> Deferred[None]:
        """Read the rest and throw it away.

        :return: a Deferred that fires when it has ended, well or not.
        """
        self._discarding = True
        self._early = []
        self._detach()
        done: Deferred[None] = Deferred()
        self._done = done
        self.resumeProducing()
        return done

    def _detach(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.unregisterProducer()

    def _end(self, failure: Failure | None) -> None:
        done, self._done = self._done, None
        self._detach()
        if done is not None:
            if failure is None:
                done.callback(None)
            else:
                done.errback(failure)
