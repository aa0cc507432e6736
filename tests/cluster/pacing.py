"""Counts how long requests are held up, on a clock that stands still."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster


async def seconds_until(answered: Deferred[Any], cluster: Cluster, still: StillReactor) -> int:
    """Let seconds pass until a request is answered, and return how many.

    Before each of them come three other requests: it would be answered meanwhile, if nothing held it up.
    """
    seconds = 0
    while not answered.called:
        for _ in range(3):
            await cluster.status()
        if not answered.called:
            still.advance(1)
            seconds += 1
    return seconds
