"""Makes metrics that have one value each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def gauges(values: Mapping[str, tuple[str, float]]) -> Iterator[Metric]:
    """Yield gauges.

    :param values: what each gauge is about, and its value, by its name; a bool counts as 0 or 1.
    """
    for name, (text, value) in values.items():
        yield GaugeMetricFamily(name, text, value=float(value))


def counters(values: Mapping[str, tuple[str, float]]) -> Iterator[Metric]:
    """Yield counters.

    :param values: what each counter counts, and how many that are so far, by its name.
    """
    for name, (text, count) in values.items():
        yield CounterMetricFamily(name, text, value=float(count))
