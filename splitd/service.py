"""Builds the front from its parts.  `Front`, read from top to bottom, shows the whole daemon."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.access.entries import UsersEntries, read_users
from splitd.access.key_file import parse_key_file
from splitd.access.secrets import Seal
from splitd.assembly.catalogs import address_of, make_catalog, make_journal
from splitd.assembly.clients import Clients, make_observing
from splitd.assembly.process import FrontProcess, nothing
from splitd.assembly.seams import Seams, Tending
from splitd.assembly.stores import make_policy
from splitd.assembly.upkeep import Upkeep
from splitd.capacity import Capacity
from splitd.catalog.backup import encode_backup
from splitd.config import Config, Options
from splitd.errors import CatalogReadOnly, FilesRefused, RegistryRefused, UsersInvalid, UsersRefused
from splitd.frontends.admin import actions, layouts, losses
from splitd.frontends.admin.action_reports import ReloadReport
from splitd.frontends.admin.actions import Action
from splitd.frontends.admin.backups import Backups, backup
from splitd.frontends.admin.checking import check
from splitd.frontends.admin.layouts import Layouts
from splitd.frontends.admin.quotas import LimitsStatus
from splitd.frontends.admin.reports import StatusReport, SweepReport, report_sweep
from splitd.frontends.admin.resource import AdminResource
from splitd.frontends.admin.status import Status
from splitd.frontends.console.building import History, Operating
from splitd.model.nodes import NodeEntry, RegistryInvalid, refuse_found, refuse_missing
from splitd.model.striping import Layout
from splitd.nodes.entries import read_registry
from splitd.nodes.file import RegistryFile
from splitd.nodes.probe import Found, probe
from splitd.nodes.registry import NodeRegistry
from splitd.nodes.state import NodeStatus
from splitd.upkeep.rebalance import TARGET
from splitd.workers.counters import Counters, no_counters
from splitd.workers.front import WorkerFront
from splitd.workers.head import Head
from splitd.workers.keeping import Keeping
from splitd.workers.post import Post, take_post
from storaged.http.handover import Handover
from storaged.parts.proofs import ClusterKeys
from storaged.system.allocator import keep_for_ever
from storaged.system.clocks import WallClock, measure_monotonically
from storaged.system.cores import usable_cores
from storaged.system.daemon import Daemon, IServer
from storaged.system.descriptors import Descriptors, raise_limit
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFilesystem
from storaged.system.settings import SettingsError, read_cluster_keys, read_text
from storaged.system.stages import Stages

if TYPE_CHECKING:
    from splitd.tracing import Tracing


@implementer(IServer)
class Front:
    """The front, from its journal to its listening ports.

    :param entries: the registered nodes.
    :param key: the cluster key, or the valid ones.
    :param filesystem: the file system that the journal is written to.
    :param reactor: runs the daemon, and measures spans of time; setting the wall clock does not affect it.
    :param wall: tells the times that are shown or stored.
    :param descriptors: bound how many clients are served at once.
    :param users: what the file of the users says; None if the settings name none.
    :param s3_key: the id and the secret of the only key for S3 if there are no users; None for none.
    :param tracing: traces what requests do; None for no traces.
    :param handover: passes the listening sockets on from program to program; None if nothing does.
    :param post: what it shares with workers, which serve the clients in its place; None if it serves them.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        entries: tuple[NodeEntry, ...],
        key: str | ClusterKeys,
        filesystem: IFilesystem,
        reactor: Any,
        wall: WallClock,
        descriptors: Descriptors,
        users: UsersEntries | None = None,
        *,
        s3_key: tuple[str, str] | None = None,
        handover: Handover | None = None,
        tracing: Tracing | None = None,
        post: Post | None = None,
    ) -> None:
        self._config = config
        self._reactor, self._wall = reactor, wall
        keys = ClusterKeys([key]) if isinstance(key, str) else key
        process = self._process = FrontProcess(
            config,
            keys,
            reactor,
            wall,
            descriptors,
            cluster=lambda: self._status.cluster,
            epoch=self._present_epoch,
            handover=handover,
            tracing=tracing,
        )
        run = process.in_thread
        self._takeover, self._journal = make_journal(config, filesystem, run, self._registered, process.pool, reactor)
        self._backups = Backups(partial(self._encode_backup, filesystem))
        journal = self._journal if tracing is None else tracing.journal(self._journal)
        changed = no_counters if post is None else Counters(post.counters).changed
        address = address_of(config.listen, socket.gethostname())
        made = make_catalog(config.catalog, self._journal, journal, wall, reactor, changed, address)
        self.catalog, self._shown_journal, epoch = made
        self._epoch = epoch or self._takeover.epoch
        registry = self.registry = NodeRegistry(entries, process.connect, reactor)
        self.read_policy = make_policy(process, registry.is_usable, registry.suspect)
        registry.watch_recoveries(self.read_policy.recovered)
        self._registry_file = RegistryFile(config.registry, registry, run, reactor, wall)
        seams, layout = Seams.of(self.catalog), config.cut()
        named = self.catalog, self.catalog.namespace
        self._capacity = capacity = Capacity(*named, registry, layout, descriptors, self.catalog.quotas)
        more = registry, self.read_policy, run, capacity.open_nodes, reactor, wall
        self.upkeep = Upkeep(config, self.catalog, *more, room=capacity.known_room, has_workers=post is not None)
        self.catalog.watch_reads(self.upkeep.pins.uploads)
        self._history = History(self._report, self._totals, reactor, wall)
        self._closed, self._offered = "the front has not started yet", dict[str, Action]()
        operating = Operating(self._report, lambda: self._offered, lambda: self._closed, self._history)
        self.clients = self._make_clients(seams, users, s3_key, operating)
        self.access, self.store, self.endpoints = self.clients.access, self.clients.store, self.clients.endpoints
        self._layouts = Layouts(self.catalog.namespace, layout, capacity.open_nodes, self._widen)
        self._status = self._make_status(layout)
        kept = seams, self.upkeep, registry, self._epoch, self._status, operating
        note = self.access.note_attempt
        self._keeping = None if post is None else Keeping(post, *kept, note_attempt=note, reactor=reactor)
        self._stages = Stages()

    def _make_clients(
        self, seams: Seams, users: UsersEntries | None, s3_key: tuple[str, str] | None, operating: Operating
    ) -> Clients:
        shared = self.registry, self.read_policy, self._capacity
        return Clients(
            self._process,
            seams,
            Tending.of(self.upkeep, is_near=self._config.keeps_journal),
            *shared,
            users,
            s3_key,
            observing=make_observing(self._process),
            operating=operating,
            tell_attempt=self._tell_attempt,
        )

    def _make_status(self, layout: Layout) -> Status:
        config, upkeep, clients, process = self._config, self.upkeep, self.clients, self._process
        return Status(
            self.catalog,
            self.catalog.fronts,
            self._shown_journal,
            self.registry,
            self._registry_file,
            self.access.users,
            LimitsStatus(
                config.limits,
                self.access.limiting,
                self.access.requests,
                lambda: self.endpoints.refused_connections,
            ),
            self.catalog.quotas,
            upkeep.rebalance,
            upkeep.healer,
            *(upkeep.disks, upkeep.scrubs, upkeep.walks, upkeep.tasks),
            self.read_policy,
            upkeep.relayout,
            upkeep.lifecycle,
            upkeep.bin,
            clients.traffic,
            upkeep.reaper,
            upkeep.sweep,
            upkeep.held,
            clients.cache,
            layout,
            layout.data + min(config.spare_parts(), layout.parity),
            self.endpoints.site,
            clients.observing,
            process.descriptors,
            process.certificates,
            self._reactor.seconds(),
            self._reactor,
            self._wall,
        )

    def _present_epoch(self) -> int:
        return self._epoch()

    def _registered(self) -> Sequence[NodeStatus]:
        return self.registry.nodes()

    def _encode_backup(self, filesystem: IFilesystem) -> Generator[bytes, None, None]:
        return encode_backup(filesystem, self._journal.folder, self._wall.now_ms(), self._takeover.epoch())

    async def _widen(self) -> None:
        """Serve fewer clients at once if a file has more parts, or may get more, than files had before."""
        self.endpoints.limit_connections(await self._capacity.clients_now())

    async def _run_sweep(self, dry_run: bool, share: float | None) -> SweepReport:
        return report_sweep(await self.upkeep.sweep.run(dry_run=dry_run, share=share))

    async def _report(self) -> StatusReport:
        return await (self._keeping or self._status).report()

    def _tell_attempt(self, *happened: str | int) -> None:
        if self._keeping is not None:
            self._keeping.tell_attempt(*happened)

    def _totals(self) -> tuple[int, int]:
        return (self._keeping or self.clients.observing).totals()

    async def _reload(self) -> ReloadReport:
        problems = await self._process.own_files.load()
        try:
            change = await self._registry_file.reload()
        finally:  # one file that cannot be used does not hold up the others
            try:
                await self.clients.reload()
            finally:
                if self._keeping is not None:
                    await self._keeping.reload()
        if problems:
            raise FilesRefused("; ".join(problems))
        users = self.access.users
        count = None if users is None else users.count
        return ReloadReport(len(self.registry.nodes()), change.added, change.moved, change.changed, count)

    async def _probe(self, node_id: str, url: str) -> Found:
        return await probe(node_id, url, self.registry, self._process.look_first, self._status.cluster)

    def hang_up(self) -> Deferred[None]:
        """Read the registry, the users, the certificates and the cluster keys again; the daemon does this on SIGHUP."""
        return Deferred.fromCoroutine(self._reload()).addCallbacks(lambda _: None, self._not_reloaded)

    def _not_reloaded(self, failure: Failure) -> None:
        if not failure.check(RegistryRefused, FilesRefused, UsersRefused):  # which are logged already
            self._log.failure("reading the files again", failure)

    def start(self) -> Deferred[None]:
        """Start to serve; see `IServer.start`.

        :raise RegistryInvalid: the registry lacks a node that holds parts, or a lost node is not lost in it any more.
        :raise SettingsError: an endpoint of the settings cannot be listened on.
        """
        return self._stages.start(self._start)

    async def _start(self) -> None:
        enter, process = self._stages.enter, self._process
        await process.start(enter)
        await self.clients.prepare(enter)
        await enter(self._serve_operators, self.endpoints.end_operators)
        await enter(self.catalog.start, self.catalog.close, interrupt=self.catalog.interrupt)
        await self.clients.limit(enter)
        if self._config.keeps_journal:
            await enter(lambda: self._takeover.opened(self._journal.statistics.records))
        await enter(self._abort_abandoned)
        await enter(self._refuse_missing_nodes)
        await self._widen()
        self._status.cluster = await self.catalog.cluster()
        keep_for_ever()  # the catalog has many objects, and none of them is garbage
        await enter(nothing, process.connections.close)
        await enter(self.registry.start, self.registry.stop, interrupt=self.registry.stop)
        await enter(self._takeover.start, self._takeover.stop)
        await enter(self._registry_file.start, self._registry_file.stop)
        await self.upkeep.start(enter)
        await enter(nothing, self.clients.abort_uploads)
        await enter(self._history.start, self._history.stop)
        if self._keeping is None:
            await enter(self.endpoints.serve_clients, self.endpoints.end_clients)
        else:
            await self.endpoints.watch_certificates()  # for the status, and to refuse them at a reload
            await enter(self._keeping.start, self._keeping.stop, interrupt=self._keeping.stop)
        await enter(self.upkeep.reaper.start)  # what the workers read is pinned now
        self._closed, self._status.starting = "", False
        self._log.info(
            "cluster {cluster} is served at {endpoint}", cluster=self._status.cluster, endpoint=self._config.listen
        )

    async def _abort_abandoned(self) -> None:
        try:
            count = await self.catalog.ledger.abort_abandoned()
        except CatalogReadOnly as problem:
            self._log.error("uploads and moves of before the restart cannot be aborted: {reason}", reason=problem)
        else:
            self._log.info("{count} uploads and moves of before the restart aborted", count=count)

    async def _serve_operators(self) -> None:
        self._offered = offered = {
            "/reload": actions.reload(self._reload),
            "/probe": actions.probe(self._probe),
            "/layout": layouts.layout(self._layouts),
            "/layout/apply": layouts.relayout(self.upkeep.relayout, self.upkeep.tasks.settle),
            "/loss": losses.loss(losses.Losses(self.catalog.heal_ledger, self.registry, self._reactor)),
            "/heal": actions.heal(self.upkeep.healer),
            "/scrub": actions.scrub(self.upkeep.scrubs.pause, self.upkeep.scrubs.resume),
            **self._backup_action(),
            "/check": check(self.upkeep.checks.start),
            "/rebalance": actions.rebalance(self.upkeep.rebalance, TARGET, self.upkeep.tasks.settle),
            "/sweep": actions.sweep(self._run_sweep, self.upkeep.sweep.interrupt, self.upkeep.tasks.settle),
        }
        status = self._keeping or self._status
        resource = AdminResource(
            status.readiness, status.report, status.measure, offered, lambda: self._closed, self.access.guard
        )
        await self.endpoints.serve_operators(resource)

    def _backup_action(self) -> dict[str, Action]:
        if not self._config.keeps_journal:
            return {}
        return {"/journal/backup": backup(self._backups.start, self._process.in_thread)}

    async def _refuse_missing_nodes(self) -> None:
        holding = await self.catalog.nodes()
        try:
            entries = [node.entry for node in self.registry.nodes()]
            refuse_missing(holding, entries)
            refuse_found(await self.catalog.heal_ledger.lost_nodes(), entries)
        except RegistryInvalid as problem:
            raise RegistryInvalid(f"{self._config.registry}: {problem}") from problem

    def stop(self) -> Deferred[None]:
        """Accept no more requests, and finish those in progress; after `stop_timeout_s` their connections are closed,
        and uploads aborted.  See `IServer.stop`.
        """
        self._status.stopping = True
        self._closed = "the front stops"
        self._takeover.end_waits()
        return self._stages.stop()


