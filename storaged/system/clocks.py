"""The reactor's clock, which measures spans of time, and the wall clock, for times that are shown or stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def measure_monotonically(reactor: Any) -> None:
    """Make a reactor measure spans of time with the system's monotonic clock.

    Twisted's reactors measure them with the wall clock: where that is set, timeouts expire early or late by the step.
    To be called in a daemon before anything is scheduled.  The monotonic clock stands still while the machine sleeps,
    so that no timeout expires because of that.

    :raise RuntimeError: something is scheduled already, by the other clock; nothing has changed.
    """
    if reactor.getDelayedCalls():
        raise RuntimeError("calls are scheduled already, by the wall clock")
    reactor.seconds = time.monotonic


class WallClock:
    """The time of day, as milliseconds since 1970.

    Anybody may set it, forwards and backwards: nothing is to wait by it.

    :param seconds: the wall clock, seconds since 1970.
    :param monotonic: seconds of a clock that nobody sets.
    """

    def __init__(
        self, seconds: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._offset = seconds() - monotonic()

    def now_ms(self) -> int:
        """The time of day now."""
        return int(self._seconds() * 1000)

    def steady_ms(self) -> int:
        """The time of day as it would be if nobody had set the clock since this object was made: it never goes back,
        and advances as fast as time does.
        """
        return int((self._monotonic() + self._offset) * 1000)
