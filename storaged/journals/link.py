"""The node's side of a journal's link, on which a front writes the copy of its journal."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http import IDrainingProtocol, reason_of, write_eagerly
from storaged.journals.store import Journals, Session
from storaged.parts import journals as messages
from storaged.parts import wire
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.frames import FrameReceiver, frame
from storaged.parts.journals import Answer, Append, Open, Piece, Request, Trim

_MOST_BYTES = 16 * 1024 * 1024
"""The front has to wait while requests of this many bytes are pending."""


@implementer(IDrainingProtocol)
class JournalLinkServer(FrameReceiver):
    """Answers the requests of one link, in their order.  Appends that wait together are made durable with one sync.

    :param journals: the copy.
    """

    MAX_LENGTH = 2 * messages.MAX_LINES
    transport: Any
    _log = Logger()

    def __init__(self, journals: Journals) -> None:
        self._journals = journals
        self._session: Session | None = None
        self._waiting: deque[Request] = deque()
        self._bytes = 0
        self._paused = False
        self._working = False
        self._draining = False
        self._cut = False

    def stringReceived(self, string: bytes) -> None:
        """Take a request.  After a malformed one, the link is cut, and no further request is read."""
        if self._cut:
            return
        try:
            request = messages.decode_request(string)
        except BadRequest as problem:
            self._cut_off(str(problem))
            return
        self._waiting.append(request)
        self._count(_size(request))
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._work()).addErrback(self._failed)

    def lengthLimitExceeded(self, length: int) -> None:
        """Cut the link: no message may be that long."""
        self._cut_off(f"a message of {length} bytes")

    def _count(self, size: int) -> None:
        self._bytes += size
        too_much = self._bytes >= _MOST_BYTES
        if too_much == self._paused or not self.connected or self._draining:
            return
        self._paused = too_much
        if too_much:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    async def _work(self) -> None:
        while self._waiting and not self._cut:
            batch = self._take()
            try:
                answers = await self._do(batch)
            except StoragedError as problem:
                answers = [Answer(each.number, 0, wire.format_error(problem)[1]) for each in batch]
            except Exception as problem:
                self._log.failure("a request of a journal's link")
                text = wire.format_error(NodeUnavailable(reason_of(problem)))[1]
                answers = [Answer(each.number, 0, text) for each in batch]
            self._count(-sum(map(_size, batch)))
            if self.connected and not self._cut:
                write_eagerly(self.transport, [piece for each in answers for piece in frame(messages.encode(each))])
        self._working = False
        self._end_where_drained()

    def _take(self) -> list[Request]:
        batch = [self._waiting.popleft()]
        while isinstance(batch[0], Append) and self._waiting and isinstance(self._waiting[0], Append):
            batch.append(self._waiting.popleft())
        return batch

    async def _do(self, batch: list[Request]) -> list[Answer]:
        first = batch[0]
        if isinstance(first, Open):
            self._session, state = await self._journals.open(first.epoch, first.front, first.run)
            return [Answer(first.number, state.next, "", state)]
        if isinstance(first, Trim):
            return [Answer(first.number, await self._journals.trim(self._session, first))]
        if isinstance(first, Piece):
            return [Answer(first.number, await self._journals.take(self._session, first))]
        appends = [each for each in batch if isinstance(each, Append)]
        upcoming = await self._journals.append(self._session, appends)
        return [Answer(each.number, upcoming) for each in appends]

    def _failed(self, failure: Failure) -> None:
        self._log.failure("a journal's link", failure)
        self._cut_off(reason_of(failure.value))

    def _cut_off(self, reason: str) -> None:
        self._log.error("a journal's link is cut: {reason}", reason=reason)
        self._cut = True
        self._waiting.clear()
        self.transport.abortConnection()

    def drain(self) -> None:
        """Take no more requests; see `IDrainingProtocol`."""
        self._draining = True
        self.transport.pauseProducing()
        self._end_where_drained()

    def _end_where_drained(self) -> None:
        if self._draining and not self._working and self.connected:
            self.transport.loseConnection()


def _size(request: Request) -> int:
    if isinstance(request, Append):
        return len(request.lines)
    return len(request.data) if isinstance(request, Piece) else 0
