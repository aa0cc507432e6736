"""What was measured in the last hour, for charts."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
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


class IHistory(Protocol):
    """What was measured in the last hour."""

    def samples(self) -> Deferred[Sequence[Sample]]:
        """Return a Deferred that fires with the samples, the oldest first.

        :raise CatalogAway: another process has them, and does not answer.
        """

    def now(self, report: Any) -> Sample:
        """Return a sample of this moment.

        :param report: the report of this moment.
        """


def sample_of(now_ms: int, report: Any, totals: tuple[int, int]) -> Sample:
    """Return a sample.

    :param report: the report of the operators' port.
    :param totals: how many requests were answered since the start, and how many of them by a fault.
    """
    uploads, downloads = report.uploads, report.downloads
    return now_ms, uploads.bytes, downloads.bytes, *totals, uploads.under_way, downloads.under_way


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

    def samples(self) -> Deferred[Sequence[Sample]]:
        """Return the samples, the oldest first; see `IHistory`."""
        return succeed(list(self._samples))

    def now(self, report: Any) -> Sample:
        """Return a sample of this moment; see `IHistory`."""
        return sample_of(self._wall.now_ms(), report, self._totals())

    def _take(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._take_one())

    async def _take_one(self) -> None:
        try:
            self._samples.append(self.now(await self._status()))
        except CatalogReadOnly:
            return  # there is nothing to tell while the catalog is away
