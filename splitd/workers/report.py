"""What a worker counts, and the sum of what all of them count.  Pure but for the metrics' classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import attrs
import msgspec
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from splitd.model.traffic import Traffic


class Family(msgspec.Struct, array_like=True):
    """One metric: its name, text and type, and its values by the names of their series and their labels."""

    name: str
    text: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]

    @classmethod
    def of(cls, metric: Metric) -> Family:
        """Return the form of a metric that can be sent."""
        samples = [(each.name, dict(each.labels), float(each.value)) for each in metric.samples]
        return cls(metric.name, metric.documentation, metric.type, samples)


class Report(msgspec.Struct, array_like=True):
    """What a worker has counted since its start, and what it has now.

    :param traffic: the fields of `Traffic`.
    :param requests: how many were answered, and how many of them by a fault.
    :param cache: bytes kept, hits, misses.
    :param connections: how many there are now, and how many there may be.
    :param waits: whether new connections wait for room.
    :param refused: requests that limits refused, by the limit.
    :param logins_refused: how many logins were.
    """

    traffic: dict[str, int]
    requests: tuple[int, int]
    cache: tuple[int, int, int]
    connections: tuple[int, int]
    waits: bool
    descriptors: int
    refused: dict[str, int]
    logins_refused: int
    metrics: list[Family]

    def ended(self) -> Report:
        """Return what is left of it when its worker has ended: the counts, and nothing that there was then."""
        traffic = {**self.traffic, "uploads_under_way": 0, "downloads_under_way": 0}
        _, hits, misses = self.cache
        metrics = [each for each in self.metrics if each.kind != "gauge"]
        return Report(
            traffic, self.requests, (0, hits, misses), (0, 0), False, 0, self.refused, self.logins_refused, metrics
        )


NO_REPORT = Report({}, (0, 0), (0, 0, 0), (0, 0), False, 0, {}, 0, [])


def add_reports(reports: Sequence[Report]) -> Report:
    """Return the sum of reports."""
    return Report(
        _sum(report.traffic for report in reports),
        (sum(report.requests[0] for report in reports), sum(report.requests[1] for report in reports)),
        (
            sum(report.cache[0] for report in reports),
            sum(report.cache[1] for report in reports),
            sum(report.cache[2] for report in reports),
        ),
        (sum(report.connections[0] for report in reports), sum(report.connections[1] for report in reports)),
        any(report.waits for report in reports),
        sum(report.descriptors for report in reports),
        _sum(report.refused for report in reports),
        sum(report.logins_refused for report in reports),
        list(_add_metrics(report.metrics for report in reports)),
    )


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for each in counts:
        for name, count in each.items():
            total[name] += count
    return dict(total)


def _add_metrics(all_of: Iterable[Sequence[Family]]) -> Iterator[Family]:
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for some in all_of:
        for family in some:
            families.setdefault(family.name, family)
            sums = values.setdefault(family.name, {})
            for name, labels, value in family.samples:
                key = name, tuple(labels.items())
                sums[key] = sums.get(key, 0.0) + value
    for name, family in families.items():
        samples = [(series, dict(labels), value) for (series, labels), value in values[name].items()]
        yield Family(name, family.text, family.kind, samples)


def metrics_of(report: Report) -> Iterator[Metric]:
    """Yield the metrics of a report, for Prometheus."""
    for family in report.metrics:
        metric = Metric(family.name, family.text, family.kind)
        metric.samples = [Sample(name, labels, value) for name, labels, value in family.samples]
        yield metric


def traffic_of(report: Report, traffic: Traffic) -> None:
    """Set counters to those of a report."""
    for field in attrs.fields(Traffic):
        setattr(traffic, field.name, report.traffic.get(field.name, 0))
