"""Wires a storage server.  `StorageServer`, read from top to bottom, shows the whole daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import awscrt.checksums  # noqa: F401 - loaded with the daemon, and not with the first large part
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from storaged.access_log import AccessLog
from storaged.config import Config, Options
from storaged.http import StreamingSite
from storaged.http.listening import drain, listen
from storaged.http.tls import CertificateFolders
from storaged.identity import Identity
from storaged.journals.store import journals_of
from storaged.parts.errors import StoragedError
from storaged.parts.proofs import ClusterKeys, Session
from storaged.resource import PartResource
from storaged.store import DiskPartStore
from storaged.system.clocks import WallClock, measure_monotonically
from storaged.system.daemon import Daemon, IServer
from storaged.system.descriptors import Descriptors, raise_limit
from storaged.system.filesystem import FolderLock, OSFilesystem
from storaged.system.interfaces import IFilesystem
from storaged.system.periodic import Periodic
from storaged.system.read_ahead import ReadAhead
from storaged.system.settings import SettingsError, read_cluster_keys
from storaged.system.stages import Stages
from storaged.system.watching import WatchedFiles, load_all, sign_file

_IDLE_TIMEOUT_S = 300
"""Longer than the front keeps an idle connection, so that it is always the front that closes it."""

_BODY_TIMEOUT_S = 120

_EMPTY_EVERY_S = 3600
"""Seconds between two searches for old parts in the trash."""

_DAY_S = 86_400

_PER_CONNECTION = 4
"""File descriptors: the connection, the file of a part, and a second one of each to send the file."""

_KEPT = 160
"""File descriptors for everything else: the log, packs and the index.  Each thread may have one more."""


@implementer(IServer)
class StorageServer:
    """A storage server, from its lock to its listening port.

    :param key: the cluster key, or the valid ones.
    :param filesystem: the file system that holds the parts.
    :param reactor: also measures spans of time; nobody sets its clock.
    :param wall: the clock for times that are stored.
    :param descriptors: limit the number of connections.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        key: str | ClusterKeys,
        filesystem: IFilesystem,
        reactor: Any,
        wall: WallClock,
        descriptors: Descriptors,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._pool = ThreadPool(1, config.threads, name="disk")
        self.certificates = CertificateFolders(self._in_thread, reactor, wall)
        self._keys = ClusterKeys([key]) if isinstance(key, str) else key
        key_file = config.cluster_key_file
        self._key_file = WatchedFiles(
            "the cluster keys",
            lambda: sign_file(key_file),
            lambda: read_cluster_keys(key_file),
            self._take_keys,
            self._in_thread,
            reactor,
        )
        self._lock = FolderLock(config.data)
        self._identity = Identity(config.data, config.node, filesystem, self._pool, reactor)
        self.store = DiskPartStore(
            config.data,
            filesystem,
            self._pool,
            reactor,
            reserve=config.reserve,
            clock=reactor,
            wall=wall,
            identity=self._identity,
            scrub_s=config.scrub_days * _DAY_S,
        )
        self._access_log = AccessLog(config.access_log, self._in_thread, reactor, wall) if config.access_log else None
        self._journals = journals_of(f"{config.data}/journals", filesystem, self._pool, reactor)
        self._site = StreamingSite(
            PartResource(
                self.store,
                self._identity,
                self._keys,
                ReadAhead(self._pool, reactor),
                self._journals,
                self.store.rechecks.add,
                None if self._access_log is None else self._access_log.link,
            ),
            reactor,
            idle_timeout_s=_IDLE_TIMEOUT_S,
            body_timeout_s=_BODY_TIMEOUT_S,
            observer=self._access_log,
            connection_limit=descriptors.divide(_PER_CONNECTION, _KEPT + config.threads),
        )
        self._emptying = Periodic(self._empty_trash, _EMPTY_EVERY_S, reactor, "emptying the trash")
        self._stages = Stages()
        self.port: IListeningPort | None = None

    def _in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._pool, call)

    def hang_up(self) -> Deferred[None]:
        """Read the certificates and the cluster keys again; the daemon does this on SIGHUP."""
        files: list[WatchedFiles[Any]] = [folder.files for folder in self.certificates.all()]
        files += [self._key_file] if self._config.cluster_key_file else []
        return Deferred.fromCoroutine(load_all(files)).addCallbacks(lambda _: None, self._not_reloaded)

    async def _read_keys(self) -> None:
        if self._config.cluster_key_file:
            await self._key_file.load()
            self._key_file.start()

    def _take_keys(self, keys: Sequence[str]) -> None:
        """Use other keys: connections whose key is not valid any more end with what is in progress on them."""
        self._keys.take(keys)
        self._site.end_connections(lambda known: isinstance(known, Session) and not self._keys.has(known.key))

    def _not_reloaded(self, failure: Failure) -> None:
        self._log.failure("reading the files again", failure)

    async def _empty_trash(self) -> None:
        try:
            await self.store.empty_trash(self._config.trash_keep_s)
        except StoragedError as problem:
            self._log.error("the trash: {problem}", problem=str(problem))

    def start(self) -> Deferred[None]:
        """Start to serve; see `IServer.start`."""
        return self._stages.start(self._start)

    async def _start(self) -> None:
        enter = self._stages.enter
        os.makedirs(self._config.data, exist_ok=True)  # noqa: PTH103 - text, as in the file system's seam
        await enter(self._lock.acquire, self._lock.release)
        await enter(self._pool.start, self._pool.stop)
        if self._access_log is not None:
            await enter(self._access_log.start, self._access_log.stop)
        await enter(_nothing, self.certificates.stop)
        await enter(self._read_keys, self._key_file.stop)
        await enter(self._identity.load)
        await enter(self._journals.start, self._journals.stop)
        await enter(self.store.start, self.store.stop)
        await enter(lambda: self._emptying.start(0), self._emptying.stop)
        await enter(self._listen, self._end_requests)
        await enter(self.store.scrubber.start, self.store.scrubber.stop)
        self._log.info("node {node} serves {data}", node=self._config.node, data=self._config.data)

    async def _listen(self) -> None:
        self.port = await listen(self._reactor, self._config.listen, self._site, self.certificates, bounded=True)

    async def _end_requests(self) -> None:
        if self.port is not None:
            await maybeDeferred(self.port.stopListening)
        await drain(self._site, self._config.stop_timeout_s, self._reactor)

    def stop(self) -> Deferred[None]:
        """Accept no more requests, and let those in progress finish; after `stop_timeout_s` seconds cut them, and
        delete unfinished parts.  See `IServer.stop`.
        """
        return self._stages.stop()


def _nothing() -> None:
    """Start nothing: this stage only has something to stop."""


def makeService(options: Options) -> Daemon:
    """Make the storage server that a command line describes.

    :raise SystemExit: the cluster key cannot be read or used; the message says why.
    """
    from twisted.internet import reactor

    try:
        keys = ClusterKeys(read_cluster_keys(options.settings.cluster_key_file))
    except SettingsError as problem:
        raise SystemExit(f"storaged: {problem}") from problem
    measure_monotonically(reactor)
    server = StorageServer(options.settings, keys, OSFilesystem(), reactor, WallClock(), raise_limit())
    return Daemon(server, reactor, server.hang_up)
