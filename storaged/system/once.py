"""Something that happens once, and that any number may wait for."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

_T = TypeVar("_T")


class Once(Generic[_T]):
    """An outcome to come: a value or a `Failure`.  A failure that nobody waits for is nobody's loss."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[_T]] = []
        self._outcome: tuple[_T | Failure] | None = None

    @property
    def fired(self) -> bool:
        """Whether it has happened."""
        return self._outcome is not None

    def fire(self, outcome: _T | Failure) -> None:
        """Tell all who wait, and all who ask later.  Only the first call counts."""
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
        """Wait for it: a Deferred of the value, or of the failure.  Cancelling it only ends the waiting."""
        if self._outcome is None:
            deferred: Deferred[_T] = Deferred(self._waiting.remove)
            self._waiting.append(deferred)
            return deferred
        outcome = self._outcome[0]
        return fail(outcome) if isinstance(outcome, Failure) else succeed(outcome)
