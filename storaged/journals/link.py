"""The node's side of a journal's link, on which a front writes the copy of its journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.http import ThreadSender, reason_of, write_eagerly
from storaged.journals.store import Journals, Session
from storaged.parts import journals as messages
from storaged.parts import wire
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.frames import frame
from storaged.parts.journals import Answer, Append, Open, Piece, Request, Trim
from storaged.parts.served_link import ServedLink
from storaged.system import buffers

_MOST_ALONE = 64 * 1024
"""Bytes of lines up to which a lone append is answered by the thread that writes it."""


@attrs.define(eq=False)
class _Alone:
    """A lone append, which the thread of the copy answers.

    :param is_watched: whether the thread shall tell when it is done.  It is set before `is_done` is read here, and read
        after that is set there; so one of the two sees the other.
    :param is_done: whether it was answered.
    """

    request: Append
    is_watched: bool = False
    is_done: bool = False


class JournalLinkServer(ServedLink):
    """Answers the requests of one link, in their order.  Appends that wait together are made durable with one sync, and
    get one answer.

    A lone append is answered by the thread that has synced it; this side looks for it when it has something else to do.

    :param journals: the copy.
    :param make_sender: makes what the thread sends answers with.
    """

    NAME = "a journal's link"
    MAX_LENGTH = 2 * messages.MAX_LINES
    _log = Logger()
    _sender: ThreadSender

    def __init__(self, journals: Journals, make_sender: Callable[[Any], ThreadSender] = ThreadSender) -> None:
        super().__init__()
        self._journals = journals
        self._make_sender = make_sender
        self._session: Session | None = None
        self._waiting: deque[Request] = deque()
        self._working = False
        self._alone: _Alone | None = None

    def connectionMade(self) -> None:
        """Get ready to answer."""
        self._sender = self._make_sender(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes: requests that came together are done together."""
        super().dataReceived(data)
        self._go_on()

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

    def _go_on(self) -> None:
        """Begin what waits, unless something is in progress."""
        alone = self._alone
        if alone is not None:
            alone.is_watched = True
            if not alone.is_done:
                return
            self._end_alone(alone)
        if self._working or not self._waiting or self._cut:
            return
        request = self._waiting[0]
        if len(self._waiting) == 1 and isinstance(request, Append) and self._may_be_alone(request):
            self._waiting.clear()
            self._append_alone(request)
        else:
            self._working = True
            Deferred.fromCoroutine(self._work()).addErrback(self._failed)

    def _may_be_alone(self, request: Append) -> bool:
        return not self._draining and _size(request) <= _MOST_ALONE and self._sender.is_ready()

    def _append_alone(self, request: Append) -> None:
        alone = self._alone = _Alone(request)
        try:
            self._journals.append_then(self._session, request, partial(self._appended_alone, alone))
        except StoragedError as problem:
            self._report_alone(alone, problem)

    def _appended_alone(self, alone: _Alone, outcome: int | StoragedError) -> None:
        """Answer; in the thread of the copy."""
        unsent: Sequence[buffers.Piece] = ()
        if isinstance(outcome, int):
            unsent = self._sender.send(frame(messages.encode(Answer(alone.request.number, outcome))))
        if unsent or not isinstance(outcome, int):
            self._journals.tell(partial(self._report_alone, alone, outcome, unsent))
            return
        alone.is_done = True
        if alone.is_watched:
            self._journals.tell(partial(self._watched_alone, alone))

    def _watched_alone(self, alone: _Alone) -> None:
        if self._alone is alone:
            self._end_alone(alone)
            self._go_on()

    def _report_alone(self, alone: _Alone, outcome: int | StoragedError, unsent: Sequence[buffers.Piece] = ()) -> None:
        """Answer what the thread could not."""
        if isinstance(outcome, StoragedError):
            unsent = frame(messages.encode(_refusal(alone.request, outcome)))
        if self.connected and not self._cut:
            write_eagerly(self.transport, unsent)
        self._end_alone(alone)
        self._go_on()

    def _end_alone(self, alone: _Alone) -> None:
        self._alone = None
        self._count(-1, -_size(alone.request))
        self._end_where_drained()

    def drain(self) -> None:
        """Take no more requests; see `IDrainingProtocol`."""
        super().drain()
        self._go_on()

    async def _work(self) -> None:
        while self._waiting and not self._cut:
            batch = self._take()
            try:
                answers = await self._do(batch)
            except StoragedError as problem:
                answers = [_refusal(each, problem) for each in batch]
            except Exception as problem:
                self._log.failure("a request of a journal's link")
                answers = [_refusal(each, NodeUnavailable(reason_of(problem))) for each in batch]
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
        return [Answer(appends[-1].number, await self._journals.append(self._session, appends))]

    def _failed(self, failure: Failure) -> None:
        self._log.failure("a journal's link", failure)
        self._cut_off(reason_of(failure.value))

    def _cut_off(self, reason: str) -> None:
        self._waiting.clear()
        super()._cut_off(reason)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: ARG002
        """Answer nothing any more."""
        self._sender.close()


def _refusal(request: Request, problem: StoragedError) -> Answer:
    return Answer(request.number, 0, wire.format_error(problem)[1])


def _size(request: Request) -> int:
    if isinstance(request, Append):
        return len(request.lines)
    return len(request.data) if isinstance(request, Piece) else 0
