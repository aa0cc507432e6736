"""Distributions of values, for Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Distribution:
    """Counts values by the ranges that they are in.

    :param bounds: the highest value of each range, rising; a last range without bound is added.
    :ivar total: the sum of all values.
    """

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many values are at most each bound, as Prometheus wants them."""
        buckets, count = [], 0
        for bound, more in zip([*map(repr, map(float, self._bounds)), "+Inf"], self._counts, strict=True):
            count += more
            buckets.append((bound, float(count)))
        return buckets
