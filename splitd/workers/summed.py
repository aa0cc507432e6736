"""The status of a front with workers: the numbers of all processes, where that of one process has its own."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import attrs
from prometheus_client.core import Metric

from splitd.frontends.admin.status import Status
from splitd.nodes.reading import ReadingReport
from splitd.workers.report import NO_REPORT, Family, Report, add_families, metrics_of, traffic_of


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
        self._status: Any = status
        self.show(NO_REPORT)

    def show(self, report: Report) -> None:
        """Take what the workers have reported now."""
        self.report = report
        own, status = self._own, self._status
        traffic_of(report, status.traffic)
        size, hits, misses = report.cache
        status.cache = SimpleNamespace(size=size, hits=hits, misses=misses)
        connections, limit = report.connections
        admission = SimpleNamespace(limit=limit, waiting=report.waits)
        status.site = SimpleNamespace(admission=admission, connections=lambda: range(connections))
        status.descriptors = SimpleNamespace(used=self._descriptors, limit=self._processes * own.descriptors.limit)
        status.policy = SimpleNamespace(report=self._reading)
        status.observing = SimpleNamespace(measure=self._measure)
        status.logins_refused = report.logins_refused
        # The metrics of these are among those that workers observe.
        requests: Any = SimpleNamespace(refused=report.refused, waiting=report.waiting, measure=lambda: ())
        status.limits = attrs.evolve(own.limits, requests=requests, connections=lambda: report.refused_connections)

    def _descriptors(self) -> int:
        return self._own.descriptors.used() + self.report.descriptors

    def _reading(self) -> ReadingReport:
        own, (hedges, silences, last) = self._own.policy.report(), self.report.reading
        return ReadingReport(own.hedges + hedges, own.silences + silences, {**own.last, **last})

    def _measure(self) -> Iterator[Metric]:
        own = [Family.of(each) for each in self._own.observing.measure()]
        yield from metrics_of(add_families([own, self.report.metrics]))
