"""Does long work in slices, so that other work gets its turn of the reactor soon."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

SLICE = 250
"""The steps of one slice, which take some milliseconds."""


@attrs.define(eq=False)
class _Job:
    steps: Iterator[None]
    ended: Deferred[None]


class Slices:
    """Does the steps of several jobs: one slice in each turn of the reactor, and the jobs take turns.

    :param clock: calls later.
    :param size: the steps of a slice.
    """

    def __init__(self, clock: IReactorTime, size: int = SLICE) -> None:
        self._clock = clock
        self._size = size
        self._jobs: deque[_Job] = deque()
        self._next: Any = None

    def do(self, steps: Iterator[None]) -> Deferred[None]:
        """Do the steps of a job.  Its first slice is done before the call returns, unless other jobs are pending.

        Cancelling it closes the iterator; no more steps are done then.

        :return: a Deferred that fires with None after the last step, or with the exception that a step raised.
        """
        job = _Job(steps, Deferred(lambda _: self._give_up(job)))
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._slice()
        return job.ended

    def _give_up(self, job: _Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
        close(job.steps)
        self._schedule()

    def _slice(self) -> None:
        self._next = None
        job = self._jobs[0]
        try:
            done = sum(1 for _ in islice(job.steps, self._size))
        except Exception:
            self._end(job).errback()
        else:
            if done < self._size:
                self._end(job).callback(None)
            else:
                self._jobs.rotate(-1)
        self._schedule()

    def _end(self, job: _Job) -> Deferred[None]:
        self._jobs.remove(job)
        return job.ended

    def _schedule(self) -> None:
        if self._jobs and self._next is None:
            self._next = self._clock.callLater(0, self._slice)
        elif not self._jobs and self._next is not None:
            self._next.cancel()
            self._next = None

    def stop(self) -> None:
        """Cancel all jobs.  May be called again."""
        while self._jobs:
            self._jobs[0].ended.cancel()


def close(steps: Iterator[None]) -> None:
    """Close a generator, so that it can clean up; other iterators have nothing to close."""
    getattr(steps, "close", lambda: None)()
