"""Clocks for tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock

from storaged.system.clocks import WallClock
from storaged.system.stalls import STALL_S

_STEP_S = STALL_S / 2


def wall_of(clock: IReactorTime) -> WallClock:
    """Return a wall clock that shows the time of a reactor's clock."""
    return WallClock(clock.seconds, clock.seconds)


class StillReactor:
    """A reactor on which time passes only when a test advances it, so that no timeout expires by chance.

    :param reactor: does everything else.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._clock = Clock()
        self.seconds = self._clock.seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any, **kw: Any) -> IDelayedCall:
        """Call as soon as possible if `delay` is 0; otherwise when `advance` has reached it."""
        later: Any = self._reactor if delay == 0 else self._clock
        delayed: IDelayedCall = later.callLater(delay, call, *args, **kw)
        return delayed

    def advance(self, seconds: float) -> None:
        """Let time pass, as it passes for a process that does not stand still: no call comes late."""
        steps = math.ceil(seconds / _STEP_S)
        for _ in range(steps):
            self._clock.advance(seconds / steps)

    def getDelayedCalls(self) -> list[Any]:
        """Return the calls that wait for time to pass."""
        return list(self._clock.getDelayedCalls())
