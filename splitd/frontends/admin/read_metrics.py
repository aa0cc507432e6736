"""The metrics of how files are read."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from splitd.nodes.reading import ReadingReport


def measure_reading(report: ReadingReport) -> Iterator[Metric]:
    """Yield how files are read for Prometheus."""
    text = "Requests that were sent because a node was late."
    yield CounterMetricFamily("splitd_hedges", text, value=float(report.hedges))
    text = "How often a node that was read from was silent."
    yield CounterMetricFamily("splitd_silent_reads", text, value=float(report.silences))
    last = GaugeMetricFamily("splitd_node_read_last", "Nodes that are up and read from last.", labels=["node", "why"])
    for node, why in report.last.items():
        last.add_metric([node, why], 1.0)
    yield last
