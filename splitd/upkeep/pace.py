"""A limit of bytes per second."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater


class Pace:
    """Limits the average rate of bytes; calls that come at the same time wait for their turns.

    :param limit: bytes per second; None for no limit.
    :param clock: tells the time, and calls later.
    """

    def __init__(self, limit: float | None, clock: Any) -> None:
        self._limit = limit
        self._clock = clock
        self._free_at = 0.0

    def take(self, count: int) -> Deferred[None]:
        """Wait until some bytes may pass.

        :return: a Deferred that fires with None when they may.  If it is cancelled, the bytes count all the same.
        """
        if self._limit is None:
            return succeed(None)
        now = self._clock.seconds()
        begins = max(now, self._free_at)
        self._free_at = begins + count / self._limit
        return deferLater(self._clock, begins - now, lambda: None) if begins > now else succeed(None)
