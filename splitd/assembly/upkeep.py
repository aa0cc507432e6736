"""The front's work in the background, as one group: what deletes, moves, rebuilds and checks parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred

from splitd.catalog.journalled import JournalledCatalog
from splitd.config import Config
from splitd.downloads.cache import VersionCache
from splitd.downloads.downloads import Downloads
from splitd.downloads.finding import Segmentation
from splitd.downloads.pins import Pins
from splitd.downloads.sources import Sources
from splitd.errors import FileDamaged
from splitd.model.manifest import Manifest
from splitd.model.room import Room
from splitd.model.traffic import Traffic
from splitd.nodes.reading import ReadPolicy
from splitd.nodes.registry import NodeRegistry
from splitd.upkeep.abandoned import AbandonedUploads
from splitd.upkeep.bin import BinUpkeep
from splitd.upkeep.check.check import Checks
from splitd.upkeep.heal.crew import Crew
from splitd.upkeep.heal.disks import DiskWatch
from splitd.upkeep.heal.healer import Healer
from splitd.upkeep.heal.leaving import LeavingNodes
from splitd.upkeep.heal.orders import StandingOrders
from splitd.upkeep.heal.rebuild import Rebuilder
from splitd.upkeep.lifecycle import Lifecycle
from splitd.upkeep.part_mover import PartMover
from splitd.upkeep.reaper import Reaper
from splitd.upkeep.rebalance import Rebalance
from splitd.upkeep.relayout import Relayout
from splitd.upkeep.rot import RotWatch
from splitd.upkeep.scrubs import Scrubs
from splitd.upkeep.sweep import Sweep
from splitd.upkeep.tasks import TaskNotes
from splitd.upkeep.walks import Walks
from splitd.uploads.aborts import LaterAborts
from storaged.system.clocks import WallClock


class Upkeep:
    """What keeps the stored files well, and removes what nobody needs.

    :param registry: the nodes; it tells the upkeep which of them recover.
    :param read_policy: which nodes are read first.
    :param run: runs a call in a thread.
    :param open_nodes: see `Relayout`.
    :param room: returns how full the store is; None if that is not known.
    :param has_workers: whether other processes serve the clients.  They may be reading what was deleted before this one
        was started, and pin it when they are let in.
    :param wall: tells the times that are stored.
    :ivar tasks: tells of the tasks of operators that ended with their front.
    :ivar walks: the states of the work that goes through the store in rounds.
    :ivar pins: the versions that are being read.
    :ivar segmentation: finds the segments of files.
    :ivar aborts: repeats aborts that the catalog has refused.
    """

    def __init__(
        self,
        config: Config,
        catalog: JournalledCatalog,
        registry: NodeRegistry,
        read_policy: ReadPolicy,
        run: Callable[[Callable[[], Any]], Deferred[Any]],
        open_nodes: Callable[[], int],
        reactor: Any,
        wall: WallClock,
        *,
        room: Callable[[], Awaitable[Room | None]],
        has_workers: bool = False,
    ) -> None:
        self._config = config
        self._catalog = catalog
        self._registry = registry
        self._read_policy = read_policy
        self._run = run
        self._reactor = reactor
        self._wall = wall
        self.pins = Pins()
        self.tasks = TaskNotes(catalog.documents, catalog.fronts, wall)
        walks = self.walks = Walks(catalog.leases, reactor, self.tasks)
        reaped = catalog.doomed_parts, registry, self.pins, reactor, config.reap_interval_s
        self.reaper = Reaper(*reaped, waits=has_workers)
        registry.watch_recoveries(self.reaper.recovered)
        self.sweep = self._make_sweep()
        self.mover = PartMover(catalog.part_moves, registry, self.reaper)
        self.segmentation = Segmentation(catalog.versions, reactor)
        self.rebalance = Rebalance(catalog, self.segmentation, self.mover, registry, self.reaper, reactor, wall, walks)
        self.abandoned = AbandonedUploads(
            catalog.continued, self.reaper.wake, config.continued_uploads_days, walks, wall
        )
        names = catalog, catalog.keys, catalog.namespace, catalog.continued
        self.lifecycle = Lifecycle(*names, self.reaper.wake, walks, wall)
        self.bin = BinUpkeep(catalog.bin, self.reaper.wake, config.bin.keep_days, room, walks, wall)
        self.healer = self._make_healer()
        registry.watch_recoveries(self.healer.recovered)
        self.disks = DiskWatch(catalog.disks, catalog.heal_ledger, registry, self.healer.wake, reactor, walks)
        self.aborts = LaterAborts(catalog.ledger, self.reaper.wake, reactor)
        self.checks = self._make_checks()
        self.rot = RotWatch(registry.rotten, registry, catalog.versions, self.healer.suspects.found, reactor, walks)
        self.scrubs = Scrubs(registry, reactor)
        files = catalog, catalog.namespace, catalog.layouts, self.segmentation
        self.relayout = Relayout(
            *files, config.cut(), open_nodes, self.reaper.wake, clock=reactor, wall=wall, walks=walks
        )

    def _make_sweep(self) -> Sweep:
        config = self._config
        return Sweep(
            self._catalog.ledger,
            self._registry,
            self.walks,
            self._wall,
            interval_s=config.sweep_interval_s,
            grace_s=config.sweep_grace_s,
            share=config.sweep_share,
            held=self.held,
        )

    def _make_healer(self) -> Healer:
        config, registry, reactor, run = self._config, self._registry, self._reactor, self._run
        # Its reads are none of the clients' downloads, and keep nothing in their cache.
        reads = Downloads(
            Sources(registry, self._read_policy, reactor, run),
            self.segmentation,
            self.pins,
            self.reaper.unpinned,
            VersionCache(0),
            Traffic(),
            small_part=int(config.small_part),
            found=self.found,
        )
        limit = float(int(config.heal_limit)) or None
        crew = Crew(self.mover, Rebuilder(reads.open, registry, run), registry, self._read_policy, reactor, limit)
        leaving = LeavingNodes(registry, reactor, config.heal_after_s)
        ledger, doomed = self._catalog.heal_ledger, self._catalog.doomed_parts
        orders = StandingOrders(self._catalog.documents)
        return Healer(ledger, doomed, crew, leaving, registry, self.reaper, reactor, self.walks, orders=orders)

    def _make_checks(self) -> Checks:
        return Checks(
            self._catalog,
            self._catalog,
            self._registry,
            self.segmentation,
            self.pins,
            self.reaper.unpinned,
            self._run,
            self.healer.suspects.found,
            clock=self._reactor,
        )

    def found(self, manifest: Manifest, index: int, problem: FileDamaged) -> None:
        """Have a part checked that a download has found missing or damaged."""
        self.healer.suspects.found(manifest, index, str(problem))

    def held(self) -> str:
        """Return why the sweep has to wait now; empty if it has not."""
        return self._catalog.held(self._wall.now_ms())

    async def start(self, enter: Callable[..., Awaitable[None]]) -> None:
        """Start what runs by itself but the reaper, and have everything stopped in the reverse order.

        :param enter: starts a stage; see `Stages.enter`.
        """
        await enter(_nothing, self.reaper.stop)
        await enter(self.healer.start, self.healer.stop)
        await enter(self.disks.start, self.disks.stop)
        await enter(self.sweep.start, self.sweep.stop)
        await enter(self.rot.start, self.rot.stop)
        await enter(self.abandoned.start, self.abandoned.stop)
        await enter(self.lifecycle.start, self.lifecycle.stop)
        await enter(self.bin.start, self.bin.stop)
        await enter(_nothing, self.rebalance.stop)
        await enter(_nothing, self.checks.stop)
        await enter(_nothing, self.relayout.stop)
        await enter(_nothing, self.aborts.stop)
        await enter(_nothing, self.tasks.close)


def _nothing() -> None:
    """Start nothing: these only have something to stop."""
