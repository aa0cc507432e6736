"""The catalogs that the contract is held against.

To add one: a class that is a `Place`, and its name in `PLACES`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs
import psycopg
from twisted.internet import task
from twisted.internet.defer import Deferred, succeed
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.memory import MemoryFolder, MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import Connection, connector
from splitd.interfaces.bin import IBin
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.continued import IContinuedLedger
from splitd.interfaces.disks import IDisks
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.heal import IHealLedger
from splitd.interfaces.journal import IJournal
from splitd.interfaces.keys import IKeys
from splitd.interfaces.layouts import ILayouts
from splitd.interfaces.names import ILocks, INamespace
from splitd.interfaces.parts import IDoomedParts, IPartMoves
from splitd.interfaces.statistics import ICatalogStatistics
from splitd.interfaces.uploads import IUploadLedger
from splitd.interfaces.versions import IVersions
from splitd.model.records import Record
from tests.clocks import wall_of
from tests.contract.filesystems import FailingFilesystem
from tests.postgres import postgres
from tests.workers import SocketWorker, serving, shared_counters


@attrs.frozen
class Seams:
    """A catalog that a front has opened.

    :param close: closes it; fires when it may be opened again.
    """

    catalog: ICatalog
    statistics: ICatalogStatistics
    ledger: IUploadLedger
    continued: IContinuedLedger
    doomed_parts: IDoomedParts
    part_moves: IPartMoves
    namespace: INamespace
    locks: ILocks
    keys: IKeys
    heal_ledger: IHealLedger
    versions: IVersions
    layouts: ILayouts
    disks: IDisks
    documents: IDocuments
    bin: IBin
    close: Callable[[], Deferred[None]]


class Place(Protocol):
    """Where one catalog is kept.

    :ivar clock: tells the catalog the time.
    :ivar judges_ahead: whether changes that do not touch each other are judged in the order of their calls, before any
        of them has taken effect.
    """

    clock: task.Clock
    judges_ahead: bool

    async def open(self, front: str) -> Seams:
        """Open the catalog; a new one at first, afterwards what was left by the close before.

        :param front: the id of the front that opens it.
        """

    def hold(self) -> None:
        """Let no change become durable until `release`."""

    def release(self) -> None:
        """Let what was held go on."""

    async def held(self) -> None:
        """Wait until a change waits for `release`."""

    def fail(self) -> None:
        """Let the next change that should become durable fail, and all that come after it."""

    async def end(self) -> None:
        """Let go of all that fronts have used, those before the last one too: nothing of it is used any more."""


async def _open(
    journal: IJournal, clock: task.Clock, front: str, changed: Callable[[Record], object] = lambda _: None
) -> Seams:
    catalog = JournalledCatalog(journal, wall_of(clock), clock, lambda: "d" * 32, front=front, changed=changed)

    def close() -> Deferred[None]:
        catalog.stop()
        return journal.close()

    return await _started(catalog, close)


async def _started(catalog: JournalledCatalog, close: Callable[[], Deferred[None]]) -> Seams:
    await catalog.start()
    parts = catalog.ledger, catalog.continued, catalog.doomed_parts, catalog.part_moves
    names = catalog.namespace, catalog.locks, catalog.keys
    more = catalog.heal_ledger, catalog.versions, catalog.layouts, catalog.disks, catalog.documents, catalog.bin
    return Seams(catalog, catalog, *parts, *names, *more, close)


class InMemory:
    """A catalog on a journal in memory."""

    judges_ahead = True

    def __init__(self, _: Path, __: ThreadPool, changed: Callable[[Record], object] = lambda _: None) -> None:
        self.clock = task.Clock()
        self._changed = changed
        self._folder = MemoryFolder()
        self._journal = MemoryJournal(self._folder)

    async def open(self, front: str) -> Seams:
        self._journal = MemoryJournal(self._folder)
        return await _open(self._journal, self.clock, front, self._changed)

    def hold(self) -> None:
        self._journal.hold()

    def release(self) -> None:
        self._journal.release()

    async def held(self) -> None:
        """It waits at once."""

    def fail(self) -> None:
        self._journal.fail_next("no space left")

    async def end(self) -> None:
        """What is closed is in memory."""


class _Gate(FailingFilesystem):
    """Lets no sync through while it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()
        self.opened.set()
        self.waiting = False

    def note(self, call: str) -> None:
        if call == "sync" and not self.opened.is_set():
            self.waiting = True
            self.opened.wait()
        super().note(call)


