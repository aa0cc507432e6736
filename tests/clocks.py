"""Clocks for tests."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from storaged.system.clocks import WallClock


def wall_of(clock: IReactorTime) -> WallClock:
    """A wall clock that shows the time of another one."""
    return WallClock(clock.seconds, clock.seconds)
