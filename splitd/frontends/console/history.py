"""What was measured in the last hour, for charts."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from splitd.errors import CatalogReadOnly
from storaged.system.clocks import WallClock
from storaged.system.periodic import Periodic

EVERY_S = 10.0
"""How often there is a sample."""

KEPT = 360
"""Samples that are kept: those of an hour."""

Sample = tuple[int, int, int, int, int, int, int]
"""The time in milliseconds since 1970; since the start: bytes stored, bytes sent, requests, and how many of these a
fault of the server ended; now: uploads and downloads under way.
"""


class History:
    """Takes a sample now and then.

    :param status: returns the report of the operators' port.
    :param totals: returns how many requests were answered since the start, and how many of them by a fault.
    """

    def __init__(
        self,
        status: Callable[[], Awaitable[Any]],
        totals: Callable[[], tuple[int, int]],
        clock: IReactorTime,
        wall: WallClock,
    ) -> None:
        self._status = status
        self._totals = totals
        self._wall = wall
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._periodic = Periodic(self._take, EVERY_S, clock, "taking samples for charts")

    def start(self) -> None:
        """Begin, with a first sample."""
        self._periodic.start(0)

    def stop(self) -> Deferred[None]:
        """Stop; see `Periodic.stop`."""
        return self._periodic.stop()

    def samples(self) -> Sequence[Sample]:
        """Return the samples, the oldest first."""
        return list(self._samples)

    def now(self, report: Any) -> Sample:
        """Return a sample of this moment.

        :param report: the report of this moment.
        """
        requests, failed = self._totals()
        uploads, downloads = report.uploads, report.downloads
        under_way = uploads.under_way, downloads.under_way
        return self._wall.now_ms(), uploads.bytes, downloads.bytes, requests, failed, *under_way

    def _take(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._take_one())

    async def _take_one(self) -> None:
        try:
            self._samples.append(self.now(await self._status()))
        except CatalogReadOnly:
            return  # there is nothing to tell while the catalog is away
