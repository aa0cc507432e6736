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
    :param refused_connections: how many connections were, because their addresses had too many.
    :param waiting: how many requests wait for their turn.
    :param reading: the hedges, how often a node was silent, and which nodes are read last and why; see `ReadingReport`.
    """

    traffic: dict[str, int]
    requests: tuple[int, int]
    cache: tuple[int, int, int]
    connections: tuple[int, int]
    waits: bool
    descriptors: int
    refused: dict[str, int]
    logins_refused: int
    refused_connections: int
    waiting: int
    reading: tuple[int, int, dict[str, str]]
    metrics: list[Family]

    def ended(self) -> Report:
        """Return what is left of it when its worker has ended: the counts, and nothing that there was then."""
        traffic = {**self.traffic, "uploads_under_way": 0, "downloads_under_way": 0}
        _, hits, misses = self.cache
        hedges, silences, _ = self.reading
        return msgspec.structs.replace(
            self,
            traffic=traffic,
            cache=(0, hits, misses),
            connections=(0, 0),
            waits=False,
            descriptors=0,
            waiting=0,
            reading=(hedges, silences, {}),
            metrics=[each for each in self.metrics if each.kind != "gauge"],
        )


NO_REPORT = Report({}, (0, 0), (0, 0, 0), (0, 0), False, 0, {}, 0, 0, 0, (0, 0, {}), [])


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
        sum(report.refused_connections for report in reports),
        sum(report.waiting for report in reports),
        (
            sum(report.reading[0] for report in reports),
            sum(report.reading[1] for report in reports),
            {node: why for report in reports for node, why in report.reading[2].items()},
        ),
        add_families(report.metrics for report in reports),
    )


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for each in counts:
        for name, count in each.items():
            total[name] += count
    return dict(total)


def add_families(all_of: Iterable[Sequence[Family]]) -> list[Family]:
    """Return the sums of metrics: one of each name."""
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for some in all_of:
        for family in some:
            families.setdefault(family.name, family)
            sums = values.setdefault(family.name, {})
            for name, labels, value in family.samples:
                key = name, tuple(labels.items())
                sums[key] = sums.get(key, 0.0) + value
    summed = []
    for name, family in families.items():
        samples = [(series, dict(labels), value) for (series, labels), value in values[name].items()]
        summed.append(Family(name, family.text, family.kind, samples))
    return summed


def metrics_of(families: Iterable[Family]) -> Iterator[Metric]:
    """Yield metrics for Prometheus."""
    for family in families:
        metric = Metric(family.name, family.text, family.kind)
        metric.samples = [Sample(name, labels, value) for name, labels, value in family.samples]
        yield metric


def traffic_of(report: Report, traffic: Traffic) -> None:
    """Set counters to those of a report."""
    for field in attrs.fields(Traffic):
        setattr(traffic, field.name, report.traffic.get(field.name, 0))
