"""The nodes there are, what is known of them, and where the next parts go."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

import attrs
import yaml
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from splitd.errors import FileUnavailable, NotEnoughNodes, NotEnoughSpace
from splitd.interfaces import INodeRegistry
from splitd.model.nodes import NodeEntry, RegistryInvalid, parse_entries
from splitd.model.placement import Candidate, choose_nodes
from storaged.errors import StoragedError, WrongNode
from storaged.interfaces import INodeStore, NodeInfo

POLL_INTERVAL_S = 10.0
"""How often every node is asked how it is."""

_LOOK_INTERVAL_S = 1.0
"""How often a node that is not up is asked whether it is back."""

_USABLE = frozenset({"up", "full"})


def load_registry(path: str, text: str) -> tuple[NodeEntry, ...]:
    """Read a registry file.

    :param path: its name, for the message.
    :param text: what stands in it.
    :raise RegistryInvalid: it cannot be used; the message names file and line.
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return parse_entries(_entries(loader, root))
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise RegistryInvalid(f"{path}: line {line}: {problem.problem}") from problem
    except yaml.YAMLError as problem:
        raise RegistryInvalid(f"{path}: {problem}") from problem
    except RegistryInvalid as problem:
        raise RegistryInvalid(f"{path}: {problem}") from problem
    finally:
        loader.dispose()


def _entries(loader: yaml.SafeLoader, root: yaml.Node | None) -> list[tuple[int, Any]]:
    if not isinstance(root, yaml.SequenceNode):
        raise RegistryInvalid("line 1: should be a list of nodes")
    return [(node.start_mark.line + 1, loader.construct_document(node)) for node in root.value]


@attrs.define
class NodeStatus:
    """What is known of a node now.

    :param state: "unknown" until it was asked once, then "up", "full", "down" or "stranger".
    :param problem: why it is not up.
    :param reserved: bytes placed on it since it was last asked.
    """

    entry: NodeEntry
    store: INodeStore
    state: str = "unknown"
    problem: str = ""
    capacity: int = 0
    free: int = 0
    reserved: int = 0


@implementer(INodeRegistry)
class NodeRegistry:
    """The registered nodes.

    :param entries: the nodes.
    :param connect: makes the part store of a node.
    :param clock: tells the time and calls later.
    """

    _log = Logger()

    def __init__(self, entries: Sequence[NodeEntry], connect: Callable[[NodeEntry], INodeStore], clock: Any) -> None:
        self._nodes = {entry.id: NodeStatus(entry, connect(entry)) for entry in entries}
        self._random = random.Random().random  # noqa: S311 - it guards nothing
        self._loops = [LoopingCall(self.poll), LoopingCall(self._look_for_the_missing)]
        for loop in self._loops:
            loop.clock = clock

    def start(self) -> Deferred[None]:
        """Ask all nodes for the first time, and go on asking.

        :return: a Deferred that fires when each has answered or failed to.
        """
        first = self.poll()
        for loop, interval_s in zip(self._loops, (POLL_INTERVAL_S, _LOOK_INTERVAL_S), strict=True):
            loop.start(interval_s, now=False).addErrback(lambda failure: self._log.failure("asking nodes", failure))
        return first

    def stop(self) -> None:
        """Ask no more."""
        for loop in self._loops:
            if loop.running:
                loop.stop()

    def nodes(self) -> list[NodeStatus]:
        """What is known of each node, in the order of the registry."""
        return list(self._nodes.values())

    def node_ids(self) -> list[str]:
        """The ids of all registered nodes; see `INodeRegistry.node_ids`."""
        return list(self._nodes)

    def poll(self) -> Deferred[None]:
        """Ask every node who it is and what room it has."""
        return self._ask_all(self.nodes())

    def _look_for_the_missing(self) -> Deferred[None]:
        return self._ask_all([node for node in self.nodes() if node.state not in _USABLE])

    def _ask_all(self, nodes: Sequence[NodeStatus]) -> Deferred[None]:
        asked = [Deferred.fromCoroutine(self._ask(node)) for node in nodes]
        return DeferredList(asked, consumeErrors=True).addCallback(self._log_failures)

    def _log_failures(self, results: list[tuple[bool, Any]]) -> None:
        for good, failure in results:
            if not good:
                self._log.failure("asking a node", failure)

    async def _ask(self, node: NodeStatus) -> None:
        reserved_before = node.reserved
        try:
            info: NodeInfo = await node.store.info()
        except WrongNode as problem:
            self._became(node, "stranger", str(problem))
        except StoragedError as problem:
            self._became(node, "down", str(problem))
        else:
            node.capacity, node.free = info.capacity, info.free
            # What was placed before the question is in the answer: the node counts what it was promised.
            node.reserved -= reserved_before
            self._became(node, "up" if info.free > 0 else "full", "")

    def _became(self, node: NodeStatus, state: str, problem: str) -> None:
        if (state, problem) != (node.state, node.problem):
            self._log.info("node {node}: {state} {problem}", node=node.entry.id, state=state, problem=problem)
        node.state, node.problem = state, problem

    def store(self, node_id: str) -> INodeStore:
        """The part store of a node; see `INodeRegistry.store`."""
        try:
            return self._nodes[node_id].store
        except KeyError:
            raise FileUnavailable(f"node {node_id} is not in the registry") from None

    def place(self, count: int, stored: int, avoid: Collection[str]) -> list[str]:
        """Choose distinct nodes for the parts of a file; see `INodeRegistry.place`."""
        candidates = [
            Candidate(node.entry.id, node.entry.zone, (node.free - node.reserved) * node.entry.weight)
            for node in self._with_room(count, stored, avoid)
        ]
        chosen = choose_nodes(candidates, count, self._random)
        for node_id in chosen:
            self._nodes[node_id].reserved += stored
        return chosen

    def check_room(self, count: int, stored: int) -> None:
        """Make sure that nodes would be found; see `INodeRegistry.check_room`."""
        self._with_room(count, stored, ())

    def _with_room(self, count: int, stored: int, avoid: Collection[str]) -> list[NodeStatus]:
        usable = [
            node
            for node in self._nodes.values()
            if node.entry.state == "active" and node.entry.id not in avoid and node.state in _USABLE
        ]
        if len(usable) < count:
            raise NotEnoughNodes(f"{count} nodes are needed, {len(usable)} of {len(self._nodes)} can be used now")
        roomy = [node for node in usable if node.free - node.reserved >= stored]
        if len(roomy) < count:
            raise NotEnoughSpace(
                f"{count} nodes with {stored} bytes free are needed, {len(roomy)} of {len(self._nodes)} have that"
            )
        return roomy

    def failed(self, node_id: str, reason: str) -> None:
        """Learn that a node did not do what it should; see `INodeRegistry.failed`."""
        node = self._nodes.get(node_id)
        if node is not None:
            self._became(node, "down", reason)
