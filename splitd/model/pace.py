"""How fast the nodes answer of late: when an answer counts as late, and which nodes are slow.  Pure.

Times are seconds; how they are measured is the caller's business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_SHORTEST_S = 0.0001
_STEPS = 4
"""Steps in which a doubled time is counted: the times of one step differ by a fifth."""

_BUCKETS = 18 * _STEPS
_MEMORY = 256
"""After so many times of a node, the older ones count half."""

_KNOWN = 16
"""With fewer times than this, a node is not known yet."""

_FEWEST = 3
"""Fewer nodes than this cannot tell what is usual."""

_RENEW = 16
"""What is usual is computed anew after so many times, or as many as there are nodes if these are more."""

_WEIGHT = 1 / 16
_SLOW = 0.5
_WELL = 0.2
"""If most nodes have a larger share of late answers than this, something else is slow: this process, or all of them."""


class Durations:
    """The distribution of some recent durations, in little memory.

    :ivar total: how many durations it counts; after `_MEMORY` of them, the older ones count half.
    """

    def __init__(self) -> None:
        self.total = 0
        self._counts = [0] * _BUCKETS

    def add(self, seconds: float) -> None:
        """Count a duration."""
        step = int(math.log2(seconds / _SHORTEST_S) * _STEPS) if seconds > _SHORTEST_S else 0
        self._counts[min(step, _BUCKETS - 1)] += 1
        self.total += 1
        if self.total >= _MEMORY:
            self._counts = [count // 2 for count in self._counts]
            self.total = sum(self._counts)

    def percentile(self, share: float) -> float:
        """Return a duration, in seconds, that at most `1 - share` of the durations exceed; 0 if there are none."""
        above = self.total * (1 - share)
        for step in range(_BUCKETS - 1, -1, -1):
            above -= self._counts[step]
            if above < 0:
                return float(_SHORTEST_S * 2 ** ((step + 1) / _STEPS))
        return 0.0


class Pace:
    """How long answers of one kind take.

    An answer is late after the median of the 95th percentiles of the nodes.  So a node that is slow does not make late
    answers usual, unless half of the nodes are.  A node is slow if most of its recent answers were late, and those of
    most nodes were not.

    :param least_s: no answer is late before this time.
    """

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._nodes: dict[str, Durations] = {}
        self._scores: dict[str, float] = {}
        self._until_renewal = _RENEW
        self.late_after_s = math.inf
        """When an answer is late, in seconds; infinite while too little is known."""

    def took(self, node: str, seconds: float) -> bool:
        """Count an answer, or the wait for one that was abandoned.

        :return: whether the node is slow.
        """
        durations = self._nodes.get(node)
        if durations is None:
            durations = self._nodes[node] = Durations()
        durations.add(seconds)
        self._until_renewal -= 1
        if self._until_renewal <= 0:
            self._until_renewal = max(_RENEW, len(self._nodes))
            self.late_after_s = max(self._least_s, _usual(self._nodes))
        score = self._scores.get(node, 0.0)
        score += ((seconds > self.late_after_s) - score) * _WEIGHT
        self._scores[node] = score
        return score > _SLOW and sorted(self._scores.values())[len(self._scores) // 2] < _WELL

    def forgive(self, node: str) -> None:
        """Forget how slow a node was."""
        self._scores.pop(node, None)
        self._nodes.pop(node, None)


def _usual(nodes: Mapping[str, Durations]) -> float:
    known = sorted(each.percentile(0.95) for each in nodes.values() if each.total >= _KNOWN)
    return known[(len(known) - 1) // 2] if len(known) >= _FEWEST else math.inf


class Allowance:
    """A token bucket: requests of one kind are allowed in proportion to others.

    :param share: additional requests for each ordinary one.
    :param most: the most additional requests that can be saved up; as many are allowed at the beginning.
    """

    def __init__(self, share: float, most: float) -> None:
        self._share = share
        self._most = most
        self._tokens = most if share else 0.0

    def earn(self, requests: float) -> None:
        """Count ordinary requests."""
        self._tokens = min(self._most, self._tokens + requests * self._share)

    def spend(self, requests: int) -> bool:
        """Take what some additional requests cost.

        :return: whether they are allowed; if not, nothing is taken.
        """
        if self._tokens < requests:
            return False
        self._tokens -= requests
        return True
