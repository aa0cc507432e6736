"""Heals versions of which parts are missing, and empties nodes that are lost, away for long, or draining."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import CatalogReadOnly, DoneElsewhere, NotEnoughNodes
from splitd.interfaces.heal import IHealLedger
from splitd.interfaces.leases import UPKEEP
from splitd.interfaces.parts import IDoomedParts
from splitd.interfaces.upkeep import IReaper
from splitd.model.manifest import Manifest
from splitd.nodes.registry import NodeRegistry
from splitd.upkeep.heal.crew import Crew
from splitd.upkeep.heal.leaving import AWAY, LOST, LeavingNode, LeavingNodes
from splitd.upkeep.heal.orders import Orders, StandingOrders
from splitd.upkeep.heal.report import HealReport, name_state
from splitd.upkeep.heal.suspects import Suspects
from splitd.upkeep.walks import Walks
from storaged.parts.format import PartId, stored_size
from storaged.system.parallel import lasting, settled
from storaged.system.periodic import Periodic

_LOOK_S = 1.0
"""How often the healer looks at the nodes and at its orders, and tries again what could not be healed."""

_PAGE = 50
_LOST_PAGE = 200
_DOOMED_PAGE = 1000

_COUNT_PAGE = 500
_COUNT_EVERY_S = 60.0
"""How often the bytes on a node that parts must leave are counted: that looks at all versions."""

_MOST_STUCK = 1000
"""After so many versions that cannot be healed now, a pass ends, and the next one looks at others, too."""


class Healer:
    """Works through the catalog's queue of hurt versions, and through the parts on nodes that they must leave.

    All that it does follows from the catalog and the registry.  So it may be stopped, and the front may end, at any
    moment.

    :param crew: does the work on single versions.
    :param reaper: deletes what remains of damaged parts.
    :param clock: calls later.
    :param orders: those of operators, which all fronts keep to.
    :ivar suspects: takes reports of parts that are missing or damaged: an `IFindings`.
    """

    _log = Logger()

    def __init__(
        self,
        ledger: IHealLedger,
        doomed: IDoomedParts,
        crew: Crew,
        leaving: LeavingNodes,
        registry: NodeRegistry,
        reaper: IReaper,
        clock: Any,
        walks: Walks,
        *,
        orders: StandingOrders,
    ) -> None:
        self._standing = orders
        self._orders = Orders()
        self._usual_limit = crew.limit
        self._lease = walks.lease(UPKEEP)
        self._reaper = reaper
        self._ledger = ledger
        self._doomed = doomed
        self._crew = crew
        self._leaving = leaving
        self.suspects = Suspects(ledger, registry, self._lost)
        self._registry = registry
        self._clock = clock
        self._pass: Deferred[None] | None = None
        self._again = False
        self._stopped = False
        self._blocked = ""
        self._reached = ""
        self._emptied: dict[tuple[str, int], str] = {}
        self._counted: dict[str, _Counted] = {}
        self._looks = Periodic(self._look, _LOOK_S, clock, "looking for what is to be healed")

    def start(self) -> None:
        """Begin."""
        self._looks.start(0)

    def stop(self) -> Deferred[None]:
        """Stop, and discard what is half done.

        :return: a Deferred that fires with None when all has ended.
        """
        self._stopped = True
        ended = settled([self._looks.stop(), self.suspects.stop(), *([] if self._pass is None else [self._pass])])
        if self._pass is not None:
            self._pass.cancel()
        return ended.addCallback(lambda _: self._crew.stop())

    @property
    def paused(self) -> bool:
        """Whether an operator has paused it, as far as this front has seen."""
        return self._orders.paused

    def pause(self) -> Deferred[None]:
        """Let no front rebuild or move anything until `resume`, also after a restart.

        :return: a Deferred that fires with None when that is durable, and this front rebuilds and moves nothing any
            more.  Another front ends what it does within seconds.  Cancelling it only ends the wait: the heal is paused
            in any case.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        return lasting(Deferred.fromCoroutine(self._pause()))

    async def _pause(self) -> None:
        self._keep_to(await self._standing.pause(paused=True))
        await self._halt()

    def _halt(self) -> Deferred[None]:
        """Discard what is half done."""
        if self._pass is None:
            return self._crew.stop()
        ended = settled([self._pass])
        self._pass.cancel()
        return ended.addCallback(lambda _: self._crew.stop())

    async def resume(self) -> None:
        """Let fronts go on after `pause`.  This changes nothing if the heal was not paused.

        :raise CatalogReadOnly: the catalog cannot be written.
        """
        self._keep_to(await self._standing.pause(paused=False))
        self.wake()

    def _keep_to(self, orders: Orders) -> None:
        self._crew.set_limit(orders.limit_or(self._usual_limit))
        self._orders = orders

    async def _look(self) -> None:
        """Begin a pass, or look whether the one in progress may go on: another front may have got new orders."""
        if self._pass is not None or self._crew.busy:
            try:
                self._keep_to(await self._standing.find())
            except CatalogReadOnly:
                return  # what is in progress fails for the same reason, or needs nothing of the catalog now
            if self.paused:
                await self._halt()
                return
        self.wake()

    def wake(self) -> None:
        """Look soon for what is to be healed.  This returns at once."""
        if self._stopped:
            return
        if self._pass is not None:
            self._again = True
            return
        self._again = False
        self._pass = Deferred.fromCoroutine(self._heal())
        self._pass.addErrback(self._failed)
        self._pass.addCallback(self._ended)

    def _lost(self) -> None:
        self._reaper.wake()  # the remains may be in the way of the part that is rebuilt
        self.wake()

    def recovered(self, _: str) -> None:
        """Take note that a node can be used again: what could not be healed may be possible now."""
        self._crew.pauses.clear()
        self.wake()

    def _failed(self, failure: Failure) -> None:
        if failure.check(DoneElsewhere):
            self._crew.stop()  # another front heals
        elif not failure.check(CancelledError, CatalogReadOnly):
            self._log.failure("healing", failure)

    def _ended(self, _: None) -> None:
        self._pass = None
        if self._again:
            self.wake()

    async def _heal(self) -> None:
        """Do one pass over all that is to be healed: begin what can be begun.

        :raise DoneElsewhere: another front heals.
        """
        await self._crew.end_unended()
        await self._lease.confirm()
        self._keep_to(await self._standing.find())
        if self.paused:
            return
        leaving = self._leaving.look()
        for node in [node for node, why in leaving.items() if why == LOST]:
            await self._lose(node)
        self._blocked = ""
        await self._heal_hurt(leaving)
        placed = await self._ledger.parts_on()
        emptying = [node for node, why in leaving.items() if why != LOST and placed.get(node)]
        for node in emptying:
            await self._count(node, placed[node])
        for node in emptying:
            await self._empty(node)

    async def _count(self, node: str, parts: int) -> None:
        """Count the stored bytes of the parts on a node, unless that was done just before."""
        before, now = self._counted.get(node), self._clock.seconds()
        if before is not None and now - before.at < _COUNT_EVERY_S:
            return
        size, cursor, more = 0, "", True
        while more:
            page = await self._ledger.placed_on(node, cursor, _COUNT_PAGE)
            for each in page.versions:
                if node in each.nodes:
                    size += stored_size(each.part_size(each.nodes.index(node)), each.unit)
            cursor, more = page.cursor, bool(page.cursor)
            await self._breathe()
        self._counted[node] = _Counted(now, parts, size)

    async def _lose(self, node: str) -> None:
        """Turn all parts of a lost node into missing ones, and forget those that were to be deleted there."""
        if node not in await self._ledger.lost_nodes():
            await self._ledger.lose_node(node)
        if (await self._ledger.parts_on()).get(node):
            cursor, more = "", True
            while more:
                page = await self._ledger.placed_on(node, cursor, _LOST_PAGE)
                parts = [PartId(each.upload, each.nodes.index(node)) for each in page.versions]
                await self._lease.confirm()
                await self._ledger.lose(node, parts, "the node is lost", remains=False)
                cursor, more = page.cursor, bool(page.cursor)
        if node in await self._doomed.doomed_nodes():
            while (gone := await self._doomed.doomed_on(node, "", _DOOMED_PAGE)).parts:
                await self._doomed.gone(node, gone.parts)

    async def _heal_hurt(self, leaving: dict[str, str]) -> None:
        """Rebuild the missing parts of all versions, the most endangered first."""
        reached = await self._heal_from("", leaving)
        # Beyond so many that cannot be healed now there may be others that can: each pass looks at more of them.
        self._reached = reached and await self._heal_from(self._reached or reached, leaving)

    async def _heal_from(self, cursor: str, leaving: dict[str, str]) -> str:
        """Rebuild the missing parts of the versions from one on, until too many cannot be healed now.

        :param cursor: that of the first page; see `IHealLedger.hurt`.
        :return: the cursor behind the last version that was looked at; "" if that was the last one.
        """
        unread = {node for node, why in leaving.items() if why == AWAY}
        stuck = 0
        while True:
            page = await self._ledger.hurt(cursor, _PAGE)
            for version in page.versions:
                if version.spare < 0:
                    return ""  # and so are all that follow
                if not self._crew.may_begin(version):
                    continue
                can_spare = version.spare_without(unread) >= 0
                begun = self._crew.rebuild(version, version.missing, unread if can_spare else set())
                stuck += not await self._is_possible(version, begun)
            if not page.cursor or stuck >= _MOST_STUCK:
                return page.cursor
            await self._breathe()
            # Versions that became more endangered meanwhile come first.
            cursor, self._again = ("", False) if self._again else (page.cursor, False)

    async def _is_possible(self, version: Manifest, begun: Coroutine[Any, Any, None]) -> bool:
        """Begin to heal a version, or note why that is not possible now."""
        width, takers = version.layout.width, [node.entry.id for node in self._registry.nodes() if node.takes_parts]
        too_few = f"{width} nodes are needed for files of layout {version.layout}, {len(takers)} can take parts"
        if all(node in version.nodes for node in takers):
            begun.close()
            self._blocked = too_few
            return False
        try:
            await begun
        except NotEnoughNodes as problem:
            self._blocked = str(problem) if len(takers) >= width else too_few
            return False
        return True

    async def _empty(self, node: str) -> None:
        """Have all parts of a node elsewhere, those of the most endangered versions first."""
        for spare in self._spares():
            # Where the last pass met too many that cannot be moved now, this one goes on.
            cursor, stuck, more = self._emptied.pop((node, spare), ""), 0, True
            while more and stuck < _MOST_STUCK:
                page = await self._ledger.placed_on(node, cursor, _PAGE)
                for version in page.versions:
                    leaving = self._leaving.look()
                    if node not in leaving:
                        return  # it has come back, or shall stay
                    away = {name for name, why in leaving.items() if why == AWAY}
                    if self._crew.may_begin(version) and version.spare_without(away) <= spare:
                        stuck += not await self._empty_of(node, version, away)
                if self._again:
                    self._again = False
                    await self._heal_hurt(self._leaving.look())
                cursor, more = page.cursor, bool(page.cursor)
                await self._breathe()
            if more:
                self._emptied[node, spare] = cursor

    async def _breathe(self) -> None:
        """Let other work of the reactor run, and make sure that this front still heals."""
        await deferLater(self._clock, 0, lambda: None)
        await self._lease.confirm()

    def _spares(self) -> list[int]:
        """Return the numbers of spare parts up to which versions are handled, pass by pass."""
        away = sum(why == AWAY for why in self._leaving.look().values())
        return [*range(away - 1), 1000] if away > 1 else [1000]

    async def _empty_of(self, node: str, version: Manifest, away: set[str]) -> bool:
        """Begin to have a part of a version elsewhere.

        :return: whether it was begun, or need not or cannot ever be.
        """
        index = version.nodes.index(node)
        if node not in away:
            return await self._is_possible(version, self._crew.move(version, index))
        if version.spare_without(away) < 0:
            return True
        return await self._is_possible(version, self._crew.rebuild(version, [index], away))

    async def set_limit(self, limit: float | None) -> None:
        """Change the limit of all fronts, also after a restart.

        :param limit: bytes of stored parts per second; 0 for no limit, None for the one in the settings.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        self._keep_to(await self._standing.limit(limit))

    def _describe(self, node: str, why: str, parts: int, rate: float) -> LeavingNode:
        counted = self._counted.get(node)
        if counted is None:
            return LeavingNode(node, why, parts)
        # Between two counts, the parts that are left are taken to be as large as those that have gone.
        size = round(counted.size * min(1.0, parts / counted.parts))
        return LeavingNode(node, why, parts, size, size / rate if rate else None)

    async def report(self) -> HealReport:
        """Return the state of the heal."""
        self._keep_to(await self._standing.find())
        crew, counts, placed = self._crew, await self._ledger.hurt_counts(), await self._ledger.parts_on()
        rate = crew.rate.now()
        leaving = [
            self._describe(node, why, placed[node], rate)
            for node, why in self._leaving.look().items()
            if placed.get(node)
        ]
        unreadable = sum(count for spare, count in counts.versions.items() if spare < 0)
        pending = bool(leaving) or len(counts.versions) > sum(spare < 0 for spare in counts.versions)
        state = (
            "paused" if self.paused else name_state(pending and self._blocked, is_busy=crew.busy, is_pending=pending)
        )
        sizes = [node.bytes for node in leaving]
        left = None if None in sizes else counts.bytes + sum(size or 0 for size in sizes)
        return HealReport(
            state=state,
            versions=dict(counts.versions),
            parts=counts.parts,
            bytes=counts.bytes,
            unreadable=unreadable,
            leaving=leaving,
            healed_parts=crew.rate.parts,
            healed_bytes=crew.rate.bytes,
            failed=crew.failed,
            confirmed=self.suspects.confirmed,
            rate=rate,
            limit=crew.limit,
            seconds_left=left / rate if rate and pending and left is not None else None,
            problem=self._blocked if pending else "",
        )


@attrs.frozen
class _Counted:
    """The parts on a node, as they were counted last.

    :param at: when that was, on the clock.
    :param size: their stored bytes.
    """

    at: float
    parts: int
    size: int
