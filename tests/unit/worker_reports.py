"""Reports of workers, for tests."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from splitd.workers.report import Family, Report


def report_of(count: float) -> Report:
    counter = CounterMetricFamily("splitd_x", "Things.", labels=["method"])
    counter.add_metric(["GET"], count)
    gauge = GaugeMetricFamily("splitd_y", "Things now.", value=count)
    number = int(count)
    traffic = {"bytes_in": number, "uploads_under_way": number}
    return Report(
        traffic, (number, number), (number, number, number), (number, number), False, number, {"a": number}, number,
        [Family.of(counter), Family.of(gauge)],
    )  # fmt: skip
