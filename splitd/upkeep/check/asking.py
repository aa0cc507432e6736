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

_DOUBTFUL_S = 3.0
"""The same, for a node that seems not to be well."""

_PAGE = 2000
_MOST_ROTTEN = 10_000

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

    async def ask(
        self, node: str, call: Callable[[INodeStore], Deferred[_Answer]], *, goes_on: bool = False
    ) -> _Answer | StoragedError:
        """Ask a node, unless it did not answer a short time ago.

        :param call: makes the request.
        :param goes_on: whether this continues a request that the node has begun to answer.  If it breaks off then, the
            node may be well: it breaks off when it cannot read a part to its end.
        :return: the answer, or the error.
        """
        if node not in self._registry.node_ids():
            return PartMissing("its node was declared lost")
        if self._clock.seconds() < self._paused_until.get(node, 0.0):
            return self._not_answered(node, self.silent[node])
        # A node that failed a moment ago may be well: one part that its disk cannot read is enough for that.
        patience_s = _PATIENCE_S if self._registry.is_usable(node) else _DOUBTFUL_S
        try:
            return await call(self._registry.store(node)).addTimeout(patience_s, self._clock)
        except FileUnavailable as problem:
            return self._not_answered(node, str(problem))
        except AskedTooLong:
            return self._gave_up(node, f"no answer in {patience_s:g} s")
        except NodeUnavailable as problem:
            return problem if goes_on else self._gave_up(node, problem.reason)
        except StoragedError as problem:
            return problem

    def _gave_up(self, node: str, reason: str) -> NodeUnavailable:
        self._paused_until[node] = self._clock.seconds() + _PAUSE_S
        return self._not_answered(node, reason)

    def _not_answered(self, node: str, reason: str) -> NodeUnavailable:
        self.silent[node] = reason
        return NodeUnavailable(reason)


async def fetch_rotten(node: str, asking: Asking) -> dict[str, str]:
    """Fetch the list of a node's rotten parts.

    :return: why each is rotten, by its id; as much of the list as the node has told.
    """
    found: dict[str, str] = {}
    after = ""
    while len(found) < _MOST_ROTTEN:
        page = await asking.ask(node, lambda store: store.rotten(after, _PAGE))  # noqa: B023 - used at once
        if isinstance(page, StoragedError) or not page or page[-1].part_id <= after:
            break  # a node of an older version has no such list
        found.update((part.part_id, part.reason) for part in page)
        after = page[-1].part_id
    return found


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
