"""Deletes doomed parts: those of aborted uploads, of deleted or replaced files, and old copies of moved parts."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.downloads.pins import Pins
from splitd.errors import CatalogReadOnly
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.parts import IDoomedParts
from splitd.interfaces.upkeep import IReaper
from splitd.model.manifest import Manifest
from splitd.upkeep.node_reaper import NodeReaper
from storaged.system.parallel import settled
from storaged.system.periodic import Periodic


@implementer(IReaper)
class Reaper:
    """Looks for doomed parts at start, periodically, and when woken.

    Each node has a `NodeReaper` of its own, so a node that does not answer does not delay the deletions on other nodes.

    :param pins: versions that are being read; their parts are not deleted yet.
    :param clock: measures time, and calls later.
    :param interval_s: seconds between two searches; also the longest pause after a node's failure.
    :param waits: whether nothing is deleted before `start`, because what is being read is not known before.
    """

    _log = Logger()

    def __init__(
        self,
        doomed: IDoomedParts,
        registry: INodeRegistry,
        pins: Pins,
        clock: Any,
        interval_s: float,
        *,
        waits: bool = False,
    ) -> None:
        self._doomed = doomed
        self._registry = registry
        self._pins = pins
        self._clock = clock
        self._interval_s = interval_s
        self._nodes: dict[str, NodeReaper] = {}
        self._looking: Deferred[None] | None = None
        self._again = False
        self._stopped = False
        self._waits = waits
        self._looks = Periodic(self.wake, interval_s, clock, "looking for parts to delete")

    @property
    def staying(self) -> dict[str, int]:
        """How many doomed parts remain on each node that fails to delete them, counted when it last failed."""
        return {node: reaper.staying for node, reaper in self._nodes.items() if reaper.failing and reaper.staying}

    def start(self) -> None:
        """Look for doomed parts now, and then periodically."""
        self._waits = False
        self._looks.start(0)

    def stop(self) -> Deferred[None]:
        """Stop deleting, without waiting for any node.

        :return: a Deferred that fires with None when the deletions that nodes have confirmed are recorded.
        """
        self._stopped = True
        self._looks.stop()
        if self._looking is not None:
            self._looking.cancel()
        return settled([reaper.stop() for reaper in self._nodes.values()])

    def wake(self) -> None:
        """Look for doomed parts now, or after the search in progress; see `IReaper.wake`."""
        if self._stopped or self._waits:
            return
        if self._looking is not None:
            self._again = True
            return
        self._again = False
        looking = self._looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(self._look_failed)
        looking.addCallback(self._looked)

    async def _look(self) -> None:
        for node in await self._doomed.doomed_nodes():
            if node not in self._nodes:
                self._nodes[node] = NodeReaper(
                    node, self._doomed, self._registry, self._pins, self._clock, self._interval_s
                )
            self._nodes[node].wake()

    def _look_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError, CatalogReadOnly):  # the next search may find the catalog again
            self._log.failure("looking for parts to delete", failure)

    def _looked(self, _: None) -> None:
        self._looking = None
        if self._again:
            self.wake()

    async def settle(self) -> None:
        """Wait until all parts that are doomed now are deleted, except those that are being read and those on nodes
        that fail.
        """
        self.wake()
        while self._looking is not None:
            await settled([self._looking])
        await settled([reaper.idle() for reaper in self._nodes.values()])

    def recovered(self, node: str) -> None:
        """Take note that a node is healthy again: its pause after failures ends.

        :param node: its id.
        """
        if node in self._nodes:
            self._nodes[node].recovered()

    def unpinned(self, version: Manifest) -> None:
        """Take note that a version is no longer pinned to the nodes on which it was read."""
        for reaper in self._nodes.values():
            reaper.unpinned(version)
