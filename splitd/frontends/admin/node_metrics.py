"""The metrics of the nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from splitd.model.health import DOWN, FULL, STRANGER, UNKNOWN, UP
from splitd.model.nodes import LOST
from splitd.nodes.registry import NodeRegistry
from splitd.nodes.state import NodeStatus

_STATES = (UP, FULL, "readonly", "draining", DOWN, STRANGER, UNKNOWN, LOST)


def measure_nodes(registry: NodeRegistry, staying: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the state of each node for Prometheus.

    :param staying: how many parts of no use each node did not delete in the last round, by its id.
    """
    fill = registry.fill()
    if fill is not None:
        yield GaugeMetricFamily(
            "splitd_fill_spread_ratio",
            "The fill of the fullest node that takes parts, less that of the emptiest.",
            value=fill.spread,
        )
    nodes = registry.nodes()
    gauges: dict[str, tuple[str, Callable[[NodeStatus], float]]] = {
        "splitd_node_up": ("Whether a node can be used.", lambda node: node.health.usable),
        "splitd_node_capacity_bytes": ("Size of a node's volume.", lambda node: node.capacity),
        "splitd_node_free_bytes": ("Bytes that may still be written to a node.", lambda node: node.free),
        "splitd_node_fill_ratio": ("The share of a node's volume that is used.", lambda node: node.fill or 0.0),
        "splitd_node_staying_parts": (
            "Parts of no use that a node did not delete in the last round.",
            lambda node: staying.get(node.entry.id, 0),
        ),
        "splitd_node_rotten_parts": (
            "Parts that a node knows to be rotten, as it said last.",
            lambda node: node.scrub.rotten,
        ),
        "splitd_node_scrubbed_share": (
            "The share of the present pass that a node's scrub has done.",
            lambda node: node.scrub.share,
        ),
        "splitd_node_scrub_paused": (
            "Whether an operator has paused a node's scrub.",
            lambda node: node.scrub.paused,
        ),
        "splitd_node_scrub_ended_seconds": (
            "When the last whole pass of a node's scrub ended, seconds since 1970; 0 if none has.",
            lambda node: node.scrub.ended_ms / 1000,
        ),
    }
    for name, (text, value) in gauges.items():
        gauge = GaugeMetricFamily(name, text, labels=["node"])
        for node in [each for each in nodes if each.state != LOST]:  # an alarm about it would never end
            gauge.add_metric([node.entry.id], float(value(node)))
        yield gauge
    text = "Bytes that a node's scrub has read since the node's start."
    scrubbed = CounterMetricFamily("splitd_node_scrubbed_bytes", text, labels=["node"])
    for node in nodes:
        scrubbed.add_metric([node.entry.id], float(node.scrub.scrubbed_bytes))
    yield scrubbed
    text = "How long a node took to answer the last time it was asked for its state."
    latency = GaugeMetricFamily("splitd_node_latency_seconds", text, labels=["node"])
    for node in nodes:
        if node.latency_s is not None:
            latency.add_metric([node.entry.id], node.latency_s)
    yield latency
    states = GaugeMetricFamily("splitd_node_state", "The state of a node.", labels=["node", "state"])
    for node in nodes:
        for state in _STATES:
            states.add_metric([node.entry.id, state], float(node.state == state))
    yield states
