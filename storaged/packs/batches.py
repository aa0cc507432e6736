"""Batches of work for one thread: the requests that arrive while it works are handled together afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from storaged.http import reason_of
from storaged.parts.errors import NodeUnavailable
from storaged.system.serial import SerialThread

_AT_ONCE = 256
"""A batch that has this many items takes no more: parts that are written with one sync, or read in one go."""

Told: TypeAlias = Callable[[list[Any]], object]
"""Takes the results of a request, in the thread."""

_Asked: TypeAlias = tuple[Sequence[Any], "Deferred[list[Any]] | Told"]
_Done: TypeAlias = list[tuple[Deferred[list[Any]], list[Any]]]


class Batches:
    """Batches of items for one thread.

    :param thread: does the work; this object starts and stops it.
    :param work: called in the thread with the items of a batch; returns a result for each, which may be an error.
    """

    _log = Logger()

    def __init__(self, thread: SerialThread, work: Callable[[list[Any]], Sequence[Any]]) -> None:
        self._thread = thread
        self._work = work
        self._asked: deque[_Asked] = deque()

    def __len__(self) -> int:
        return len(self._asked)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self, problem: Exception) -> None:
        """Fail the requests that have not begun, wait for the batch in progress, and stop the thread.

        May be called again.  `ask` must not be called any more.

        :param problem: the error of the requests that have not begun.
        """
        while (asked := self._take()) is not None:
            items, answer = asked
            if isinstance(answer, Deferred):
                answer.errback(problem)
            else:
                answer([problem] * len(items))
        if self._thread.is_alive:
            await self._thread.run(_nothing)  # its results come after those of the batch
        self._thread.stop()

    def ask(self, items: Sequence[Any]) -> Deferred[list[Any]]:
        """Request the work for some items.

        :return: a Deferred that fires with a result for each item, in their order.  Cancelling it abandons the
            results; the work may be done or not.
        """
        answer: Deferred[list[Any]] = Deferred()
        self._ask(items, answer)
        return answer

    def ask_then(self, items: Sequence[Any], then: Told) -> None:
        """Request the work for some items, and do not wake the reactor for the results.

        :param then: called in the thread with a result for each item, in their order; by `stop` in the reactor's, with
            the error for each.
        """
        self._ask(items, then)

    def _ask(self, items: Sequence[Any], answer: Deferred[list[Any]] | Told) -> None:
        self._asked.append((items, answer))
        self._thread.post(self._work_some)  # it finds nothing to do if an earlier call has taken this request along

    def _take(self) -> _Asked | None:
        """Take the oldest request, in one atomic step, because the thread and the reactor both take requests."""
        try:
            return self._asked.popleft()
        except IndexError:
            return None

    def _work_some(self) -> None:
        # Requests are taken here, in the thread, because more can arrive until it runs.
        taken: list[_Asked] = []
        items: list[Any] = []
        while len(items) < _AT_ONCE and (asked := self._take()) is not None:
            taken.append(asked)
            items += asked[0]
        if not taken:
            return
        results: Sequence[Any]
        try:
            results = self._work(items)
        except Exception as problem:
            self._log.failure("packs")
            results = [NodeUnavailable(reason_of(problem))] * len(items)
        rest = iter(results)
        done: _Done = []
        for part, answer in taken:
            own = list(islice(rest, len(part)))
            if isinstance(answer, Deferred):
                done.append((answer, own))
            else:
                self._tell(answer, own)
        if done:
            self._thread.tell(partial(_report, done))

    def _tell(self, then: Told, results: list[Any]) -> None:
        try:
            then(results)
        except Exception:
            self._log.failure("the results of packs")  # those of the other requests must be told


def _report(done: _Done) -> None:
    for answer, results in done:
        if not answer.called:  # cancelled
            answer.callback(results)


def _nothing() -> None:
    """Do nothing, in the thread."""
