"""A worker: a front that serves clients, over a catalog that another process keeps."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast
from uuid import uuid4

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from splitd.access.entries import UsersEntries
from splitd.access.secrets import Seal
from splitd.assembly.access import Access
from splitd.assembly.doors import make_s3_door, make_webdav
from splitd.assembly.resumable import with_resumable
from splitd.assembly.shares import with_shares
from splitd.capacity import IDLE_SHARE, Capacity
from splitd.config import Config
from splitd.downloads.cache import VersionCache
from splitd.downloads.downloads import Downloads
from splitd.downloads.finding import Segmentation
from splitd.downloads.sources import Sources
from splitd.endpoints import Endpoints
from splitd.errors import FileDamaged, UsersRefused
from splitd.frontends.console.building import Operating
from splitd.frontends.console.history import History
from splitd.frontends.observing.observers import Observing
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.quotas import IQuotas
from splitd.model.manifest import Manifest
from splitd.model.nodes import NodeEntry
from splitd.model.traffic import Traffic
from splitd.model.uploads import RANDOM_BYTES, upload_id
from splitd.nodes.reading import ReadPolicy
from splitd.own_files import OwnFiles
from splitd.store import ObjectStore
from splitd.uploads.uploads import Cutting, Uploads
from splitd.workers import methods
from splitd.workers.balance import Balance
from splitd.workers.calls import Calls
from splitd.workers.catalog import (
    SocketCatalog,
    SocketContinuedUploads,
    SocketDocuments,
    SocketKeys,
    SocketLocks,
    SocketQuotas,
)
from splitd.workers.counters import Counters
from splitd.workers.ledger import SocketLedger
from splitd.workers.limits import share_of
from splitd.workers.link import Link
from splitd.workers.look_ups import LookUps
from splitd.workers.pins import RemotePins
from splitd.workers.post import Post
from splitd.workers.registry import SharedRegistry
from splitd.workers.report import Family, Report
from splitd.workers.view import View
from splitd.workers.wire import ASK, RELOAD, VIEW
from storaged.http import NodeConnections, NodeTrust
from storaged.http.handover import Handover
from storaged.http.tls import CertificateFolders
from storaged.parts.client import RemotePartStore
from storaged.parts.proofs import ClusterKeys
from storaged.system.clocks import WallClock
from storaged.system.daemon import IServer
from storaged.system.descriptors import Descriptors
from storaged.system.stages import Stages

_NODE_IDLE_S = 120
_HASHES = 2
_ELSEWHERE = "with workers, this is asked for at the operators' port"


class _Reaper:
    """The reaper of the catalog's process, which is woken when parts may be doomed."""

    def __init__(self, calls: Calls) -> None:
        self.wake: Callable[[], None] = partial(calls.tell, methods.WAKE)


@attrs.frozen
class _Kept:
    """What the users and their limits need of the catalog."""

    quotas: IQuotas
    documents: IDocuments


