"""Nodes that answer with another disk than before: their parts are looked for, and those that are gone are healed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import CatalogReadOnly, DoneElsewhere, SplitdError
from splitd.interfaces.disks import IDisks
from splitd.interfaces.heal import IHealLedger
from splitd.nodes.registry import NodeRegistry
from splitd.upkeep.heal.pauses import Pauses
from splitd.upkeep.walks import Walks
from storaged.parts.errors import NodeUnavailable, PartMissing, StoragedError
from storaged.parts.format import PartId
from storaged.system.parallel import settled

_LOOK_S = 1.0
_FIRST_PAUSE_S = 1.0
_PAGE = 200
"""How many parts a node is asked for at once; see `storaged.parts.wire.LOOK_LIMIT`."""


@attrs.define
class DiskCheck:
    """The search for the parts of a node on a disk that it did not have before.

    :param disk: the id of the disk.
    :param known: whether another disk was known before, which this one has replaced.
    :param looked: how many parts were looked for.
    :param missing: how many of them are not there.
    :param kept: how many of the missing ones stay placed there, because their files have no part to spare: they are
        readable again if the old disk comes back.
    """

    disk: str
    known: bool
    looked: int = 0
    missing: int = 0
    kept: int = 0

    def tell(self, node: str) -> str:
        """Say what was found, for an operator."""
        kept = f", of which {self.kept} cannot be rebuilt without the old disk" if self.kept else ""
        return (
            f"node {node} has another disk than before: {self.missing} of {self.looked} parts that were looked for "
            f"are not there{kept}"
        )


class DiskWatch:
    """Compares the disk of each node with the one on which its parts were last looked for.

    A node that gets an empty disk, and starts again under its old id, looks healthy: it answers, and takes parts.  All
    that it held is gone.  So whenever a node has another disk than before, all parts that are placed there are looked
    for, and those that are missing are recorded as lost, which makes the heal rebuild them.  Nothing is lost on the
    word of an id alone: a disk that holds the parts, such as a copy of the old one, is simply taken note of.

    All follows from the catalog and what the nodes say.  So a check may be cut off at any moment, and begins anew.

    :param lost: called after parts were recorded as lost.
    :param clock: measures the pauses after checks that failed.
    :ivar checks: the checks in progress, and those that found missing parts, by the nodes' ids.
    """

    _log = Logger()

    def __init__(
        self,
        disks: IDisks,
        ledger: IHealLedger,
        registry: NodeRegistry,
        lost: Callable[[], object],
        clock: Any,
        walks: Walks,
    ) -> None:
        self._disks = disks
        self._ledger = ledger
        self._registry = registry
        self._lost = lost
        self._pauses = Pauses(clock)
        self._running: dict[str, Deferred[None]] = {}
        self._stopped = False
        self._walk = walks.walk("comparing the disks of nodes", self._look, _LOOK_S)
        self.checks: dict[str, DiskCheck] = {}

    def start(self) -> None:
        """Compare periodically from now on, and at once again when a node recovers after a check that failed."""
        self._registry.watch_recoveries(self._pauses.ended)
        self._walk.start(0)

    def stop(self) -> Deferred[None]:
        """End the checks.

        :return: a Deferred that fires with None when none is in progress.
        """
        self._stopped = True
        ended = settled([self._walk.stop(), *self._running.values()])
        for running in list(self._running.values()):
            running.cancel()
        return ended

    def warnings(self) -> list[str]:
        """Tell of the nodes with another disk than before, or without parts that should be there."""
        return [check.tell(node) for node, check in self.checks.items() if check.known or check.missing]

    def look(self) -> Deferred[None]:
        """Begin to check the nodes that have another disk than before.

        :return: a Deferred that fires with None when the checks have begun; it waits for none of them.
        """
        return self._walk.look()

    async def _look(self) -> None:
        checked = await self._disks.checked_disks()
        for node in self._registry.nodes():
            name, disk = node.entry.id, node.disk
            if not disk or disk == checked.get(name) or not node.health.usable or self._stopped:
                continue
            if name not in self._running and not self._pauses.holds(name):
                self._begin(name, DiskCheck(disk, known=name in checked))

    def _begin(self, node: str, check: DiskCheck) -> None:
        self.checks[node] = check
        if check.known:
            self._log.warn("node {node} has another disk than before: its parts are looked for", node=node)
        running = self._running[node] = Deferred.fromCoroutine(self._check(node, check))

        def ended(_: None) -> None:
            del self._running[node]

        running.addErrback(self._failed, node)
        running.addCallback(ended)

    def _failed(self, failure: Failure, node: str) -> None:
        if failure.check(DoneElsewhere):
            del self.checks[node]  # the front that does it now tells of it
        if failure.check(CancelledError, DoneElsewhere):
            return
        self._pauses.failed(node, _FIRST_PAUSE_S)
        if failure.check(StoragedError, SplitdError):
            if not failure.check(CatalogReadOnly):
                self._log.info("the parts of node {node} cannot be looked for now: {problem}",
                               node=node, problem=str(failure.value))  # fmt: skip
        else:
            self._log.failure("looking for the parts of node {node}", failure, node=node)

    async def _check(self, node: str, check: DiskCheck) -> None:
        cursor, more = "", bool((await self._ledger.parts_on()).get(node))
        while more:
            page = await self._ledger.placed_on(node, cursor, _PAGE)
            parts = [PartId(each.upload, each.nodes.index(node)) for each in page.versions if node in each.nodes]
            if parts:
                await self._look_for(node, parts, check)
            cursor, more = page.cursor, bool(page.cursor)
            await self._walk.step()
        if all(each.disk == check.disk for each in self._registry.nodes() if each.entry.id == node):
            await self._disks.disk_checked(node, check.disk)
            self._pauses.ended(node)
        # What is missing stays in sight until the node has another disk, or the front is restarted.
        if check.missing:
            self._log.warn("node {node} does not hold {missing} of {looked} parts: it has another disk than before",
                           node=node, missing=check.missing, looked=check.looked)  # fmt: skip
        else:
            del self.checks[node]

    async def _look_for(self, node: str, parts: list[PartId], check: DiskCheck) -> None:
        looks = await self._registry.store(node).look_all([str(part) for part in parts])
        gone = [part for part, look in zip(parts, looks, strict=True) if isinstance(look, PartMissing)]
        for look in looks:
            if isinstance(look, NodeUnavailable):  # its disk fails: this says nothing of where the part is
                raise look
        check.looked += len(parts)
        if gone:
            reason = "it is not on the disk that the node has now"
            # Without a part to spare the file would be unreadable for good, even if the old disk came back.
            await self._walk.confirm()
            lost = await self._ledger.lose(node, gone, reason, remains=False, if_spare=True)
            check.missing += len(gone)
            check.kept += len(gone) - lost
            self._lost()
