"""Asks nodes about parts during a check, so that a node that does not answer does not hold up the check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as AskedTooLong

from splitd.errors import FileUnavailable
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.manifest import Manifest
from splitd.upkeep.check.events import DAMAGED, MISSING, UNREACHABLE, HurtPart
from storaged.parts.errors import BadPart, BadSpan, NodeUnavailable, PartDamaged, PartMissing, StoragedError
from storaged.parts.interfaces import INodeStore

_Answer = TypeVar("_Answer")

_PATIENCE_S = 15.0
"""How long a node may take to answer one request of a check."""

_PAUSE_S = 30.0
"""How long a node that did not answer is not asked again in this check."""


class Asking:
    """The nodes, as one check sees them.

    :param clock: measures time, and calls later.
    :ivar silent: the nodes that did not answer at some time, each with the reason.
    """

    def __init__(self, registry: INodeRegistry, clock: Any) -> None:
        self._registry = registry
        self._clock = clock
        self._paused_until: dict[str, float] = {}
        self.silent: dict[str, str] = {}

    async def ask(self, node: str, call: Callable[[INodeStore], Deferred[_Answer]]) -> _Answer | StoragedError:
        """Ask a node, unless it did not answer a short time ago.

        :param call: makes the request.
        :return: the answer, or the error.
        """
        if node not in self._registry.node_ids():
            return PartMissing("its node was declared lost")
        if not self._registry.is_usable(node) or self._clock.seconds() < self._paused_until.get(node, 0.0):
            return self._not_answered(node, self.silent.get(node, "cannot be used now"))
        try:
            return await call(self._registry.store(node)).addTimeout(_PATIENCE_S, self._clock)
        except FileUnavailable as problem:
            return self._not_answered(node, str(problem))
        except AskedTooLong:
            return self._gave_up(node, f"no answer in {_PATIENCE_S:g} s")
        except NodeUnavailable as problem:
            return self._gave_up(node, problem.reason)
        except StoragedError as problem:
            return problem

    def _gave_up(self, node: str, reason: str) -> NodeUnavailable:
        self._paused_until[node] = self._clock.seconds() + _PAUSE_S
        return self._not_answered(node, reason)

    def _not_answered(self, node: str, reason: str) -> NodeUnavailable:
        self.silent[node] = reason
        return NodeUnavailable(reason)


def hurt_part(manifest: Manifest, index: int, problem: StoragedError) -> HurtPart:
    """Describe a part by the error that its node answered."""
    state = UNREACHABLE
    if isinstance(problem, PartMissing):
        state = MISSING
    elif isinstance(problem, PartDamaged | BadPart | BadSpan):  # a part that is too short has no such span
        state = DAMAGED
    return HurtPart(index, manifest.nodes[index], state, problem.reason)


def nowhere(manifest: Manifest) -> list[HurtPart]:
    """Describe the parts that are stored nowhere."""
    return [HurtPart(index, "", MISSING, "is lost, and was not rebuilt yet") for index in manifest.missing]
