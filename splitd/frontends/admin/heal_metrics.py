"""The metrics of the heal."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from splitd.frontends.admin.families import counters, gauges
from splitd.upkeep.heal.report import HealReport


def measure_heal(report: HealReport) -> Iterator[Metric]:
    """Yield the state of the heal for Prometheus."""
    degraded = GaugeMetricFamily(
        "splitd_degraded_versions",
        "Versions of files that lack parts, by how many more they may lose; with less than 0 they cannot be read.",
        labels=["spare"],
    )
    for spare in range(5):
        degraded.add_metric([str(spare)], report.versions.get(spare, 0))
    degraded.add_metric(["-1"], report.unreadable)
    yield degraded
    yield from gauges(
        {
            "splitd_missing_parts": ("Parts of files that are missing.", report.parts),
            "splitd_missing_bytes": ("Size of the parts that are missing.", report.bytes),
            "splitd_leaving_parts": (
                "Parts on nodes that are lost, away for long, or draining.",
                sum(node.parts for node in report.leaving),
            ),
            "splitd_heal_paused": ("Whether an operator has paused the heal, of all fronts.", report.state == "paused"),
            "splitd_heal_blocked": ("Whether parts should be healed and none can be.", report.state == "blocked"),
            "splitd_heal_bytes_per_second": ("Bytes of parts healed per second in the last five minutes.", report.rate),
            "splitd_heal_seconds_left": (
                "How long the heal will take at this rate, about; 0 if nothing is healed.",
                report.seconds_left or 0,
            ),
        }
    )
    yield from counters(
        {
            "splitd_healed_parts": ("Parts rebuilt, or moved away from nodes.", report.healed_parts),
            "splitd_healed_bytes": ("Size of these parts.", report.healed_bytes),
            "splitd_heal_failures": ("Attempts to heal a version that failed.", report.failed),
            "splitd_lost_parts": ("Parts that were found missing or damaged.", report.confirmed),
        }
    )
