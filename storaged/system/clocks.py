"""The reactor's clock, which measures spans of time, and the wall clock, for times that are shown or stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def measure_monotonically(reactor: Any) -> None:
    """Make a reactor measure spans of time with the system's monotonic clock.

    Twisted's reactors measure them with the wall clock: when that is set, timeouts expire early or late by the step.
    To be called in a daemon before any call is scheduled.  The monotonic clock stands still while the machine sleeps,
    so no timeout expires because of that.

    :raise RuntimeError: a call is scheduled already, by the wall clock; nothing has changed.
    """
    if reactor.getDelayedCalls():
        raise RuntimeError("calls are scheduled already, by the wall clock")
    reactor.seconds = time.monotonic


def elapsed_s() -> float:
    """Return seconds since some moment, by a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WallClock:
    """The time of day, as milliseconds since 1970.

    It may be set forward and back at any time, so nothing must wait by it.

    :param seconds: returns the time of the wall clock, seconds since 1970.
    :param monotonic: returns the time of a clock that nobody sets, in seconds.
    """

    def __init__(
        self, seconds: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._offset = seconds() - monotonic()

    def now_ms(self) -> int:
        """Return the time of day."""
        return int(self._seconds() * 1000)

    def steady_ms(self) -> int:
        """Return the time of day as if the clock had not been set since this object was made: it never goes back, and
        advances as fast as time does.
        """
        return int((self._monotonic() + self._offset) * 1000)
