"""The status of a front with workers: the numbers of all processes, where that of one process has its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs
from prometheus_client.core import Metric

from splitd.frontends.admin.counted import CountedDescriptors, CountedObserving, CountedReading
from splitd.frontends.admin.status import Status
from splitd.nodes.reading import ReadingReport
from splitd.workers.report import NO_REPORT, Family, Report, add_families, metrics_of, traffic_of


@attrs.frozen
class _Cache:
    size: int
    hits: int
    misses: int


@attrs.frozen
class _Admission:
    limit: int
    waiting: bool


@attrs.frozen
class _Site:
    admission: _Admission
    count: int

    def connections(self) -> range:
        return range(self.count)


@attrs.frozen
class _Descriptors:
    own: CountedDescriptors
    others: int
    processes: int

    @property
    def limit(self) -> int:
        return self.processes * self.own.limit

    def used(self) -> int:
        return self.own.used() + self.others


@attrs.frozen
class _Reading:
    own: CountedReading
    others: tuple[int, int, dict[str, str]]

    def report(self) -> ReadingReport:
        own, (hedges, silences, last) = self.own.report(), self.others
        return ReadingReport(own.hedges + hedges, own.silences + silences, {**own.last, **last})


@attrs.frozen
class _Observing:
    own: CountedObserving
    others: list[Family]

    def measure(self) -> Iterator[Metric]:
        own = [Family.of(each) for each in self.own.measure()]
        yield from metrics_of(add_families([own, self.others]))


@attrs.frozen
class _Requests:
    refused: Mapping[str, int]
    waiting: int

    def measure(self) -> Iterable[Metric]:
        return ()  # these metrics are among those that workers observe


class Summed:
    """What all workers count, and what the catalog's process counts like them.

    :param status: that of the catalog's process, which has these numbers from now on.
    :param workers: how many workers there shall be.
    :ivar report: the sum of what the workers have reported.
    """

    def __init__(self, status: Status, workers: int) -> None:
        self.report = NO_REPORT
        self._own = attrs.evolve(status)
        self._processes = workers + 1
        self._status = status
        self.show(NO_REPORT)

    def show(self, report: Report) -> None:
        """Take what the workers have reported now."""
        self.report = report
        own, status = self._own, self._status
        traffic_of(report, status.traffic)
        status.cache = _Cache(*report.cache)
        connections, limit = report.connections
        status.site = _Site(_Admission(limit, report.waits), connections)
        status.descriptors = _Descriptors(own.descriptors, report.descriptors, self._processes)
        status.policy = _Reading(own.policy, report.reading)
        status.observing = _Observing(own.observing, report.metrics)
        status.logins_refused = report.logins_refused
        requests = _Requests(report.refused, report.waiting)
        status.limits = attrs.evolve(own.limits, requests=requests, connections=lambda: report.refused_connections)
