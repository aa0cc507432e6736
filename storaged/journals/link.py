"""The node's side of a journal's link, on which a front writes the copy of its journal."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.http import reason_of, write_eagerly
from storaged.journals.store import Journals, Session
from storaged.parts import journals as messages
from storaged.parts import wire
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.frames import frame
from storaged.parts.journals import Answer, Append, Open, Piece, Request, Trim
from storaged.parts.served_link import ServedLink


class JournalLinkServer(ServedLink):
    """Answers the requests of one link, in their order.  Appends that wait together are made durable with one sync.

    :param journals: the copy.
    """

    NAME = "a journal's link"
    MAX_LENGTH = 2 * messages.MAX_LINES
    _log = Logger()

    def __init__(self, journals: Journals) -> None:
        super().__init__()
        self._journals = journals
        self._session: Session | None = None
        self._waiting: deque[Request] = deque()
        self._working = False

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
        self._count(1, _size(request))
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._work()).addErrback(self._failed)

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
            self._count(-len(batch), -sum(map(_size, batch)))
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
        self._waiting.clear()
        super()._cut_off(reason)


def _size(request: Request) -> int:
    if isinstance(request, Append):
        return len(request.lines)
    return len(request.data) if isinstance(request, Piece) else 0