def _read_s3_key(path: str) -> tuple[str, str]:
    try:
        return parse_key_file(read_text(path))
    except ValueError as problem:
        raise SettingsError(f"{path}: {problem}") from problem


def _trace() -> Tracing:
    """Import what traces need, which a front without them never does.

    :raise SystemExit: it is not installed.
    """
    try:
        from splitd.tracing import Tracing
    except ImportError as problem:
        raise SystemExit(f"splitd: traces: {problem}; pip install opentelemetry-distro") from problem
    return Tracing()


def makeService(options: Options) -> Daemon:
    """Make the front from the options of a command line.

    :raise SystemExit: the registry or the cluster key cannot be used; the message says why.
    """
    from twisted.internet import reactor

    config = options.settings
    try:
        entries = read_registry(config.registry, read_text(config.registry))
        keys = ClusterKeys(read_cluster_keys(config.cluster_key_file))
        users = read_users(config.users, read_text(config.users), Seal(*keys.all()).open) if config.users else None
        s3_key = _read_s3_key(config.s3_key_file) if config.s3_key_file else None
        workers = config.count_workers(usable_cores(), sys.platform)
    except (SettingsError, RegistryInvalid, UsersInvalid, ValueError) as problem:
        raise SystemExit(f"splitd: {problem}") from problem
    measure_monotonically(reactor)
    handover, post = Handover(os.environ), take_post(os.environ)
    if post is None and workers > 1:
        head = Head(config, workers, handover, reactor, with_s3=users is not None or s3_key is not None)
        return Daemon(head, reactor, head.hang_up, (), handover)
    tracing = _trace() if config.traces else None
    more: dict[str, Any] = {"s3_key": s3_key, "handover": handover, "tracing": tracing, "post": post}
    if post is not None and post.kind == "worker":
        worker = WorkerFront(config, entries, keys, reactor, WallClock(), raise_limit(), users, **more)
        return Daemon(worker, reactor, worker.hang_up)
    front = Front(config, entries, keys, OSFilesystem(), reactor, WallClock(), raise_limit(), users, **more)
    if post is not None:
        return Daemon(front, reactor, front.hang_up, (RegistryInvalid,))
    return Daemon(front, reactor, front.hang_up, (RegistryInvalid,), handover)
