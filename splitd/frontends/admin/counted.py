"""What the status reads of the parts of a front that count: of one process they are the parts themselves, of several
their sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import Protocol

from prometheus_client.core import Metric

from splitd.nodes.reading import ReadingReport


class CountedCache(Protocol):
    """Small files in memory; see `VersionCache`."""

    @property
    def size(self) -> int:
        """Bytes of memory that the entries take."""

    @property
    def hits(self) -> int:
        """How many files were found."""

    @property
    def misses(self) -> int:
        """How many files were not found."""


class CountedAdmission(Protocol):
    """How many connections of clients there may be; see `Admission`."""

    @property
    def limit(self) -> int | None:
        """The most connections; None for any number."""

    @property
    def waiting(self) -> bool:
        """Whether new connections wait for room."""


class CountedSite(Protocol):
    """The connections of clients; see `StreamingSite`."""

    @property
    def admission(self) -> CountedAdmission:
        """Decides which connections are accepted."""

    def connections(self) -> Sized:
        """Return the connections that there are now."""


class CountedDescriptors(Protocol):
    """File descriptors; see `Descriptors`."""

    @property
    def limit(self) -> int:
        """How many may be open."""

    def used(self) -> int:
        """Count those that are open."""


class CountedReading(Protocol):
    """How files are read; see `ReadPolicy`."""

    def report(self) -> ReadingReport:
        """Describe how files are read now."""


class CountedObserving(Protocol):
    """What is observed of requests; see `Observing`."""

    def measure(self) -> Iterable[Metric]:
        """Return what was counted, for Prometheus."""


class CountedRequests(Protocol):
    """What the limits do with requests; see `RequestLimits`."""

    @property
    def refused(self) -> Mapping[str, int]:
        """How many requests were refused, by the limit."""

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""

    def measure(self) -> Iterable[Metric]:
        """Return what was refused, and what is in progress, for Prometheus."""
