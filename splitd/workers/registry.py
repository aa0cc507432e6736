"""The registry as a worker has it: nodes are chosen here, by what the catalog's process shows and is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.interfaces.nodes import INodeRegistry
from splitd.model.health import FULL, UP
from splitd.model.nodes import NodeEntry, RegistryInvalid
from splitd.nodes.registry import NodeRegistry
from splitd.nodes.state import NodeStatus
from splitd.workers import methods
from splitd.workers.calls import Calls
from splitd.workers.view import View
from storaged.parts.errors import NodeUnavailable
from storaged.parts.interfaces import INodeStore, IRemoteStore


@implementer(INodeRegistry)
class SharedRegistry:
    """The registered nodes, of which another process asks the state.

    Room that is reserved here is told there, and shown to all workers from then on.  Two workers may reserve the last
    room of a node at the same time: then the node refuses one of the parts, which goes elsewhere.

    :param entries: the nodes.
    :param connect: makes the part store of a node.
    :param clock: tells the time.
    """

    def __init__(
        self, entries: Sequence[NodeEntry], connect: Callable[[NodeEntry], IRemoteStore], calls: Calls, clock: Any
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._nodes = NodeRegistry(entries, connect, clock, asks=False, noted=self._noted)
        self._recovered: list[Callable[[str], None]] = []
        self._showing = False

    def _noted(self, node: str, reason: str, full: bool) -> None:
        self._calls.tell(methods.NODE_FAILED, node, reason.encode("utf-8", "replace").decode(), full)

    def watch_recoveries(self, recovered: Callable[[str], None]) -> None:
        """Call `recovered` with a node's id each time that the node becomes usable again."""
        self._recovered.append(recovered)

    def show(self, view: View) -> None:
        """Take what the catalog's process shows."""
        entries = tuple(each.entry for each in view.nodes)
        if entries != tuple(node.entry for node in self._nodes.nodes()):
            try:
                self._nodes.replace(entries)
            except RegistryInvalid:  # the registry of another start, which has refused or lost what this one knew
                return
        now = self._clock.seconds()
        for node, seen in zip(self._nodes.nodes(), view.nodes, strict=True):
            before = node.health.usable
            seen.apply(node)
            if before and not node.health.usable:
                # As with the registry of one process: what waits for the node ends.
                node.remote.end_waits(now, NodeUnavailable(node.health.problem))
            elif node.health.usable and not before and node.health.state in {UP, FULL}:
                for recovered in self._recovered:
                    recovered(node.entry.id)

    def nodes(self) -> list[NodeStatus]:
        """Return the state of each node, as it was shown last."""
        return self._nodes.nodes()

    def node_ids(self) -> list[str]:
        """The ids of the registered nodes that are not lost; see `INodeRegistry`."""
        return self._nodes.node_ids()

    def store(self, node_id: str) -> INodeStore:
        """The part store of a node; see `INodeRegistry`."""
        return self._nodes.store(node_id)

    def is_usable(self, node_id: str) -> bool:
        """Whether a node seems to be well; see `INodeRegistry`."""
        return self._nodes.is_usable(node_id)

    def failed(self, node_id: str, reason: str) -> None:
        """Note that a node failed; see `INodeRegistry`."""
        self._nodes.failed(node_id, reason)

    def suspect(self, node_id: str) -> None:
        """Have a node asked at once that may not answer any more."""
        self._calls.tell(methods.SUSPECT, node_id)

    def place(self, count: int, stored_size: int, avoid: Collection[str], *, is_guess: bool = False) -> list[str]:
        """Choose distinct nodes for the parts of a file; see `INodeRegistry`."""
        chosen = self._nodes.place(count, stored_size, avoid, is_guess=is_guess)
        self._calls.tell(methods.RESERVE, chosen, stored_size, is_guess)
        return chosen

    def release(self, node_id: str, stored_size: int) -> None:
        """Release reserved room; see `INodeRegistry`."""
        self._nodes.release(node_id, stored_size)
        self._calls.tell(methods.RELEASE, node_id, stored_size)

    def check_room(self, count: int, stored_size: int) -> None:
        """Check that `place` would find nodes; see `INodeRegistry`."""
        self._nodes.check_room(count, stored_size)

    def refresh(self) -> Deferred[None]:
        """Have the nodes asked for their room; see `INodeRegistry`."""
        return self._calls.call(methods.ASK_ROOM).addCallbacks(self.show, lambda _: None)
