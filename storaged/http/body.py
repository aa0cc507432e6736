"""Receives the body of a request."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http.pace import Pace
from storaged.http.reasons import why_client_left


class Connection(Protocol):
    """The connection on which a body arrives."""

    def pause_reading(self) -> None:
        """Stop reading for now."""

    def resume_reading(self) -> None:
        """Continue to read."""

    def send_continue(self) -> None:
        """Tell the client to send its body."""


class Work(Protocol):
    """The server's own work on a request, which may be limited: the time in which it does not wait for the client."""

    def pause(self) -> None:
        """Take note that the server waits for the client's body."""

    def resume(self) -> None:
        """Take note that the body is complete."""

    def end(self) -> None:
        """Take note that the answer begins, or that the client has left.  May be called more than once."""


class BodyBroken(Exception):
    """The transfer of a body cannot be completed: the client left, or sent nothing for too long."""


@implementer(IPushProducer)
class RequestBody:
    """Receives the body of one request.

    Until `deliver` is called, no more is read from the connection than what came with the headers, or one read.  Then
    `100 Continue` is sent if the client waits for it.

    :param length: the size of the body in bytes, or None if the client did not announce it.
    :ivar size: the bytes of the body that have arrived.
    :ivar pace: how fast the client may send; None for as fast as it can.
    :ivar work: is told when the server waits for the body; None for nobody.
    """

    pace: Pace | None = None
    work: Work | None = None

    def __init__(self, connection: Connection, length: int | None, *, expects_continue: bool) -> None:
        self.length = length
        # None after the end: the request refers to its body, and a cycle would stay until a garbage collection.
        self._connection: Connection | None = None if length == 0 and not expects_continue else connection
        self._expects_continue = expects_continue
        self._greets_empty = False
        self._early: list[bytes] = []
        self._early_size = 0
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._broken: Failure | None = None
        self._paused = False
        self._discarding = False
        self._resting: IDelayedCall | None = None
        self.complete = length == 0
        self.size = 0

    def greet_empty(self) -> None:
        """Send `100 Continue` also before a body that is known to be empty, if the client waits for it.

        It need not be sent (RFC 9110 section 10.1.1).  But botocore, if it gets none, waits for ever for the answer to
        its next request on the connection.
        """
        self._greets_empty = self.length == 0

    def deliver(self, consumer: IConsumer) -> Deferred[None]:
        """Write the body to a consumer, which may pause it.

        :return: a Deferred that fires with None when the last byte was written.  Cancelling it stops the flow.
        :raise BodyBroken: the client left, or sent nothing for too long, before the end of the body.
        """
        done: Deferred[None] = Deferred(self._cancelled)
        self._done = done
        self._consumer = consumer
        consumer.registerProducer(self, True)
        for data in self._early:
            consumer.write(data)
        self.drop_early()
        if self._broken is not None:
            self._end(self._broken)
            return done
        if self._expects_continue and self._connection is not None and (self._greets_empty or not self.complete):
            self._connection.send_continue()
        self._expects_continue = False
        if self.complete:
            self._connection = None
            self._end(None)
        else:
            if self.work is not None:
                self.work.pause()
            self._rest()
            if not self._paused:
                self.resumeProducing()
        return done

    def _cancelled(self, _: Deferred[None]) -> None:
        self._done = None
        self._detach()
        self._pause_transport()

    def pauseProducing(self) -> None:
        """Stop reading from the client for now."""
        self._paused = True
        self._pause_transport()

    def resumeProducing(self) -> None:
        """Continue to read."""
        self._paused = False
        if self._connection is not None and self._resting is None:
            self._connection.resume_reading()

    def _rest(self) -> None:
        """Read nothing until the bytes that have arrived are paid for."""
        wait_s = 0.0 if self.pace is None else self.pace.receiving_wait_s()
        if wait_s > 0 and self.pace is not None and self._resting is None:
            self._resting = self.pace.clock.callLater(wait_s, self._rested)
            self._pause_transport()

    def _rested(self) -> None:
        self._resting = None
        self._rest()  # others may have spent meanwhile what is theirs, too
        if not self._paused:
            self.resumeProducing()

    def stopProducing(self) -> None:
        """Deliver nothing more: the consumer needs no more bytes."""
        self.pauseProducing()

    def _pause_transport(self) -> None:
        if self._connection is not None:
            self._connection.pause_reading()

    @property
    def early(self) -> bytes | None:
        """All bytes of the body, if they have arrived before anybody has asked for them; else None.  They can still be
        delivered, until `drop_early`.
        """
        return b"".join(self._early) if self.complete and self._early_size == self.size else None

    def drop_early(self) -> None:
        """Take note that the bytes that have arrived are taken, as `early` or by `deliver`: they count for the pace."""
        self._early = []
        if self.pace is not None:
            self.pace.count_received(self.size)

    # Called by the request

    def received(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        if self._discarding:
            return
        if self._consumer is None:
            # A short body arrives with the headers, or right after them: then it is complete, and there is nothing to
            # pause.  Over TLS more bytes may arrive after the pause.
            self._early.append(data)
            self._early_size += len(data)
            if self._early_size != self.length:
                self._pause_transport()
        else:
            self._consumer.write(data)
            if self.pace is not None and self._consumer is not None:
                self.pace.count_received(len(data))
                self._rest()

    def ended(self) -> None:
        """Handle the end of the body."""
        if self.work is not None:
            self.work.resume()
        self.complete = True
        self._connection = None
        self._end(None)

    def broke(self, reason: Failure) -> None:
        """Handle the end of the connection."""
        if self.complete:
            self._connection = None
        elif self._broken is None:
            self._broken = Failure(BodyBroken(why_client_left(reason.value)))
            self._connection = None
            self._end(self._broken)

    def discard(self) -> Deferred[None]:
        """Read the rest of the body, and discard it.

        :return: a Deferred that fires with None at the end of the body, or fails if the connection ends before.
        """
        self._discarding = True
        self._early = []
        self._detach()
        done: Deferred[None] = Deferred()
        self._done = done
        self.resumeProducing()
        return done

    def _detach(self) -> None:
        resting, self._resting = self._resting, None
        if resting is not None:
            resting.cancel()
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
