"""Deletes the doomed parts of one node, independently of all other nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.downloads.pins import Pins
from splitd.errors import SplitdError
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.parts import IDoomedParts
from splitd.model.manifest import Manifest
from splitd.upkeep.deletion_pace import DeletionPace
from storaged.http import reason_of
from storaged.parts.errors import StoragedError
from storaged.parts.format import PartId
from storaged.system.parallel import settled

_GATHER_S = 0.05
"""The least time between the beginnings of two passes: parts that are doomed meanwhile go into one batch."""

_Result = TypeVar("_Result")


class NodeReaper:
    """Goes through the doomed parts of one node in passes, one batch after the other.

    A batch that the node confirms is recorded before the next one is sent.  A batch that fails ends the pass; after a
    pause, the next pass begins behind that batch.  So a part that cannot be deleted does not delay the others.

    :param node: the id of the node.
    :param pins: versions that are being read; their parts are not deleted yet.
    :param clock: measures time, and calls later.
    :param longest_pause_s: the longest pause after a failure.
    :ivar failing: whether doomed parts remain because the node did not delete them.
    :ivar staying: how many doomed parts the node held when it last failed; 0 while it works.
    """

    _log = Logger()

    def __init__(
        self,
        node: str,
        doomed: IDoomedParts,
        registry: INodeRegistry,
        pins: Pins,
        clock: Any,
        longest_pause_s: float,
    ) -> None:
        self._node = node
        self._doomed = doomed
        self._registry = registry
        self._pins = pins
        self._clock = clock
        self._pace = DeletionPace(longest_pause_s)
        self._cursor = ""
        self._problem = ""  # why a part could not be deleted since the first page
        self._pinned: set[str] = set()
        self._began_at = -math.inf
        self._under_way: Deferred[Any] | None = None
        self._waits_for: Deferred[Any] | None = None
        self._next: IDelayedCall | None = None
        self._again = False
        self._stopped = False
        self._idle: list[Deferred[None]] = []
        self.failing = False
        self.staying = 0

    def wake(self) -> None:
        """Begin a pass: now, after the one in progress, or when the pause after a failure is over."""
        if self._stopped or self._next is not None:
            return
        if self._under_way is not None:
            self._again = True
            return
        self._begin_in(self._began_at + _GATHER_S - self._clock.seconds())

    def recovered(self) -> None:
        """End the pause after a failure: the node is healthy again."""
        self._pace.recovered()
        if self._next is not None and self.failing:
            self._next.cancel()
            self._next = None
            self.wake()

    def unpinned(self, version: Manifest) -> None:
        """Take note that a version is no longer pinned to the nodes on which it was read."""
        if version.upload in self._pinned or (version.packed_segments and self._pinned):
            self.wake()

    def idle(self) -> Deferred[None]:
        """Wait for the passes that were requested.

        :return: a Deferred that fires with None when they have ended, or when the node fails.  Cancelling it stops only
            the waiting.
        """
        if self.failing or (self._under_way is None and self._next is None):
            return settled([])
        waiting: Deferred[None] = Deferred()
        self._idle.append(waiting)
        return waiting

    def stop(self) -> Deferred[None]:
        """Begin no more passes, and end the one in progress without waiting for the node.

        :return: a Deferred that fires with None when the deletions that the node has confirmed are recorded.
        """
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        over = settled([] if self._under_way is None else [self._under_way])
        if self._waits_for is not None:
            self._waits_for.cancel()
        self._tell_idle()
        return over

    def _begin_in(self, pause_s: float) -> None:
        if pause_s > 0:
            self._next = self._clock.callLater(pause_s, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._next = None
        self._again = False
        self._began_at = self._clock.seconds()
        self._under_way = under_way = Deferred.fromCoroutine(self._pass())
        under_way.addErrback(self._failed)
        under_way.addCallback(self._ended)

    def _failed(self, failure: Failure) -> str:
        """Say why parts remain."""
        if failure.check(CancelledError):
            return ""
        if not failure.check(StoragedError, SplitdError):
            self._log.failure("deleting parts on node {node}", failure, node=self._node)
        return _reason(failure.value)

    def _ended(self, problem: str) -> None:
        self._under_way = None
        if self._stopped:
            return
        if problem:
            if not self.failing:
                self._log.info(
                    "node {node}: parts that are not deleted for now: {count}; {problem}",
                    node=self._node,
                    count=self.staying,
                    problem=problem,
                )
            self.failing = True
            self._begin_in(self._pace.pause())
        else:
            self.failing, self.staying = False, 0
            self._pace.recovered()
            if self._again:
                self.wake()
        if self.failing or self._next is None:
            self._tell_idle()

    def _tell_idle(self) -> None:
        waiting, self._idle = self._idle, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    async def _pass(self) -> str:
        """Go through the pages, from where the last pass ended to the last page.

        :return: why parts remain; empty if none remain but those that are being read.
        """
        if not self._cursor:
            self._problem = ""
            self._pinned.clear()
        more = True
        while more and not self._stopped:
            page = await self._wait(self._doomed.doomed_on(self._node, self._cursor, self._pace.limit))
            self._cursor = page.cursor
            more = bool(page.cursor)
            parts = [part for part in page.parts if not self._is_pinned(part)]
            if parts and not await self._delete(parts):
                break
        if self._problem and not self._stopped:
            self.staying = (await self._wait(self._doomed.doomed_nodes())).get(self._node, 0)
        return self._problem

    def _is_pinned(self, part: PartId) -> bool:
        if self._pins.holds(part.upload, self._node):
            self._pinned.add(part.upload)
            return True
        return False

    async def _delete(self, parts: Sequence[PartId]) -> bool:
        """Delete a batch, record which parts are gone, and return whether any is."""
        began_at = self._clock.seconds()
        outcomes: Sequence[bool | Exception]
        try:
            store = self._registry.store(self._node)
            removed = await self._wait(store.remove_all([str(part) for part in parts]))
        except CancelledError:
            raise
        except (StoragedError, SplitdError) as problem:
            outcomes = [problem] * len(parts)
        else:
            outcomes = removed
        took_s = self._clock.seconds() - began_at
        gone = [part for part, outcome in zip(parts, outcomes, strict=True) if not isinstance(outcome, Exception)]
        if len(gone) < len(parts):
            self._problem = next(_reason(outcome) for outcome in outcomes if isinstance(outcome, Exception))
        if not gone:
            self._pace.failed(took_s)
            return False
        self._pace.answered(len(parts), took_s)
        # Never cancelled: a deletion that the node has confirmed is recorded even when the front stops.
        await self._doomed.gone(self._node, gone)
        return True

    async def _wait(self, answer: Deferred[_Result]) -> _Result:
        """Wait for a Deferred that `stop` cancels."""
        self._waits_for = answer
        try:
            return await answer
        finally:
            self._waits_for = None


def _reason(problem: BaseException | None) -> str:
    """Return what went wrong, without the node, which the log names already."""
    return problem.reason if isinstance(problem, StoragedError) else reason_of(problem)