class OnDisk:
    """A catalog on a journal in a folder."""

    judges_ahead = True

    def __init__(self, folder: Path, pool: ThreadPool) -> None:
        self.clock = task.Clock()
        self._folder = folder / "journal"
        self._pool = pool
        self._filesystem = _Gate()

    async def open(self, front: str) -> Seams:
        from twisted.internet import reactor

        journal = FileJournal(str(self._folder), self._filesystem, self._pool, reactor)
        return await _open(journal, self.clock, front)

    def hold(self) -> None:
        self._filesystem.waiting = False
        self._filesystem.opened.clear()

    def release(self) -> None:
        self._filesystem.opened.set()

    async def held(self) -> None:
        from twisted.internet import reactor

        while not self._filesystem.waiting:
            await task.deferLater(reactor, 0)

    def fail(self) -> None:
        self._filesystem.fails = {"sync"}

    async def end(self) -> None:
        """What is closed is in memory."""


class _Commits:
    """Lets no change of a database be committed while it is closed."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.waiting = False
        self.fails = False
        self.connections: list[psycopg.Connection] = []  # which holds those that nobody else has any more, too

    def connection(self) -> type[psycopg.Connection]:
        commits = self

        class Gated(Connection):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                commits.connections.append(self)

            def commit(self) -> None:
                if self.in_transaction:
                    if not commits.opened.is_set():
                        commits.waiting = True
                        commits.opened.wait()
                    if commits.fails:
                        raise psycopg.OperationalError("no space left")
                super().commit()

        return Gated


class InDatabase:
    """A catalog in a schema of a PostgreSQL server."""

    judges_ahead = False

    def __init__(self, _: Path, __: ThreadPool) -> None:
        self.clock = task.Clock()
        self._commits = _Commits()
        self._opened: list[StoredCatalog] = []
        self.url = postgres().url(postgres().new_schema())

    async def open(self, front: str) -> Seams:
        from twisted.internet import reactor

        self._commits.fails = False
        connect = connector(self.url, self._commits.connection())
        catalog = StoredCatalog(connect, reactor, wall_of(self.clock), self.clock, lambda: "d" * 32, front=front)
        self._opened.append(catalog)
        return await _started(catalog, catalog.leave)

    def hold(self) -> None:
        self._commits.waiting = False
        self._commits.opened.clear()

    def release(self) -> None:
        self._commits.opened.set()

    async def held(self) -> None:
        from twisted.internet import reactor

        while not self._commits.waiting:
            await task.deferLater(reactor, 0)

    def fail(self) -> None:
        self._commits.fails = True

    async def end(self) -> None:
        for catalog in self._opened:
            await catalog.close()
        left = [each for each in self._commits.connections if not each.closed]
        for each in left:
            each.close()
        assert not left, f"connections were left open: {left}"


class OverSocket:
    """A catalog in memory that is reached as a worker reaches it, by a socket; the upkeep's seams are not."""

    judges_ahead = True

    def __init__(self, folder: Path, pool: ThreadPool) -> None:
        self._counters = shared_counters()
        self._inner = InMemory(folder, pool, self._counters.changed)
        self.clock = self._inner.clock
        self.fail, self.hold = self._inner.fail, self._inner.hold
        self._workers: list[SocketWorker] = []
        self._released: Deferred[None] = succeed(None)

    async def open(self, front: str) -> Seams:
        inner = await self._inner.open(front)
        self._counters.raise_all()
        worker = SocketWorker(serving(inner), self._counters)
        self._workers.append(worker)

        async def close() -> None:
            await self._released
            await inner.close()

        return attrs.evolve(inner, **worker.seams(), close=lambda: Deferred.fromCoroutine(close()))

    def release(self) -> None:
        """Let it go on when all that was called or cancelled before has arrived."""
        if self._workers:
            self._released = self._workers[-1].ping().addBoth(lambda _: self._inner.release())

    async def held(self) -> None:
        await self._workers[-1].ping()

    async def end(self) -> None:
        for worker in self._workers:
            await worker.close()


PLACES: dict[str, Callable[[Path, ThreadPool], Place]] = {
    "memory": InMemory,
    "disk": OnDisk,
    "socket": OverSocket,
    "postgresql": InDatabase,
}
