"""Time limits for others, where it may be this process that stood still: on a busy or paused machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

STALL_S = 0.25
"""If a timer is later than this, then this process stood still, and nobody can tell who else did."""

GRACE_S = 1.0
"""For so long it then reads what has arrived meanwhile, before it says that nothing has."""

_Result = TypeVar("_Result")


def stood_still(clock: IReactorTime, due: float) -> bool:
    """Return whether this process stood still when a timer was due, at a time of the clock in seconds."""
    return clock.seconds() - due > STALL_S


def limit(
    waiting: Deferred[_Result],
    seconds: float,
    clock: IReactorTime,
    late: Callable[[Any, float], Any] | None = None,
) -> Deferred[_Result]:
    """Limit a wait, as `Deferred.addTimeout` does, without counting a stall of this process as one of another."""
    fair: Any = _Fair(clock)
    return waiting.addTimeout(seconds, fair, late)


class _Fair:
    """A clock for one call: it is put off once if this process stood still when it was due."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._expire: Callable[[], object] | None = None
        self._call: IDelayedCall | None = None

    def callLater(self, seconds: float, expire: Callable[[], object]) -> _Fair:
        self._expire = expire
        self._call = self._clock.callLater(seconds, self._due)
        return self

    def _due(self) -> None:
        assert self._call is not None
        assert self._expire is not None
        if stood_still(self._clock, self._call.getTime()):
            self._call = self._clock.callLater(GRACE_S, self._expire)
        else:
            self._expire()

    def active(self) -> bool:
        return self._call is not None and self._call.active()

    def cancel(self) -> None:
        assert self._call is not None
        self._call.cancel()
