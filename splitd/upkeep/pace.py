"""Bytes at no more than so many a second."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater


class Pace:
    """Lets bytes pass at a limit, in the long run; what comes at once waits for its turn.

    :param limit: bytes a second; None for no limit.
    :param clock: tells the time, and calls later.
    """

    def __init__(self, limit: float | None, clock: Any) -> None:
        self._limit = limit
        self._clock = clock
        self._free_at = 0.0

    def take(self, count: int) -> Deferred[None]:
        """Let some bytes pass; a Deferred that fires when they may."""
        if self._limit is None:
            return succeed(None)
        now = self._clock.seconds()
        begins = max(now, self._free_at)
        self._free_at = begins + count / self._limit
        return deferLater(self._clock, begins - now, lambda: None) if begins > now else succeed(None)
