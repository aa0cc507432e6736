"""The registered nodes: asks them for their state, and chooses nodes for new parts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as AskedTooLong
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.errors import FileUnavailable, NotEnoughNodes, NotEnoughSpace
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.health import ASK_EVERY_S, FULL, UP, Health
from splitd.model.nodes import LOST, NodeEntry, RegistryChange, compare_entries
from splitd.model.placement import Candidate, choose_nodes
from splitd.model.room import why_full
from splitd.nodes.lost import LostStore
from splitd.nodes.reporting import ReportingStore
from splitd.nodes.state import Fill, NodeStatus
from storaged.http import reason_of
from storaged.parts.errors import NodeUnavailable, NoSpace, NotAsked, StoragedError, WrongNode
from storaged.parts.interfaces import INodeStore, IRemoteStore
from storaged.parts.values import LOOK_EVERY_S, NodeInfo
from storaged.system.parallel import settled
from storaged.system.periodic import Periodic
from storaged.system.stalls import limit

_TICK_S = 0.5
"""How often the registry checks which nodes are due to be asked."""

_ANSWER_S = 10.0
"""How long a node may take to answer a status request."""

_WAIT_S = 3.0
"""How long a caller that asks all nodes waits for one that does not answer."""

_SPREAD_S = 1.0
"""By how much a node may be asked earlier than usual."""


@implementer(INodeRegistry)
class NodeRegistry:
    """The registered nodes.

    :param entries: the nodes.
    :param connect: makes the part store of a node.
    :param clock: tells the time and calls later.
    :param chance: returns numbers in [0, 1).
    :param asks: whether nodes are asked for their state; if not, somebody else tells it.
    :param noted: called with the id of a node that has failed, the reason, and whether it only had no room for a part.
    """

    _log = Logger()

    def __init__(
        self,
        entries: Sequence[NodeEntry],
        connect: Callable[[NodeEntry], IRemoteStore],
        clock: Any,
        chance: Callable[[], float] = random.random,
        *,
        asks: bool = True,
        noted: Callable[[str, str, bool], object] | None = None,
    ) -> None:
        self._asks = asks
        self._noted = noted
        self._connect = connect
        self._clock = clock
        self._nodes = {entry.id: self._new(entry) for entry in entries}
        self._chance = chance
        self._asking: set[Deferred[None]] = set()
        self._stopped = False
        self._refreshed_at = -math.inf
        self._recovered: list[Callable[[str], None]] = []
        self._rounds = Periodic(self._ask_due, _TICK_S, clock, "asking nodes")

    def _new(self, entry: NodeEntry) -> NodeStatus:
        health = Health(self._clock.seconds())
        if entry.state == LOST:
            health.lose()
        return NodeStatus(entry, *self._connected(entry), health)

    def _connected(self, entry: NodeEntry) -> tuple[IRemoteStore, INodeStore]:
        """Make a node's part store, and a wrapper of it that reports failures."""
        if entry.state == LOST:
            lost = LostStore(entry.id)
            return lost, lost
        remote = self._connect(entry)

        def report(problem: StoragedError) -> None:
            node = self._nodes.get(entry.id)
            if node is not None and node.remote is remote:  # the node may have another URL by now
                self._note_failure(node, problem.reason, full=isinstance(problem, NoSpace))

        return remote, ReportingStore(remote, report)

    def start(self) -> Deferred[None]:
        """Ask all nodes for the first time, and periodically from then on.

        :return: a Deferred that fires with None as that of `ask` does.
        """
        first = self.poll().addCallback(self._spread_out)
        self._rounds.start()
        return first

    def _spread_out(self, _: None) -> None:
        """Spread the next requests over the interval, so that the nodes are not asked all at the same time."""
        now, nodes = self._clock.seconds(), self.nodes()
        for number, node in enumerate(nodes, 1):
            if node.health.usable:
                node.health.due = now + ASK_EVERY_S * number / len(nodes)

    def stop(self) -> None:
        """Stop asking, and cancel the pending requests."""
        self._stopped = True
        self._rounds.stop()
        for asking in list(self._asking):
            asking.cancel()

    def replace(self, entries: Sequence[NodeEntry]) -> RegistryChange:
        """Replace the entries.  Uploads and downloads in progress are not affected.

        :return: the changes.
        :raise RegistryInvalid: a registered node is missing in the new entries, or is not lost any more; nothing has
            changed.
        """
        change = compare_entries([node.entry for node in self._nodes.values()], entries)
        nodes = {}
        for entry in entries:
            node = self._nodes.get(entry.id)
            if node is None:
                node = self._new(entry)
            elif entry.state == LOST != node.entry.state:
                self._lose(node, entry)
            elif entry.id in change.moved and entry.state != LOST:
                # Requests that are pending at the old URL end there, successfully or not.
                node.remote.retire()
                node.remote, node.store = self._connected(entry)
                node.asking = None
                node.health.due = self._clock.seconds()
            node.entry = entry
            nodes[entry.id] = node
        self._nodes = nodes
        self.look_again()
        return change

    def _lose(self, node: NodeStatus, entry: NodeEntry) -> None:
        """Ask nothing of a node any more, and end what waits for it."""
        remote, before = node.remote, (node.health.state, node.health.problem)
        node.remote, node.store = self._connected(entry)
        node.asking = None
        node.forget()
        node.health.lose()
        remote.end_waits(self._clock.seconds(), NodeUnavailable(node.health.problem))
        remote.retire()
        self._log_change(node, before)

    def look_again(self) -> None:
        """Ask the nodes that cannot be used at once, and forget their earlier failures."""
        for node in self._nodes.values():
            if not node.health.usable:
                node.health.forgive(self._clock.seconds())
        self._ask_due()

    def suspect(self, node_id: str) -> None:
        """Ask a node at once that may not answer any more; its state does not change before."""
        node = self._nodes.get(node_id)
        if node is not None and node.health.usable:
            node.health.due = self._clock.seconds()
            self._ask_due()

    def nodes(self) -> list[NodeStatus]:
        """Return the present state of each node, in the order of the registry."""
        return list(self._nodes.values())

    def node_ids(self) -> list[str]:
        """The ids of the registered nodes that are not lost; see `INodeRegistry.node_ids`."""
        return [node_id for node_id, node in self._nodes.items() if node.entry.state != LOST]

    def fill(self) -> Fill | None:
        """Return the lowest and highest fill of the nodes that take parts; None if there are no such nodes."""
        sizes = [node.weighted_size for node in self._nodes.values() if node.takes_parts]
        fills = [used / size for size, used in sizes if size]
        return Fill(min(fills), max(fills)) if fills else None

    def rotten(self) -> dict[str, int]:
        """Return how many rotten parts each usable node has reported, without the nodes that have none."""
        found = ((node.entry.id, node.scrub.rotten) for node in self._nodes.values() if node.health.usable)
        return {node_id: rotten for node_id, rotten in found if rotten}

    def poll(self) -> Deferred[None]:
        """Ask every node for its identity and its room, and forget its failures.

        A node that has not answered an earlier request is asked again afterwards: that request may have been sent
        before the node was repaired.

        :return: a Deferred that fires with None as that of `ask` does.
        """
        nodes = [self._nodes[node_id] for node_id in self.node_ids()]
        for node in nodes:
            node.health.forgive(self._clock.seconds())
        pending = [node for node in nodes if node.asking is not None]
        asked = self._ask_all([node for node in nodes if node.asking is None])
        return self._in_time(settled([asked, *(Deferred.fromCoroutine(self._ask_again(node)) for node in pending)]))

    async def _ask_again(self, node: NodeStatus) -> None:
        assert node.asking is not None
        await settled([node.asking])
        if not self._stopped:
            await self._ask_all([node])

    def ask(self) -> Deferred[None]:
        """Ask every node now for its identity and its room.

        :return: a Deferred that fires with None when each node has answered or failed, and after `_WAIT_S` at the
            latest: a node that does not answer must not delay the caller for longer.
        """
        return self._in_time(self._ask_all([self._nodes[node_id] for node_id in self.node_ids()]))

    def _in_time(self, answers: Deferred[None]) -> Deferred[None]:
        return limit(answers, _WAIT_S, self._clock, lambda *_: None)

    def refresh(self) -> Deferred[None]:
        """Ask the nodes for their room; see `INodeRegistry.refresh`."""
        now = self._clock.seconds()
        usable = [node for node in self._nodes.values() if node.health.usable]
        if now - self._refreshed_at >= LOOK_EVERY_S:  # before that they would answer the same
            self._refreshed_at = now
            return self._in_time(self._ask_all(usable))
        return self._in_time(settled([node.asking for node in usable if node.asking is not None]))

    def _ask_due(self) -> None:
        now = self._clock.seconds()
        self._ask_all(node for node in self._nodes.values() if node.health.due <= now and node.asking is None)

    def _ask_all(self, nodes: Iterable[NodeStatus]) -> Deferred[None]:
        """Ask nodes.  Each has one request at a time; further callers wait for the same answer."""
        waiting = []
        for node in list(nodes) if self._asks else []:
            if node.asking is None:
                asking = node.asking = Deferred.fromCoroutine(self._ask(node))
                self._asking.add(asking)
                asking.addBoth(self._asked, node, asking)
                waiting.append(asking)
            else:
                waiting.append(node.asking)
        return settled(waiting)

    def _asked(self, result: Failure | None, node: NodeStatus, asking: Deferred[None]) -> None:
        self._asking.discard(asking)
        if node.asking is asking:
            node.asking = None
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._log.failure("asking node {node}", result, node=node.entry.id)

    async def _ask(self, node: NodeStatus) -> None:
        remote, reserved_before, asked_at = node.remote, node.reserved, self._clock.seconds()
        info: NodeInfo | None = None
        problem: Exception | None = None
        try:
            info = await limit(remote.info(), _ANSWER_S, self._clock)
        except CancelledError:
            raise
        except NotAsked:
            node.health.not_asked(self._clock.seconds())
            return
        except (StoragedError, AskedTooLong) as failure:
            problem = failure
        except Exception as failure:  # whatever the error is, the node must get a state and a reason
            self._log.failure("asking node {node}", Failure(), node=node.entry.id)
            problem = failure
        if node.remote is not remote:
            return  # the node has another URL now
        now, before = self._clock.seconds(), (node.health.state, node.health.problem)
        node.latency_s = None if info is None else now - asked_at
        if info is not None:
            node.learn(info)
            # The answer counts the bytes that were placed before the request: the node has reserved them.
            node.reserved -= reserved_before
            node.health.answered(now, why_full(info.capacity, info.free, info.reserve))
            # Nodes that were asked together must not all be asked together again.
            node.health.due -= _SPREAD_S * self._chance()
        else:
            if isinstance(problem, AskedTooLong):
                problem = NodeUnavailable(f"no answer in {_ANSWER_S:g} s")
            reason = problem.reason if isinstance(problem, StoragedError) else reason_of(problem)
            node.health.silent(now, reason, stranger=isinstance(problem, WrongNode))
            # A node that did not answer this request will not answer older ones.
            remote.end_waits(asked_at, NodeUnavailable(reason))
        self._log_change(node, before)

    def watch_recoveries(self, recovered: Callable[[str], None]) -> None:
        """Call `recovered` with a node's id each time that the node becomes usable again."""
        self._recovered.append(recovered)

    def _log_change(self, node: NodeStatus, before: tuple[str, str]) -> None:
        if (node.health.state, node.health.problem) != before:
            problem = f": {node.health.problem}" if node.health.problem else ""
            self._log.info("node {node} is {state}{problem}", node=node.entry.id, state=node.state, problem=problem)
        if node.health.usable and before[0] not in {UP, FULL}:
            for recovered in self._recovered:
                recovered(node.entry.id)

    def store(self, node_id: str) -> INodeStore:
        """The part store of a node; see `INodeRegistry.store`."""
        try:
            return self._nodes[node_id].store
        except KeyError:
            raise FileUnavailable(f"node {node_id} is not in the registry") from None

    def is_usable(self, node_id: str) -> bool:
        """Whether a node seems to be well; see `INodeRegistry.is_usable`."""
        node = self._nodes.get(node_id)
        return node is not None and node.health.usable

    def place(self, count: int, stored_size: int, avoid: Collection[str], *, is_guess: bool = False) -> list[str]:
        """Choose distinct nodes for the parts of a file; see `INodeRegistry.place`."""
        candidates = [
            Candidate(node.entry.id, node.entry.zone, *node.weighted_size)
            for node in self._with_room(count, stored_size, avoid)
        ]
        chosen = choose_nodes(candidates, count, self._chance)
        for node_id in chosen:
            if is_guess:
                self._nodes[node_id].held += stored_size
            else:
                self.reserve(node_id, stored_size)
        return chosen

    def release(self, node_id: str, stored_size: int) -> None:
        """Release reserved room; see `INodeRegistry.release`."""
        self._nodes[node_id].held -= stored_size

    def reserve(self, node_id: str, stored_size: int) -> None:
        """Count bytes as placed on a node until it is asked again."""
        self._nodes[node_id].reserved += stored_size

    def check_room(self, count: int, stored_size: int) -> None:
        """Check that `place` would find nodes; see `INodeRegistry.check_room`."""
        self._with_room(count, stored_size, ())

    def _with_room(self, count: int, stored_size: int, avoid: Collection[str]) -> list[NodeStatus]:
        usable = [node for node in self._nodes.values() if node.takes_parts and node.entry.id not in avoid]
        if len(usable) < count:
            raise NotEnoughNodes(
                f"{count} nodes are needed, {len(usable)} of {len(self._nodes)} can be used now: "
                + "; ".join(self._objections(stored_size, avoid).values()),
                self._others(stored_size, avoid),
            )
        roomy = [node for node in usable if node.room >= stored_size]
        if len(roomy) < count:
            raise NotEnoughSpace(
                f"{count} nodes with {stored_size} bytes free are needed, {len(roomy)} of {len(self._nodes)} have that"
                ": " + "; ".join(self._objections(stored_size, avoid).values()),
                self._others(stored_size, avoid),
            )
        return roomy

    def _others(self, stored_size: int, avoid: Collection[str]) -> tuple[str, ...]:
        """Return the objections to the nodes that need not be avoided."""
        objections = self._objections(stored_size, avoid)
        return tuple(reason for node, reason in objections.items() if node not in avoid)

    def _objections(self, stored_size: int, avoid: Collection[str]) -> dict[str, str]:
        """Return the reason why each of the nodes that cannot take a part does not, by their ids.

        :param stored_size: the bytes of the part.
        """
        reasons = {}
        for node in self._nodes.values():
            if node.state not in {UP, FULL}:
                reasons[node.entry.id] = f"{node.entry.id} is {node.state}"
            elif node.entry.id in avoid:
                reasons[node.entry.id] = f"{node.entry.id} has just failed"
            elif node.health.refuses_parts:
                reasons[node.entry.id] = f"{node.entry.id} has just refused a part: {node.health.problem}"
            elif node.room < stored_size:
                reasons[node.entry.id] = f"{node.entry.id} has {node.room} bytes free"
        return reasons

    def failed(self, node_id: str, reason: str, *, full: bool = False) -> None:
        """Note that a node failed when it was used; see `INodeRegistry.failed`.

        :param full: whether it only had no room for a part.
        """
        node = self._nodes.get(node_id)
        if node is not None:
            self._note_failure(node, reason, full=full)

    def _note_failure(self, node: NodeStatus, reason: str, *, full: bool) -> None:
        before = node.health.state, node.health.problem
        node.health.failed(self._clock.seconds(), reason, full=full)
        if self._noted is not None:
            self._noted(node.entry.id, reason, full)
        self._log_change(node, before)
