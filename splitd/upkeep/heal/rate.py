"""The rate of the heal, and what it did."""

from __future__ import annotations

from collections import deque
from typing import Any

_WINDOW_S = 300.0
"""A part of a large file counts when it is complete, which may take minutes."""


class Rate:
    """Counts what was healed since the start, and how fast it goes.

    :param clock: measures time.
    :ivar parts: the number of healed parts.
    :ivar bytes: their stored bytes.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()
        self.parts = 0
        self.bytes = 0

    def count(self, parts: int, size: int) -> None:
        """Count some healed parts."""
        self.parts += parts
        self.bytes += size
        self._recent.append((self._clock.seconds(), size))

    def now(self) -> float:
        """Return the stored bytes of the parts healed per second, in the last five minutes."""
        now = self._clock.seconds()
        while self._recent and self._recent[0][0] <= now - _WINDOW_S:
            self._recent.popleft()
        if not self._recent:
            return 0.0
        return sum(size for _, size in self._recent) / max(float(now - self._recent[0][0]), 1.0)
