"""What the catalog's process knows of the nodes, as it shows it to the workers."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import msgspec

from splitd.model.nodes import NodeEntry
from splitd.nodes.state import NodeStatus


class NodeView(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node: its entry in the registry, and its state; see `NodeStatus`."""

    entry: NodeEntry
    state: str
    problem: str
    refuses_parts: bool
    capacity: int
    free: int
    reserved: int
    held: int
    reserve: int
    volume: str
    disk: str

    @classmethod
    def of(cls, node: NodeStatus) -> NodeView:
        """Return the view of a node now."""
        health = node.health
        return cls(
            node.entry,
            health.state,
            health.problem,
            health.refuses_parts,
            node.capacity,
            node.free,
            node.reserved,
            node.held,
            node.reserve,
            node.volume,
            node.disk,
        )

    def apply(self, node: NodeStatus) -> None:
        """Give a node this state."""
        health = node.health
        health.state, health.problem, health.refuses_parts = self.state, self.problem, self.refuses_parts
        node.capacity, node.free, node.reserve = self.capacity, self.free, self.reserve
        node.reserved, node.held = self.reserved, self.held
        node.volume, node.disk = self.volume, self.disk


@attrs.frozen
class View:
    """All that a worker has to know of the cluster.

    :param epoch: the epoch that the nodes take requests of.
    :param widest: no file has more parts than this, and no collection asks for more.
    """

    cluster: str
    epoch: int
    widest: int
    nodes: Sequence[NodeView]
