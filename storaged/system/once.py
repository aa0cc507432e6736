"""An event that happens once and has any number of waiters."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

_T = TypeVar("_T")


class Once(Generic[_T]):
    """The outcome of an event: a value or a `Failure`.

    A failure for which nobody waits is not logged.
    """

    def __init__(self) -> None:
        self._waiting: list[Deferred[_T]] = []
        self._outcome: tuple[_T | Failure] | None = None

    @property
    def fired(self) -> bool:
        """Whether the event has happened."""
        return self._outcome is not None

    def fire(self, outcome: _T | Failure) -> None:
        """Set the outcome for all present and later waiters.  Later calls do nothing.

        :param outcome: a value, or a `Failure` for the waiters' errbacks.
        """
        if self._outcome is not None:
            return
        self._outcome = (outcome,)
        while self._waiting:
            deferred = self._waiting.pop(0)
            if isinstance(outcome, Failure):
                deferred.errback(outcome)
            else:
                deferred.callback(outcome)

    def wait(self) -> Deferred[_T]:
        """Wait for the event.

        :return: a Deferred that fires with the value or the failure, at once if the event has happened.  Cancelling it
            ends this wait and no other.
        """
        if self._outcome is None:
            deferred: Deferred[_T] = Deferred(self._waiting.remove)
            self._waiting.append(deferred)
            return deferred
        outcome = self._outcome[0]
        return fail(outcome) if isinstance(outcome, Failure) else succeed(outcome)
