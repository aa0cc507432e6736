"""How much the front can take: bytes of files, and clients at once.  Both depend on the layouts in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from splitd.errors import NotACollection, NotFound
from splitd.interfaces.names import INamespace
from splitd.interfaces.quotas import IQuotas
from splitd.interfaces.statistics import ICatalogStatistics
from splitd.model.room import Room, divide_shared, room_for_files
from splitd.model.striping import Layout, parse_layout
from splitd.nodes.state import NodeStatus
from storaged.system.descriptors import Descriptors

IDLE_SHARE = 8
"""One in this many descriptors may be an idle connection to a node."""

_KEPT = 160
"""File descriptors that do not serve clients: 64 for the log, the journal and the threads, 32 for operators, and 64 for
links to nodes and for the upkeep.
"""


class Registered(Protocol):
    """A registry, as far as it is counted here."""

    def nodes(self) -> Sequence[NodeStatus]:
        """Return the state of each node."""


@attrs.frozen
class Capacity:
    """The capacity of the front and its nodes.

    :param layout: the layout of files whose collections ask for none.
    :param descriptors: bound how many clients are served at once.
    :param quotas: bound how much is stored at some paths.
    """

    statistics: ICatalogStatistics
    namespace: INamespace
    registry: Registered
    layout: Layout
    descriptors: Descriptors
    quotas: IQuotas

    async def quota(self, path: str) -> Room:
        """Return how full the store is, for files that are stored below a path; see `Room.at` for the quotas."""
        active = [node for node in self.registry.nodes() if node.entry.state == "active"]
        free = divide_shared([(node.volume, node.free - node.reserved) for node in active])
        statistics = await self.statistics.statistics()
        uses = await self.quotas.usage()
        return Room(statistics.bytes_stored, room_for_files(free, await self._layout_of(path)), uses)

    async def known_room(self) -> Room | None:
        """Return how full the store is; None if that is not known: a node has not said its size since the start, or
        too few nodes take parts for a file, however much is free on them.
        """
        active = [node for node in self.registry.nodes() if node.entry.state == "active"]
        if not all(node.capacity for node in active) or len(active) < (await self._layout_of("/")).width:
            return None
        return await self.quota("/")

    async def _layout_of(self, path: str) -> Layout:
        try:
            asked = (await self.namespace.asked_layout(path)).layout
        except (NotFound, NotACollection):
            asked = ""
        return parse_layout(asked, self.layout.unit) if asked else self.layout

    def open_nodes(self) -> int:
        """Return how many nodes may take parts, whether they answer now or not."""
        return sum(node.entry.state == "active" for node in self.registry.nodes())

    def clients(self, widest: int = 0) -> int:
        """Return how many clients can be served at once.

        :param widest: the most parts of a file; no fewer are counted than those of `layout`.
        """
        each = 1 + max(widest, self.layout.width)  # a client's own, and one to each node of the file it sends or takes
        return self.descriptors.divide(each, _KEPT + self.descriptors.limit // IDLE_SHARE)

    async def clients_now(self) -> int:
        """Return how many clients can be served at once, with the layouts that files have and collections ask for."""
        return self.clients((await self.statistics.statistics()).widest)
