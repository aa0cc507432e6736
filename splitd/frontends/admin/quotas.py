"""What the status and the metrics tell about limits and quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from splitd.access.limiting import Limiting
from splitd.frontends.admin.counted import CountedRequests
from splitd.frontends.admin.reports import LimitsReport, QuotaReport
from splitd.model.quotas import QuotaUse


@attrs.frozen
class LimitsStatus:
    """The state of the limits.

    :param path: their file; empty for none.
    :param connections: returns how many connections were refused, because their addresses had too many.
    """

    path: str
    limiting: Limiting
    requests: CountedRequests
    connections: Callable[[], int]

    def report(self) -> LimitsReport | None:
        """Return the state now; None if there is no file."""
        if not self.path:
            return None
        requests, connections = self.requests, self.connections()
        refused = dict(requests.refused) | ({"connections per address": connections} if connections else {})
        return LimitsReport(self.path, refused, requests.waiting, self.limiting.files.refused)

    def warnings(self) -> list[str]:
        """Return what is wrong with the file."""
        refused = self.limiting.files.refused
        return [f"the limits are not taken: {refused}"] if refused else []

    def measure(self) -> Iterator[Metric]:
        """Yield the same values for Prometheus."""
        yield CounterMetricFamily(
            "splitd_refused_connections",
            "Connections that were refused, because their addresses had too many.",
            value=float(self.connections()),
        )
        if self.path:
            yield from self.requests.measure()
            yield GaugeMetricFamily(
                "splitd_limits_refused",
                "Whether the limits' file cannot be used as it is.",
                value=float(bool(self.limiting.files.refused)),
            )


def report_quotas(uses: Sequence[QuotaUse]) -> list[QuotaReport]:
    """Return the quotas, and how much of them is used."""
    return [
        QuotaReport(
            use.quota.name,
            use.quota.paths,
            None if use.quota.bytes is None else int(use.quota.bytes),  # JSON has no word for a `Size`
            use.quota.files,
            use.bytes,
            use.files,
        )
        for use in uses
    ]


def measure_quotas(uses: Sequence[QuotaUse]) -> Iterator[Metric]:
    """Yield the same values for Prometheus; those of limits that a quota has."""
    gauges = {
        "splitd_quota_bytes": ("The most bytes that a quota allows.", lambda use: use.quota.bytes),
        "splitd_quota_used_bytes": ("Bytes of files that count for a quota.", lambda use: use.bytes),
        "splitd_quota_files": ("The most files that a quota allows.", lambda use: use.quota.files),
        "splitd_quota_used_files": ("Files that count for a quota.", lambda use: use.files),
    }
    for name, (text, value_of) in gauges.items() if uses else ():
        gauge = GaugeMetricFamily(name, text, labels=["quota"])
        for use in uses:
            value = value_of(use)
            if value is not None:
                gauge.add_metric([use.quota.name], float(value))
        yield gauge
