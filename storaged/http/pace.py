"""How many bytes a second a client may send and take.  More is no error: the server waits before it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

MOST_KEPT = 4096
"""Buckets that are kept before those are dropped that are full, because they say nothing."""

_NO_TIME_S = 0.0005
"""A shorter wait is none: a sum of fractions may leave a debt that no clock can tell from nothing."""


class Bucket:
    """A token bucket: bytes that may pass now, which grow by `rate` a second up to those of one second.

    It may owe: bytes that have passed already are counted, and whoever comes next waits until the debt is paid.  So all
    who share a bucket get its rate together, however many they are.

    :param rate: bytes per second.
    :param seconds: returns the time, in seconds, by a clock that nobody sets.
    """

    __slots__ = ("_at", "_rate", "_seconds", "_tokens")

    def __init__(self, rate: int, seconds: Callable[[], float]) -> None:
        self._rate = rate
        self._seconds = seconds
        self._tokens = float(rate)
        self._at = seconds()

    def _fill(self) -> float:
        now = self._seconds()
        self._tokens = min(self._tokens + (now - self._at) * self._rate, float(self._rate))
        self._at = now
        return self._tokens

    def spend(self, size: int) -> None:
        """Count bytes that have passed."""
        self._tokens = self._fill() - size

    def wait_s(self) -> float:
        """Return how many seconds it takes until the debt is paid; 0 if there is none that counts."""
        wait_s = -self._fill() / self._rate
        return wait_s if wait_s > _NO_TIME_S else 0.0

    @property
    def is_full(self) -> bool:
        """Whether it has been idle for so long that a new one would be the same."""
        return self._fill() >= self._rate


class Buckets:
    """The buckets of all who have one of the same rate, by name.

    :param rate: bytes per second, of each.
    :param seconds: as in `Bucket`.
    """

    def __init__(self, rate: int, seconds: Callable[[], float]) -> None:
        self.rate = rate
        self._seconds = seconds
        self._of: dict[str, Bucket] = {}
        self._most = MOST_KEPT

    def __len__(self) -> int:
        return len(self._of)

    def of(self, name: str) -> Bucket:
        """Return somebody's bucket."""
        bucket = self._of.get(name)
        if bucket is None:
            if len(self._of) >= self._most:
                self._of = {key: each for key, each in self._of.items() if not each.is_full}
                self._most = max(MOST_KEPT, 2 * len(self._of))
            bucket = self._of[name] = Bucket(self.rate, self._seconds)
        return bucket


class Pace:
    """The rates that apply to one request: the slowest of them counts.

    :param received: the buckets of the bytes that the client sends.
    :param sent: the buckets of the bytes that the client takes.
    :param clock: schedules calls.
    :ivar slowest: the lowest rate, bytes per second.
    """

    def __init__(self, received: Sequence[Bucket], sent: Sequence[Bucket], slowest: int, clock: Any) -> None:
        self._received = received
        self._sent = sent
        self.slowest = slowest
        self.clock = clock

    def count_received(self, size: int) -> None:
        """Count bytes that the client has sent."""
        for bucket in self._received:
            bucket.spend(size)

    def count_sent(self, size: int) -> None:
        """Count bytes that were written for the client."""
        for bucket in self._sent:
            bucket.spend(size)

    def receiving_wait_s(self) -> float:
        """Return how many seconds to wait before more is read from the client."""
        return max((bucket.wait_s() for bucket in self._received), default=0.0)

    def sending_wait_s(self) -> float:
        """Return how many seconds to wait before more is written for the client."""
        return max((bucket.wait_s() for bucket in self._sent), default=0.0)
