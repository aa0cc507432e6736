"""Writes a part to a node: the body of one PUT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http import UNKNOWN_LENGTH, IBodyProducer, SharedWindow, abort_body, write_body
from storaged.parts.client.answers import error_of, failure_of, part_info, read_all
from storaged.parts.client.patience import Patience, Wait
from storaged.parts.errors import BadPart, NodeUnavailable, StoragedError
from storaged.parts.interfaces import IPartWriter
from storaged.parts.values import PartInfo
from storaged.system.buffers import Piece
from storaged.system.once import Once

_GATHER_S = 0.02
"""The longest time in seconds for which bytes wait for others that are sent with them.

It must be short beside all time limits for silence: a node cannot tell gathered bytes from a front that sends none.
"""

_SHARE = 2
"""Bytes are gathered until they fill one window divided by this."""


@implementer(IPartWriter, IBodyProducer, IPushProducer)
class RemotePartWriter:
    """Sends the body of one PUT.

    Bytes that come soon one after the other are sent together.  A node reads what has arrived, so with fewer and larger
    writes it has fewer and larger reads, and for each read a turn of its reactor.

    :param stored_size: the size of the whole part in bytes, or None if not known.
    :param window: the shared window, which this writer enters and leaves at its end: if there are many bodies,
        connections buffer less of each.
    """

    def __init__(
        self, node_id: str, part_id: str, stored_size: int | None, *, patience: Patience, window: SharedWindow
    ) -> None:
        self.length = UNKNOWN_LENGTH if stored_size is None else stored_size
        self.connected: Deferred[None] = Deferred()
        self._node_id = node_id
        self._part_id = part_id
        self._written = 0
        self._consumer: IConsumer | None = None
        self._producer: IPushProducer | None = None
        self._paused = False
        self._body_sent: Deferred[None] = Deferred()
        self._request: Deferred[Any] | None = None
        self._finished: Deferred[PartInfo] | None = None
        self._problem: StoragedError | None = None
        self._broken: Once[Exception] = Once()
        self._aborted = False
        self._over: Deferred[None] = Deferred()
        self._wait = Wait(patience, self._expired)
        self._window = window
        self._clock = patience.clock
        self._gathered: list[Piece] = []
        self._gathered_size = 0
        self._gathering: IDelayedCall | None = None
        window.enter()

    def answered(self, request: Deferred[Any]) -> None:
        """Set the Deferred that fires with the node's answer."""
        self._request = request
        request.addCallback(self._judge).addErrback(self._break)

    async def _read_answer(self, response: Any) -> PartInfo:
        await read_all(response)
        if response.code != 201:
            raise error_of(response)
        return part_info(self._part_id, response)

    def _judge(self, response: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(self._read_answer(response)).addCallback(self._stored)

    def _stored(self, info: PartInfo) -> None:
        if self._finished is None:
            raise NodeUnavailable(f"part {self._part_id}: said to be stored before all was sent")
        if info.stored_size != self._written:
            raise NodeUnavailable(
                f"part {self._part_id}: said to take {info.stored_size} bytes, {self._written} were sent"
            )
        self._end()
        self._finished.callback(info)

    def _expired(self, problem: NodeUnavailable | None) -> None:
        done = "stored" if self._body_sent.called else "took"
        late = f"part {self._part_id}: {done} nothing of it for {self._wait.seconds:g} s"
        self._break(Failure(problem or NodeUnavailable(late)))
        if self._body_sent.called and self._request is not None:
            self._request.cancel()

    def _break(self, failure: Failure) -> None:
        if self._problem is not None:
            return  # this failure follows from the first one: the connection was cut
        # The part does not matter if there is no connection.
        problem = failure_of(failure.value, self._part_id if self.connected.called else "")
        self._problem = problem.on(self._node_id)
        self._cut()
        self._end()
        if not self.connected.called:
            self.connected.errback(problem)
        if self._aborted:
            return
        if self._finished is not None:
            self._finished.errback(problem)
            return
        self._broken.fire(problem)

    def _end(self) -> None:
        self._wait.end()
        self._forget_gathered()
        if not self._over.called:
            self._window.leave()
            self._over.callback(None)

    def _cut(self) -> None:
        """End the connection, unless the whole body was sent on it."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None and not self._body_sent.called:
            abort_body(consumer)

    # IBodyProducer: called by the Agent

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Begin to send: there is a connection."""
        self._consumer = consumer
        if self._aborted:
            self._cut()
        elif not self.connected.called:
            self.connected.callback(None)
        return self._body_sent

    def pauseProducing(self) -> None:
        """Pause: the connection's buffer is full."""
        self._paused = True
        self._wait.begin()
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Resume."""
        self._paused = False
        self._wait.end()
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """Stop: the connection is lost.  The request fails with the reason."""
        self._consumer = None

    # IPartWriter

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Register the producer, to be paused while the connection's buffer is full."""
        assert streaming
        self._producer = producer
        if self._paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None

    def write(self, data: bytes) -> None:
        """Send stored bytes."""
        self.writeSequence([data])

    def writeSequence(self, pieces: Sequence[Piece]) -> None:
        """Send stored bytes; see `IPartWriter.writeSequence`."""
        size = sum(map(len, pieces))
        # A chunk of no bytes would end the body.
        if size and self._consumer is not None and self._finished is None:
            self._written += size
            self._gathered += pieces
            self._gathered_size += size
            if self._gathered_size >= self._window.size // _SHARE:
                self._send_gathered()
            elif self._gathering is None:
                self._gathering = self._clock.callLater(_GATHER_S, self._gathered_long)

    def _gathered_long(self) -> None:
        self._gathering = None
        self._send_gathered()

    def _send_gathered(self) -> None:
        pieces, self._gathered, self._gathered_size = self._gathered, [], 0
        if pieces and self._consumer is not None:
            write_body(self._consumer, pieces)

    def _forget_gathered(self) -> None:
        self._gathered, self._gathered_size = [], 0
        gathering, self._gathering = self._gathering, None
        if gathering is not None:
            gathering.cancel()

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure; see `IPartWriter.when_broken`."""
        return self._broken.wait()

    def finish(self) -> Deferred[PartInfo]:
        """Complete the part; see `IPartWriter.finish`."""
        finished: Deferred[PartInfo] = Deferred()
        if self._problem is not None:
            finished.errback(self._problem)
            return finished
        self._finished = finished
        if self.length is not UNKNOWN_LENGTH and self._written != self.length:
            self._break(
                Failure(BadPart(f"part {self._part_id}: got {self._written} bytes, {self.length} were announced"))
            )
        else:
            self._send_gathered()
            self._forget_gathered()
            self._wait.begin()
            self._body_sent.callback(None)
        return finished

    def abort(self) -> Deferred[None]:
        """Abort the part; see `IPartWriter.abort`."""
        over: Deferred[None] = Deferred()
        if self._over.called:
            over.callback(None)
            return over
        self._aborted = True
        self._over.addCallback(lambda _: over.callback(None))
        if self._consumer is not None and not self._body_sent.called:
            self._cut()
        elif self._request is not None:
            self._request.cancel()
        return over
