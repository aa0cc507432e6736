"""Deletes the parts that nobody needs any more: of uploads aborted, of files deleted or replaced."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from splitd.downloads.pins import Pins
from splitd.errors import CatalogReadOnly, FileUnavailable
from splitd.interfaces.catalog import Doomed, IUploadLedger
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.upkeep import IReaper
from storaged.parts.errors import StoragedError
from storaged.system.parallel import settled

_AT_ONCE = 16
_PAGE = 1000


@implementer(IReaper)
class Reaper:
    """Goes through the doomed parts at start, every so often, and when woken; what a node does not delete now is
    tried again in the next round.

    :param pins: versions to leave alone for now.
    :param interval_s: between two rounds.
    :ivar reaped: uploads, versions and copies that are gone, since the start.
    :ivar staying: how many parts each node did not delete in the last round.
    """

    _log = Logger()

    def __init__(
        self, ledger: IUploadLedger, registry: INodeRegistry, pins: Pins, clock: Any, interval_s: float
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._pins = pins
        self._interval_s = interval_s
        self._slots = DeferredSemaphore(_AT_ONCE)
        self._busy: set[str] = set()
        self._left: set[str] = set()
        self._refused: Counter[str] = Counter()
        self.reaped = 0
        self.staying: dict[str, int] = {}
        self._again = False
        self._stopped = False
        self._round: Deferred[None] | None = None
        self._loop = LoopingCall(self.wake)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin the rounds."""
        self._loop.start(self._interval_s).addErrback(lambda failure: self._log.failure("the reaper stopped", failure))

    def stop(self) -> Deferred[None]:
        """Begin no more rounds.

        :return: a Deferred that fires when the one under way has ended.
        """
        self._stopped = True
        if self._loop.running:
            self._loop.stop()
        return self._round_over()

    def wake(self) -> None:
        """Begin a round now, or after the one under way."""
        if self._stopped:
            return
        if self._round is not None:
            self._again = True
            return
        self._again = False
        self._round = Deferred.fromCoroutine(self._go_round())
        self._round.addErrback(lambda failure: self._log.failure("a round of the reaper", failure))
        self._round.addCallback(self._round_ended)

    def _round_ended(self, _: None) -> None:
        self._round = None
        if self._again:
            self.wake()

    async def settle(self) -> None:
        """Go a round, and wait for its end."""
        self.wake()
        for _ in range(2):  # the one that was under way, and the one that it asked for
            await self._round_over()

    def _round_over(self) -> Deferred[None]:
        """Fires when the round under way has ended."""
        return settled([] if self._round is None else [self._round])

    async def _go_round(self) -> None:
        # Page by page, each upload once: those whose nodes are down now must not keep the others waiting.
        seen: set[str] = set()
        self._left = set()
        self._refused.clear()
        while page := await self._ledger.doomed(_PAGE, seen):
            seen.update(each.key for each in page)
            left = {each.key: each.upload for each in page if self._pins.hold(each)}
            self._left.update(left.values())
            await DeferredList([self._slots.run(self.reap, each) for each in page if each.key not in left])
            if self._stopped:
                return
        self.staying = dict(self._refused)

    def unpinned(self, upload: str) -> None:
        """Learn that a version is not being read any more where it was."""
        if upload in self._left:
            self.wake()

    def reap(self, doomed: Doomed) -> Deferred[None]:
        """Delete doomed parts now.

        :return: a Deferred that fires with None when every node was asked; it does not fail.
        """
        if doomed.key in self._busy:
            return Deferred.fromCoroutine(_nothing())
        self._busy.add(doomed.key)
        return Deferred.fromCoroutine(self._reap(doomed)).addBoth(self._reaped, doomed.key)

    def _reaped(self, result: Any, key: str) -> None:
        self._busy.discard(key)
        if result is not None:
            self._log.failure("reaping {key}", result, key=key)

    async def _reap(self, doomed: Doomed) -> None:
        # It may have waited for its turn while another one deleted it, and a part be there again since.
        if not await self._ledger.is_doomed(doomed):
            return
        results = await DeferredList(
            [Deferred.fromCoroutine(self._remove(node, part)) for node, part in doomed.holdings]
        )
        if all(gone for _, gone in results):
            self.reaped += 1
            try:
                await self._ledger.reaped(doomed)
            except CatalogReadOnly as problem:
                # After a restart they are asked for again and found gone: harmless.
                self._log.warn("reaped {key}: {problem}", key=doomed.key, problem=str(problem))

    async def _remove(self, node: str, part: str) -> bool:
        try:
            await self._registry.store(node).remove(part)
        except (StoragedError, FileUnavailable) as problem:
            self._refused[node] += 1
            self._log.info("part {part} stays on node {node} for now: {problem}", part=part, node=node, problem=problem)
            return False
        return True


async def _nothing() -> None:
    """Nothing to do: it is being done."""
