"""A time limit that is often set anew."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from storaged.system.stalls import GRACE_S, stood_still


class Deadline:
    """Calls a function when some seconds have passed, unless it is set anew before.

    Setting it costs no scheduled call: the one that is scheduled looks, when its time has come, whether the deadline
    was moved.  If this process stood still meanwhile, what has arrived is read before the deadline passes.

    :param passed: the function.
    """

    def __init__(self, clock: IReactorTime, passed: Callable[[], None]) -> None:
        self._clock = clock
        self._passed = passed
        self._seconds = 0.0
        self._at: float | None = None
        self._call: IDelayedCall | None = None

    def set(self, seconds: float | None) -> None:
        """Let it pass in some seconds; None for never."""
        if seconds is None:
            self._at = None
            return
        self._seconds = seconds
        self._at = self._clock.seconds() + seconds
        if self._call is None:
            self._call = self._clock.callLater(seconds, self._look)
        elif self._call.getTime() > self._at:
            self._call.reset(seconds)

    def extend(self) -> None:
        """Begin to count anew, if time is running."""
        if self._at is not None:
            self._at = self._clock.seconds() + self._seconds

    def _look(self, *, may_put_off: bool = True) -> None:
        call, self._call = self._call, None
        if self._at is None or call is None:
            return
        left = self._at - self._clock.seconds()
        if left > 0:
            self._call = self._clock.callLater(left, self._look)
        elif may_put_off and stood_still(self._clock, call.getTime()):
            self._call = self._clock.callLater(GRACE_S, self._look, may_put_off=False)
        else:
            self._at = None
            self._passed()

    def stop(self) -> None:
        """Never pass, and forget the function; it must not be set again."""
        self._at = None
        self._passed = _nothing
        call, self._call = self._call, None
        if call is not None:
            call.cancel()


def _nothing() -> None:
    pass
