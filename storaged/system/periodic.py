"""Work that is done at regular intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.system.parallel import settled


class Periodic:
    """Does its work in rounds, one at a time.  If a round fails, the error is logged, and the next round follows.

    Each round begins at a multiple of the interval after the first; rounds that are missed because one takes longer are
    skipped.

    :param work: does one round; may return a Deferred or a coroutine.
    :param interval_s: seconds from the beginning of a round to the beginning of the next.
    :param clock: measures the interval, and schedules calls.
    :param name: the name of the work, for the log.
    """

    _log = Logger()

    def __init__(self, work: Callable[[], Any], interval_s: float, clock: IReactorTime, name: str) -> None:
        self._work = work
        self._interval_s = interval_s
        self._clock = clock
        self._name = name
        self._due = 0.0
        self._next: IDelayedCall | None = None
        self._round: Deferred[None] | None = None
        self._stopped = False

    def start(self, first_s: float | None = None) -> None:
        """Begin.  To be called once; does nothing after `stop`.

        :param first_s: seconds until the first round; None for an interval; with 0 the round begins within this call.
        """
        if self._stopped:
            return
        pause_s = self._interval_s if first_s is None else first_s
        self._due = self._clock.seconds() + pause_s
        if pause_s > 0:
            self._next = self._clock.callLater(pause_s, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._next = None
        self._round = maybeDeferred(self._work).addErrback(self._failed)
        self._round.addCallback(self._ended)

    def _failed(self, failure: Failure) -> None:
        if not (self._stopped and failure.check(CancelledError)):
            self._log.failure("{name}", failure, name=self._name)

    def _ended(self, _: object) -> None:
        self._round = None
        if not self._stopped:
            late_s = self._clock.seconds() - self._due
            pause_s = self._interval_s - late_s % self._interval_s
            self._due = self._clock.seconds() + pause_s
            self._next = self._clock.callLater(pause_s, self._begin)

    def stop(self, *, cancel: bool = False) -> Deferred[None]:
        """Begin no more rounds.  May be called again, and before `start`.

        :param cancel: whether to cancel the round in progress.
        :return: a Deferred that fires with None when the round in progress has ended.  Cancelling it only ends the
            wait.
        """
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._round is None:
            return settled([])
        ended = settled([self._round])
        if cancel:
            self._round.cancel()
        return ended
