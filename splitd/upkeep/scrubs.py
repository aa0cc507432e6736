"""Pauses the scrubs of all nodes, and resumes them."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as AskedTooLong
from twisted.logger import Logger

from splitd.nodes.registry import NodeRegistry
from splitd.nodes.state import NodeStatus
from storaged.http import reason_of
from storaged.parts.errors import StoragedError
from storaged.system.parallel import gather, lasting

_ANSWER_S = 10.0
"""How long a node may take to answer."""


@attrs.frozen
class NodeScrub:
    """The scrub of a node.

    :param id: the id of the node.
    :param paused: whether it is paused, as far as the node has said.
    :param problem: why it was not paused or resumed; empty if it was.
    """

    id: str
    paused: bool
    problem: str


@attrs.frozen
class ScrubsReport:
    """The scrubs of all nodes that are not lost."""

    nodes: list[NodeScrub]


class Scrubs:
    """The scrubs of the registered nodes.  Each node keeps its own pause, until it is resumed or restarted.

    :param clock: measures how long a node takes.
    """

    _log = Logger()

    def __init__(self, registry: NodeRegistry, clock: Any) -> None:
        self._registry = registry
        self._clock = clock

    def warnings(self) -> list[str]:
        """Tell of the nodes that have said that their scrub is paused."""
        paused = [node.entry.id for node in self._registry.nodes() if node.health.usable and node.scrub.paused]
        if not paused:
            return []
        return [f"the scrub is paused by an operator on {', '.join(paused)}: rot that nobody reads is not found there"]

    def pause(self) -> Deferred[ScrubsReport]:
        """Pause the scrubs.

        :return: a Deferred that fires with what became of each, when all nodes have answered or failed.  Cancelling it
            only ends the wait: all nodes are asked in any case.
        """
        return self._set(is_paused=True)

    def resume(self) -> Deferred[ScrubsReport]:
        """Resume the scrubs, as `pause` pauses them."""
        return self._set(is_paused=False)

    def _set(self, *, is_paused: bool) -> Deferred[ScrubsReport]:
        return lasting(Deferred.fromCoroutine(self._ask_all(is_paused)))

    async def _ask_all(self, is_paused: bool) -> ScrubsReport:
        registered = set(self._registry.node_ids())
        nodes = [node for node in self._registry.nodes() if node.entry.id in registered]
        asked = await gather([self._ask(node, is_paused) for node in nodes])
        await self._registry.poll()  # an answer that is still on its way may be older
        return ScrubsReport(asked)

    async def _ask(self, node: NodeStatus, is_paused: bool) -> NodeScrub:
        name, before = node.entry.id, node.scrub.paused
        if not node.health.usable:
            return NodeScrub(name, before, f"it is {node.state}: {node.health.problem}")
        try:
            scrub = await node.store.pause_scrub(paused=is_paused).addTimeout(_ANSWER_S, self._clock)
        except CancelledError:
            raise
        except StoragedError as problem:
            return NodeScrub(name, before, problem.reason)
        except AskedTooLong:
            return NodeScrub(name, before, f"no answer in {_ANSWER_S:g} s")
        except Exception as problem:
            self._log.failure("the scrub of node {node}", node=name)
            return NodeScrub(name, before, reason_of(problem))
        return NodeScrub(name, scrub.paused, "")