@implementer(IServer)
class WorkerFront:
    """A worker, from its link to the catalog's process to its ports.

    :param entries: the registered nodes.
    :param post: what this process is, and what it shares.
    :param handover: has the sockets at which it listens.
    :param users: what the file of the users says; None if the settings name none.
    :param s3_key: the only key for S3 if there are no users.
    :param tracing: traces what requests do; None for no traces.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        entries: tuple[NodeEntry, ...],
        keys: ClusterKeys,
        reactor: Any,
        wall: WallClock,
        descriptors: Descriptors,
        users: UsersEntries | None,
        *,
        post: Post,
        s3_key: tuple[str, str] | None,
        handover: Handover,
        tracing: Any = None,
    ) -> None:
        self._config = config
        self._keys = keys
        self._reactor = reactor
        self._wall = wall
        self._descriptors = descriptors
        self._handover = handover
        self._tracing = tracing
        self._pool = ThreadPool(1, 4, name="files")
        self._hashes_pool = ThreadPool(0, _HASHES, name="hashes")
        self._view = View("", 0, 0, [])
        self._calls = calls = Calls(reactor)
        calls.greeted, calls.told = False, self._told
        self._link = Link(calls, post.address, post.number, self._greeted, self._refused, reactor)
        seal, trust = Seal(*keys.all()), NodeTrust()
        self._certificates = CertificateFolders(self._in_thread, reactor, wall)
        self._connections = NodeConnections(
            reactor,
            connect_timeout_s=config.connect_timeout_s,
            idle_timeout_s=_NODE_IDLE_S,
            idle_limit=descriptors.limit // IDLE_SHARE,
            trust=trust,
            wrap=None if tracing is None else tracing.client,
        )
        self._own_files = OwnFiles(
            config, keys, seal, trust, self._connections, self._certificates, self._in_thread, reactor
        )
        self._registry = SharedRegistry(entries, self._connect, calls, reactor)
        self._policy = ReadPolicy(
            self._registry.is_usable,
            self._registry.suspect,
            reactor,
            silent_after_s=config.silent_after_s,
            hedge_share=config.hedge_share,
        )
        self._registry.watch_recoveries(self._policy.recovered)
        self._pins = RemotePins(calls)
        self._traffic, self._cache = Traffic(), VersionCache(int(config.cache) // post.workers)
        look_ups = LookUps(calls, Counters(post.counters))
        self._catalog, self._quotas = SocketCatalog(calls, look_ups), SocketQuotas(calls)
        documents = SocketDocuments(calls)
        keys_seam, locks = SocketKeys(calls, look_ups), SocketLocks(calls)
        self._capacity = Capacity(
            self._catalog, self._catalog, cast(Any, self._registry), config.cut(), descriptors, self._quotas
        )
        self._access = access = Access(
            config,
            users,
            s3_key,
            seal,
            _Kept(self._quotas, documents),
            self._in_thread,
            reactor,
            wall,
            limit_addresses=self._limit_addresses,
            share=lambda limits: share_of(limits, post.workers),
        )
        self._own_files.more += [access.limiting.files] if config.limits else []
        self._uploads = self._make_uploads()
        uploads, downloads = self._uploads, self._make_downloads()
        store = ObjectStore(
            self._catalog,
            self._catalog,
            keys_seam,
            locks,
            uploads if tracing is None else tracing.uploads(uploads),
            SocketContinuedUploads(calls),
            downloads if tracing is None else tracing.downloads(downloads),
            wake_reaper=partial(calls.tell, methods.WAKE),
            new_token=lambda: f"urn:uuid:{uuid4()}",
            wall=wall,
            quotas=self._quotas,
            largest=access.limiting.largest_file,
        )
        self._observing = Observing(
            config.access_log, config.access_log_format, config.audit_log, self._in_thread, reactor, wall
        )
        self._history = History(lambda: calls.call(methods.REPORT), self._observing.totals, reactor, wall)
        operating = Operating(lambda: calls.call(methods.REPORT), dict, lambda: _ELSEWHERE, self._history)
        webdav = make_webdav(config, store, locks, self._capacity, access, operating, reactor, wall)
        self._endpoints = Endpoints(
            config,
            with_shares(
                with_resumable(webdav, config, store, access, wall),
                *(config, store, documents, access, keys.all, reactor, wall),
            ),
            make_s3_door(config, store, access, self._compute, wall),
            self._capacity.clients(),
            self._observing,
            self._certificates,
            reactor,
            handover=handover,
            tracing=tracing,
        )
        self._balance = Balance(Counters(post.counters), post.number, post.workers, self._connected, reactor)
        self._stages = Stages()

    def _make_uploads(self) -> Uploads:
        config, calls = self._config, self._calls
        spare = config.spare_parts(), config.slow_part_s
        return Uploads(
            SocketLedger(calls),
            self._registry,
            cast(Any, _Reaper(calls)),
            self._traffic,
            self._cache.keep,
            partial(calls.tell, methods.HURT),
            cutting=Cutting(config.cut(), int(config.small_part), self._new_upload_id, *spare),
            clock=self._reactor,
            wall=self._wall,
            run=self._in_thread,
        )

    def _make_downloads(self) -> Downloads:
        return Downloads(
            Sources(self._registry, self._policy, self._reactor, self._in_thread),
            Segmentation(self._catalog, self._reactor),
            self._pins,
            lambda _: None,
            self._cache,
            self._traffic,
            small_part=int(self._config.small_part),
            found=self._found,
        )

    def _found(self, manifest: Manifest, index: int, problem: FileDamaged) -> None:
        self._calls.tell(methods.FOUND, manifest, index, str(problem).encode("utf-8", "replace").decode())

    def _new_upload_id(self) -> str:
        return upload_id(self._wall.now_ms(), os.urandom(RANDOM_BYTES))

    def _compute(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._hashes_pool, call)

    def _in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._pool, call)

    def _connect(self, entry: NodeEntry) -> RemotePartStore:
        store = RemotePartStore(
            entry.id,
            entry.url,
            self._keys,
            lambda: self._view.cluster,
            self._connections,
            self._reactor,
            self._config.node_timeout_s,
            lambda: self._view.epoch,
        )
        return store if self._tracing is None else cast(RemotePartStore, self._tracing.node(store, entry.id))

    def _limit_addresses(self, connections: int | None) -> None:
        self._endpoints.limit_addresses(connections)

    def _connected(self) -> int:
        return self._endpoints.connections

    # What the catalog's process tells and asks.

    def _told(self, number: int, what: int, body: msgspec.Raw) -> None:
        if what == VIEW:
            self._show(methods.VIEW.decode(body))
        elif what == ASK:
            self._calls.tell(methods.REPLY, number, self._report())
        elif what == RELOAD:
            Deferred.fromCoroutine(self._reload()).addErrback(self._not_reloaded).addCallback(
                lambda _: self._calls.tell(methods.REPLY, number, self._report())
            )

    def _show(self, view: View) -> None:
        widened, self._view = view.widest > self._view.widest, view
        self._registry.show(view)
        if widened:
            self._endpoints.limit_connections(self._capacity.clients(view.widest))

    def _greeted(self, view: View) -> None:
        self._show(view)
        self._pins.again()
        if self._endpoints.port is not None:
            self._calls.tell(methods.SERVING)

    def _refused(self) -> None:
        self._reactor.stop()

    def _report(self) -> Report:
        site, cache, users = self._endpoints.site, self._cache, self._access.users
        limits = [] if not self._config.limits else list(self._access.requests.measure())
        refused: Mapping[str, int] = self._access.requests.refused
        traffic: dict[str, int] = {name: getattr(self._traffic, name) for name in Traffic.__slots__ if name[0] != "_"}
        return Report(
            traffic,
            (cache.size, cache.hits, cache.misses),
            (self._endpoints.connections, site.admission.limit or 0),
            bool(site.admission.waiting),
            self._descriptors.used(),
            dict(refused),
            0 if users is None else users.logins.refused,
            [Family.of(each) for each in (*self._observing.measure(), *limits)],
        )

    async def _reload(self) -> None:
        await self._own_files.load()  # the catalog's process reads the same files, and says what is wrong with them
        if self._access.users is not None:
            await self._access.users.reload()
        await self._access.limiting.in_force()

    def _not_reloaded(self, failure: Failure) -> None:
        if not failure.check(UsersRefused):
            self._log.failure("reading the files again", failure)

    def hang_up(self) -> None:
        """Do nothing: the catalog's process has the files read again."""

    # Life

    def start(self) -> Deferred[None]:
        """Start to serve; see `IServer.start`.

        :raise SettingsError: an endpoint of the settings cannot be listened on.
        """
        return self._stages.start(self._start)

    async def _start(self) -> None:
        enter, access = self._stages.enter, self._access
        await enter(self._pool.start, self._pool.stop)
        await enter(self._observing.start, self._observing.stop)
        await enter(_nothing, self._certificates.stop)
        await enter(_nothing, self._own_files.stop_renewing)
        await enter(self._own_files.start, self._own_files.stop)
        await enter(access.logins.start, access.logins.stop)
        await enter(self._hashes_pool.start, self._hashes_pool.stop)
        await enter(self._link.start, self._link.stop, interrupt=self._link.stop)
        await enter(access.limiting.start, access.limiting.stop, interrupt=access.limiting.stop)
        await enter(_nothing, self._connections.close)
        if access.users is not None:
            await enter(access.users.start, access.users.stop)
        await enter(_nothing, self._abort_uploads)
        await enter(self._history.start, self._history.stop)
        await enter(self._endpoints.serve_clients, self._end_clients)
        self._endpoints.accept_in_turns(self._balance)
        self._calls.tell(methods.SERVING)

    async def _end_clients(self) -> None:
        self._handover.leave()  # the sockets are the head's, and other workers listen at them
        self._balance.leave()
        await self._endpoints.end_clients()

    async def _abort_uploads(self) -> None:
        aborted = Deferred.fromCoroutine(self._uploads.abort_all("the server stops"))
        await self._connections.end_transfers()
        await aborted

    def stop(self) -> Deferred[None]:
        """Accept no more requests, and finish those in progress; see `IServer.stop`."""
        return self._stages.stop()


def _nothing() -> None:
    """Start nothing: this stage only has something to stop."""
