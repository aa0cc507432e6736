"""Batches of work for one thread: the requests that arrive while it works are handled together afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from storaged.http import reason_of
from storaged.parts.errors import NodeUnavailable
from storaged.system.serial import SerialThread

_AT_ONCE = 256
"""A batch that has this many items takes no more: parts that are written with one sync, or read in one go."""

_Asked: TypeAlias = tuple[Sequence[Any], Deferred[list[Any]]]


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
        self._working: Deferred[None] | None = None

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
            asked[1].errback(problem)
        if self._working is not None:
            await self._working
        self._thread.stop()

    def ask(self, items: Sequence[Any]) -> Deferred[list[Any]]:
        """Request the work for some items.

        :return: a Deferred that fires with a result for each item, in their order.  Cancelling it abandons the
            results; the work may be done or not.
        """
        answer: Deferred[list[Any]] = Deferred()
        self._asked.append((items, answer))
        if self._working is None:
            self._begin()
        return answer

    def _begin(self) -> None:
        self._working = self._thread.run(self._work_some).addCallback(self._report)

    def _take(self) -> _Asked | None:
        """Take the oldest request, in one atomic step, because the thread and the reactor both take requests."""
        try:
            return self._asked.popleft()
        except IndexError:
            return None

    def _work_some(self) -> list[tuple[Deferred[list[Any]], list[Any]]]:
        # Requests are taken here, in the thread, because more can arrive until it runs.
        taken: list[_Asked] = []
        items: list[Any] = []
        while len(items) < _AT_ONCE and (asked := self._take()) is not None:
            taken.append(asked)
            items += asked[0]
        if not taken:  # `stop` has taken all of them
            return []
        results: Sequence[Any]
        try:
            results = self._work(items)
        except Exception as problem:
            self._log.failure("packs")
            results = [NodeUnavailable(reason_of(problem))] * len(items)
        rest = iter(results)
        return [(answer, list(islice(rest, len(part)))) for part, answer in taken]

    def _report(self, done: list[tuple[Deferred[list[Any]], list[Any]]]) -> None:
        self._working = None
        if self._asked:
            self._begin()
        for answer, results in done:
            if not answer.called:  # cancelled
                answer.callback(results)
