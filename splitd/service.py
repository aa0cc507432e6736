"""Builds the front from its parts.  `Front`, read from top to bottom, shows the whole daemon."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from splitd.access.entries import UsersEntries, read_users
from splitd.access.key_file import parse_key_file
from splitd.access.secrets import Seal
from splitd.assembly.access import Access
from splitd.assembly.catalogs import address_of, make_catalog, make_journal
from splitd.assembly.doors import make_s3_door, make_webdav
from splitd.assembly.resumable import with_resumable
from splitd.assembly.shares import with_shares
from splitd.assembly.stores import make_downloads, make_store, make_uploads
from splitd.assembly.upkeep import Upkeep
from splitd.capacity import IDLE_SHARE, Capacity
from splitd.catalog.backup import encode_backup
from splitd.config import Config, Options
from splitd.downloads.cache import VersionCache
from splitd.downloads.sources import Sources
from splitd.endpoints import Endpoints
from splitd.errors import CatalogReadOnly, FilesRefused, RegistryRefused, UsersInvalid, UsersRefused
from splitd.frontends.admin import actions, layouts, losses
from splitd.frontends.admin.actions import Action
from splitd.frontends.admin.backups import Backups, backup
from splitd.frontends.admin.checking import check
from splitd.frontends.admin.layouts import Layouts
from splitd.frontends.admin.quotas import LimitsStatus
from splitd.frontends.admin.reports import ReloadReport, StatusReport, SweepReport, report_sweep
from splitd.frontends.admin.resource import AdminResource
from splitd.frontends.admin.status import Status
from splitd.frontends.console.building import History, Operating
from splitd.frontends.observing.observers import Observing
from splitd.model.nodes import NodeEntry, RegistryInvalid, refuse_found, refuse_missing
from splitd.model.striping import Layout
from splitd.model.traffic import Traffic
from splitd.nodes.entries import read_registry
from splitd.nodes.file import RegistryFile
from splitd.nodes.probe import Found, probe
from splitd.nodes.reading import ReadPolicy
from splitd.nodes.registry import NodeRegistry
from splitd.nodes.state import NodeStatus
from splitd.own_files import OwnFiles
from splitd.upkeep.rebalance import TARGET
from splitd.workers.counters import Counters, no_counters
from splitd.workers.front import WorkerFront
from splitd.workers.head import Head
from splitd.workers.keeping import Keeping
from splitd.workers.post import Post, take_post
from storaged.http import NodeConnections, NodeTrust
from storaged.http.handover import Handover
from storaged.http.tls import CertificateFolders
from storaged.parts.client import RemotePartStore, look_first
from storaged.parts.proofs import ClusterKeys
from storaged.parts.values import NodeInfo
from storaged.system.allocator import keep_for_ever
from storaged.system.clocks import WallClock, measure_monotonically
from storaged.system.daemon import Daemon, IServer
from storaged.system.descriptors import Descriptors, raise_limit
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFilesystem
from storaged.system.settings import SettingsError, read_cluster_keys, read_text
from storaged.system.stages import Stages

if TYPE_CHECKING:
    from splitd.tracing import Tracing

_NODE_IDLE_S = 120
"""How long an idle connection to a node is kept; the node keeps it longer."""

_HASHES = 2
"""How many threads compute the MD5 of objects."""


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
        self._handover = handover
        self._tracing = tracing
        self._config = config
        self._keys = ClusterKeys([key]) if isinstance(key, str) else key
        self._seal = Seal(*self._keys.all())
        self._reactor = reactor
        self._wall = wall
        self._pool = ThreadPool(1, 4, name="journal")
        self.certificates = CertificateFolders(self._in_thread, reactor, wall)
        trust = NodeTrust()
        self._connections = NodeConnections(
            reactor,
            connect_timeout_s=config.connect_timeout_s,
            idle_timeout_s=_NODE_IDLE_S,
            idle_limit=descriptors.limit // IDLE_SHARE,
            trust=trust,
            wrap=None if tracing is None else tracing.client,
        )
        self._own_files = OwnFiles(
            config, self._keys, self._seal, trust, self._connections, self.certificates, self._in_thread, reactor
        )
        self._takeover, self._journal = make_journal(
            config, filesystem, self._in_thread, self._registered, self._pool, reactor
        )
        self._backups = Backups(partial(self._encode_backup, filesystem))
        journal = self._journal if tracing is None else tracing.journal(self._journal)
        changed = no_counters if post is None else Counters(post.counters).changed
        address = address_of(config.listen, socket.gethostname())
        made = make_catalog(config.catalog, self._journal, journal, wall, reactor, changed, address)
        self.catalog, self._shown_journal, epoch = made
        self._epoch = epoch or self._takeover.epoch
        self.registry = NodeRegistry(entries, self._connect, reactor)
        self.read_policy = ReadPolicy(
            self.registry.is_usable,
            self.registry.suspect,
            reactor,
            silent_after_s=config.silent_after_s,
            hedge_share=config.hedge_share,
        )
        self.registry.watch_recoveries(self.read_policy.recovered)
        self._registry_file = RegistryFile(config.registry, self.registry, self._in_thread, reactor, wall)
        layout, traffic, cache = config.cut(), Traffic(), VersionCache(int(config.cache))
        self._capacity = capacity = self._make_capacity(layout, descriptors)
        more = self._in_thread, capacity.open_nodes, reactor, wall
        self.upkeep = Upkeep(config, self.catalog, self.registry, self.read_policy, *more)
        self.catalog.watch_reads(self.upkeep.pins.uploads)
        who = users, s3_key, self._seal, self.catalog
        self.access = access = Access(
            config, *who, self._in_thread, reactor, wall, limit_addresses=self._limit_addresses
        )
        self._own_files.more += [access.limiting.files] if config.limits else []
        sources = Sources(self.registry, self.read_policy, reactor, self._in_thread)
        shared = self.registry, self.upkeep, cache, traffic
        self._uploads = make_uploads(config, *shared, self._in_thread, reactor, wall)
        downloads = make_downloads(config, sources, self.upkeep, cache, traffic)
        largest = access.limiting.largest_file
        store = self.store = make_store(self.catalog, self._uploads, downloads, self.upkeep, largest, tracing, wall)
        self._observing = Observing(
            config.access_log, config.access_log_format, config.audit_log, self._in_thread, reactor, wall
        )
        self._history = History(self._report, self._observing.totals, reactor, wall)
        operating = Operating(self._report, lambda: self._offered, lambda: self._closed, self._history)
        self._hashes_pool = ThreadPool(0, _HASHES, name="hashes")
        webdav = make_webdav(config, store, self.catalog.locks, capacity, access, operating, reactor, wall)
        self.endpoints = Endpoints(
            config,
            with_shares(
                with_resumable(webdav, config, store, access, wall),
                *(config, store, self.catalog.documents, access, self._keys.all, reactor, wall),
            ),
            make_s3_door(config, store, access, self._compute, wall),
            capacity.clients(),
            self._observing,
            self.certificates,
            reactor,
            handover=handover,
            tracing=tracing,
        )
        self._layouts = Layouts(self.catalog.namespace, layout, capacity.open_nodes, self._widen)
        self._status = self._make_status(traffic, cache, layout, descriptors)
        kept = self.catalog, self.upkeep, self.registry, self._takeover, self._status
        self._keeping = None if post is None else Keeping(post, *kept, reactor)
        self._stages = Stages()
        self._closed, self._offered = "the front has not started yet", dict[str, Action]()

    def _limit_addresses(self, connections: int | None) -> None:
        self.endpoints.limit_addresses(connections)

    def _make_capacity(self, layout: Layout, descriptors: Descriptors) -> Capacity:
        catalog = self.catalog
        return Capacity(catalog, catalog.namespace, self.registry, layout, descriptors, catalog.quotas)

    def _make_status(self, traffic: Traffic, cache: VersionCache, layout: Layout, descriptors: Descriptors) -> Status:
        config, upkeep = self._config, self.upkeep
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
            upkeep.disks,
            self.read_policy,
            upkeep.relayout,
            upkeep.lifecycle,
            traffic,
            upkeep.reaper,
            upkeep.sweep,
            upkeep.held,
            cache,
            layout,
            layout.data + min(config.spare_parts(), layout.parity),
            self.endpoints.site,
            self._observing,
            descriptors,
            self.certificates,
            self._reactor.seconds(),
            self._reactor,
            self._wall,
        )

    def _registered(self) -> Sequence[NodeStatus]:
        return self.registry.nodes()

    def _encode_backup(self, filesystem: IFilesystem) -> Generator[bytes, None, None]:
        return encode_backup(filesystem, self._journal.folder, self._wall.now_ms(), self._takeover.epoch())

    async def _widen(self) -> None:
        """Serve fewer clients at once if a file has more parts, or may get more, than files had before."""
        self.endpoints.limit_connections(await self._capacity.clients_now())

    def _compute(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._hashes_pool, call)

    def _in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._pool, call)

    def _connect(self, entry: NodeEntry) -> RemotePartStore:
        store = RemotePartStore(
            entry.id,
            entry.url,
            self._keys,
            lambda: self._status.cluster,
            self._connections,
            self._reactor,
            self._config.node_timeout_s,
            self._epoch,
        )
        return store if self._tracing is None else self._tracing.node(store, entry.id)

    def _look_first(self, entry: NodeEntry) -> Deferred[tuple[NodeInfo, bool]]:
        timeout_s = self._config.node_timeout_s
        return look_first(entry.id, entry.url, self._keys, self._connections, self._reactor, timeout_s)

    async def _run_sweep(self, dry_run: bool, share: float | None) -> SweepReport:
        return report_sweep(await self.upkeep.sweep.run(dry_run=dry_run, share=share))

    async def _report(self) -> StatusReport:
        return await (self._keeping or self._status).report()

    async def _reload(self) -> ReloadReport:
        problems = await self._own_files.load()
        users, count = self.access.users, None
        try:
            change = await self._registry_file.reload()
        finally:  # one file that cannot be used does not hold up the other
            if users is not None:
                await users.reload()
                count = users.count
        await self.access.limiting.in_force()
        if self._keeping is not None:
            await self._keeping.reload()
        if problems:
            raise FilesRefused("; ".join(problems))
        return ReloadReport(len(self.registry.nodes()), change.added, change.moved, change.changed, count)

    async def _probe(self, node_id: str, url: str) -> Found:
        return await probe(node_id, url, self.registry, self._look_first, self._status.cluster)

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
        enter, users, limiting = self._stages.enter, self.access.users, self.access.limiting
        await enter(self._pool.start, self._pool.stop)
        await enter(self._observing.start, self._observing.stop)
        await enter(_nothing, self.certificates.stop)
        await enter(_nothing, self._own_files.stop_renewing)
        await enter(self._own_files.start, self._own_files.stop)
        await enter(self.access.logins.start, self.access.logins.stop)
        await enter(self._hashes_pool.start, self._hashes_pool.stop)
        await enter(self._serve_operators, self.endpoints.end_operators)
        await enter(self.catalog.start, self.catalog.close, interrupt=self.catalog.interrupt)
        await enter(limiting.start, limiting.stop, interrupt=limiting.stop)
        if self._config.keeps_journal:
            await enter(lambda: self._takeover.opened(self._journal.statistics.records))
        await enter(self._abort_abandoned)
        await enter(self._refuse_missing_nodes)
        await self._widen()
        self._status.cluster = await self.catalog.cluster()
        keep_for_ever()  # the catalog has many objects, and none of them is garbage
        await enter(_nothing, self._connections.close)
        await enter(self.registry.start, self.registry.stop, interrupt=self.registry.stop)
        await enter(self._takeover.start, self._takeover.stop)
        await enter(self._registry_file.start, self._registry_file.stop)
        if users is not None:
            await enter(users.start, users.stop)
        await self.upkeep.start(enter)
        await enter(_nothing, self._abort_uploads)
        await enter(self._history.start, self._history.stop)
        if self._keeping is None:
            await enter(self.endpoints.serve_clients, self.endpoints.end_clients)
        else:
            await enter(self._keeping.start, self._keeping.stop, interrupt=self._keeping.stop)
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

    async def _abort_uploads(self) -> None:
        aborted = Deferred.fromCoroutine(self._uploads.abort_all("the server stops"))
        await self._connections.end_transfers()  # small parts on their way to a node that does not answer fail at once
        await aborted

    async def _serve_operators(self) -> None:
        self._offered = offered = {
            "/reload": actions.reload(self._reload),
            "/probe": actions.probe(self._probe),
            "/layout": layouts.layout(self._layouts),
            "/layout/apply": layouts.relayout(self.upkeep.relayout),
            "/loss": losses.loss(losses.Losses(self.catalog.heal_ledger, self.registry, self._reactor)),
            "/heal": actions.heal(self.upkeep.healer),
            **({"/journal/backup": backup(self._backups.start, self._in_thread)} if self._config.keeps_journal else {}),
            "/check": check(self.upkeep.checks.start),
            "/rebalance": actions.rebalance(self.upkeep.rebalance, TARGET),
            "/sweep": actions.sweep(self._run_sweep),
        }
        status = self._keeping or self._status
        resource = AdminResource(
            status.readiness, status.report, status.measure, offered, lambda: self._closed, self.access.guard
        )
        await self.endpoints.serve_operators(resource)

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


def _nothing() -> None:
    """Start nothing: this stage only has something to stop."""


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
    except (SettingsError, RegistryInvalid, UsersInvalid) as problem:
        raise SystemExit(f"splitd: {problem}") from problem
    measure_monotonically(reactor)
    handover, post = Handover(os.environ), take_post(os.environ)
    if post is None and config.workers > 1:
        head = Head(config, handover, reactor, with_s3=users is not None or s3_key is not None)
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
