"""Puts the front together.  Read `Front` from top to bottom and you know the daemon."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import IResource
from zope.interface import implementer

from splitd.catalog.compactor import Compactor
from splitd.catalog.journalled import JournalledCatalog
from splitd.config import Config, Options
from splitd.frontends.admin import AdminResource
from splitd.frontends.webdav.resource import WebdavResource
from splitd.journal.file import FileJournal
from splitd.model.nodes import NodeEntry, RegistryInvalid
from splitd.model.striping import Layout
from splitd.model.uploads import RANDOM_BYTES, upload_id
from splitd.reaper import Pins, Reaper
from splitd.registry import NodeRegistry, load_registry
from splitd.status import Status
from splitd.store import ObjectStore
from splitd.sweep import Sweep
from splitd.version_cache import VersionCache
from storaged.allocator import keep_for_ever
from storaged.client import RemotePartStore
from storaged.daemon import Daemon, IServer, drain, listen
from storaged.filesystem import OSFilesystem
from storaged.interfaces import IFilesystem
from storaged.settings import SettingsError, read_cluster_key, read_text
from storaged.streaming import NodeConnections, StreamingSite

_NODE_IDLE_S = 120
"""How long an idle connection to a node is kept; a node keeps it longer."""


@implementer(IServer)
class Front:
    """The front, from its journal to its listening ports.

    :param entries: the registered nodes.
    :param key: the cluster key.
    :param filesystem: where the journal is written.
    """

    _log = Logger()

    def __init__(
        self, config: Config, entries: tuple[NodeEntry, ...], key: str, filesystem: IFilesystem, reactor: Any
    ) -> None:
        self._config = config
        self._key = key
        self._reactor = reactor
        self._pool = ThreadPool(1, 4, name="journal")
        self._connections = NodeConnections(
            reactor, connect_timeout_s=config.connect_timeout_s, idle_timeout_s=_NODE_IDLE_S
        )
        self._journal = FileJournal(
            os.path.join(config.data, "journal"),  # noqa: PTH118 - text, as in the file system's seam
            filesystem,
            self._pool,
            reactor,
            compactor=Compactor(reactor),
            segment_limit=int(config.journal_segment),
        )
        self._catalog = JournalledCatalog(self._journal, reactor)
        self.registry = NodeRegistry(entries, self._connect, reactor)
        pins = Pins()
        self._reaper = Reaper(self._catalog, self.registry, pins, reactor, config.reap_interval_s)
        self._sweep = Sweep(
            self._catalog,
            self.registry,
            reactor,
            interval_s=config.sweep_interval_s,
            grace_s=config.sweep_grace_s,
            share=config.sweep_share,
        )
        cache = VersionCache(int(config.cache))
        layout = Layout(data=6, parity=0, unit=int(config.unit))
        self._store = ObjectStore(
            self._catalog,
            self._catalog,
            self.registry,
            self._reaper,
            pins,
            layout=layout,
            small_part=int(config.small_part),
            cache=cache,
            new_id=self._new_upload_id,
            clock=reactor,
        )
        self._status = Status(
            self._catalog,
            self._journal,
            self.registry,
            self._store.traffic,
            self._reaper,
            self._sweep,
            cache,
            layout,
            reactor.seconds(),
            reactor,
        )
        self._site = self._make_site(WebdavResource(self._store))
        self.port: IListeningPort | None = None
        self.admin_port: IListeningPort | None = None

    def _new_upload_id(self) -> str:
        return upload_id(int(self._reactor.seconds() * 1000), os.urandom(RANDOM_BYTES))

    def _connect(self, entry: NodeEntry) -> RemotePartStore:
        return RemotePartStore(
            entry.id,
            entry.url,
            self._key,
            lambda: self._catalog.cluster,
            self._connections,
            self._reactor,
            self._config.node_timeout_s,
        )

    def _make_site(self, resource: IResource) -> StreamingSite:
        return StreamingSite(
            resource,
            self._reactor,
            idle_timeout_s=self._config.idle_timeout_s,
            body_timeout_s=self._config.client_timeout_s,
            take_timeout_s=self._config.client_timeout_s,
        )

    async def _run_sweep(self, dry_run: bool, share: float | None) -> dict[str, Any]:
        return (await self._sweep.run(dry_run=dry_run, share=share)).tell()

    def start(self) -> Deferred[None]:
        """Begin to serve; see `IServer.start`."""
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        self._pool.start()
        metrics = CollectorRegistry()
        metrics.register(self._status)
        admin = self._make_site(AdminResource(self._status.problems, self._status.tell, metrics, self._run_sweep))
        self.admin_port = await listen(self._reactor, self._config.admin, admin)
        await self._catalog.start()
        keep_for_ever()  # the catalog's objects: many, and none of them garbage
        await self.registry.start()
        self._reaper.start()
        self._sweep.start()
        self.port = await listen(self._reactor, self._config.listen, self._site)
        self._log.info(
            "cluster {cluster} is served at {endpoint}", cluster=self._catalog.cluster, endpoint=self._config.listen
        )

    def stop(self) -> Deferred[None]:
        """Take no more requests, and finish those under way; after a while they are cut, and uploads aborted.  See
        `IServer.stop`.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._status.stopping = True
        if self.port is not None:
            await maybeDeferred(self.port.stopListening)
            await drain(self._site, self._config.stop_timeout_s, self._reactor)
        if self.admin_port is not None:
            await maybeDeferred(self.admin_port.stopListening)
        if not self._pool.started:
            return
        await self._store.abort_uploads("the server stops")
        self.registry.stop()
        self._sweep.stop()
        await self._reaper.stop()
        await self._connections.close()
        await self._journal.close()
        self._pool.stop()


def makeService(options: Options) -> Daemon:
    """The front that a command line asks for.

    :raise SystemExit: the registry or the cluster key cannot be used; the message says why.
    """
    from twisted.internet import reactor

    config = options.settings
    try:
        entries = load_registry(config.registry, read_text(config.registry))
        key = read_cluster_key(config.cluster_key_file)
    except (SettingsError, RegistryInvalid) as problem:
        raise SystemExit(f"splitd: {problem}") from problem
    return Daemon(Front(config, entries, key, OSFilesystem(), reactor), reactor)
