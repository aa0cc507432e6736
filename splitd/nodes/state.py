"""The present state of a node, as the registry knows it."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from splitd.model.health import Health
from splitd.model.nodes import NodeEntry
from storaged.parts.interfaces import INodeStore, IRemoteStore
from storaged.parts.values import NodeInfo, Scrub


@attrs.define(eq=False)
class NodeStatus:
    """The present state of a node; sizes in bytes.

    :param remote: its part store; `store` is the same store, and reports to the registry when the node fails.
    :param reserved: the bytes placed on it since it was last asked.
    :param held: the bytes reserved for parts of unknown size that are being stored.
    :param reserve: the room that it keeps free.
    :param volume: the id of its volume, the same for nodes whose volumes are one file system; empty while unknown.
    :param scrub: how far it has scrubbed its parts, as it said last.
    :param disk: the id of its disk, as it said last; empty while unknown.
    :param latency_s: how long it took to answer the last status request, in seconds; None if it did not.
    :param asking: the status request that it has not answered yet.
    """

    entry: NodeEntry
    remote: IRemoteStore
    store: INodeStore
    health: Health
    capacity: int = 0
    free: int = 0
    reserved: int = 0
    held: int = 0
    reserve: int = 0
    volume: str = ""
    scrub: Scrub = attrs.Factory(Scrub)
    disk: str = ""
    latency_s: float | None = None
    asking: Deferred[None] | None = None

    @property
    def state(self) -> str:
        """The state of its health, or "readonly" or "draining" if it can be used but takes no new parts."""
        return self.entry.state if self.health.usable and self.entry.state != "active" else self.health.state

    @property
    def takes_parts(self) -> bool:
        """Whether a part can be placed on it if it has the room."""
        return self.health.usable and not self.health.refuses_parts and self.entry.state == "active"

    @property
    def room(self) -> int:
        """The bytes that may still be placed on it."""
        return max(0, self.free - self.reserved - self.held)

    @property
    def fill(self) -> float | None:
        """The share of it that is used; None while its size is unknown."""
        return 1 - self.room / self.capacity if self.capacity else None

    @property
    def weighted_size(self) -> tuple[float, float]:
        """Its size and its used bytes as placement counts them: its room is multiplied by its weight."""
        used = self.capacity - self.room
        return used + self.room * self.entry.weight, used

    def learn(self, info: NodeInfo) -> None:
        """Take over what it has said of itself."""
        self.capacity, self.free, self.reserve, self.volume = info.capacity, info.free, info.reserve, info.volume
        self.scrub, self.disk = info.scrub, info.disk

    def forget(self) -> None:
        """Drop what it has said of its disk, for one that is lost."""
        self.capacity = self.free = self.reserve = self.reserved = 0
        self.volume, self.disk, self.latency_s = "", "", None


@attrs.frozen
class Fill:
    """The lowest and the highest fill of the nodes that take parts; their room is multiplied by their weights."""

    lowest: float
    highest: float

    @property
    def spread(self) -> float:
        """The difference of the two."""
        return self.highest - self.lowest
