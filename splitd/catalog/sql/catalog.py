"""The catalog in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from splitd import __version__
from splitd.catalog.journalled import JournalledCatalog, new_cluster_id
from splitd.catalog.layouts import JournalledLayouts
from splitd.catalog.sql.binning import StoredBin
from splitd.catalog.sql.chains import chain_to, layout_of
from splitd.catalog.sql.changes import StoredChanges
from splitd.catalog.sql.connected import Connect, Current
from splitd.catalog.sql.counts import read_counts
from splitd.catalog.sql.documents import StoredDocuments
from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.fronts import Registration, StoredLeases
from splitd.catalog.sql.kept import KeptLooks
from splitd.catalog.sql.lanes import Lane
from splitd.catalog.sql.namespace import StoredKeys, StoredLocks, StoredNamespace
from splitd.catalog.sql.placing import holds_if_free
from splitd.catalog.sql.probing import Probe
from splitd.catalog.sql.quotas import CurrentMeters, StoredQuotas
from splitd.catalog.sql.reader import Reader
from splitd.catalog.sql.seen import StoredFronts
from splitd.catalog.sql.stamps import News
from splitd.catalog.sql.state import Common
from splitd.catalog.sql.upkeep import StoredDisks, StoredDoomedParts, StoredHealLedger, StoredVersions
from splitd.catalog.sql.uploads import StoredContinuedUploads, StoredPartMoves, StoredUploads
from splitd.catalog.sql.watch import PATIENCE_S, Watch
from splitd.catalog.sql.writer import Writer
from splitd.catalog.state import State
from splitd.errors import CatalogAway
from splitd.interfaces.catalog import Admitted, ICatalog, Prove
from splitd.interfaces.statistics import CatalogStatistics, ICatalogStatistics
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.path_faults import is_own
from splitd.model.paths import check_key_path, check_path
from splitd.model.tree import Collection, Member
from storaged.system.clocks import WallClock
from storaged.system.periodic import Periodic

MOST = 64
"""How many changes or looks share a transaction at most."""
_ALONE = 1
"""The number of the connection for changes that may take long."""
_AGAIN_S = 1.0
"""After how many seconds a start asks the database again that did not answer."""


@implementer(ICatalog, ICatalogStatistics)
class StoredCatalog(JournalledCatalog):
    """Names, uploads and parts in a database that several fronts share; see `JournalledCatalog`.

    :param connect: opens a connection.
    :param reactor: calls back from threads.
    :param wall: tells the times of records.
    :param clock: calls later.
    :param new_id: makes the id of a new cluster.
    :param front: the id of the front that uses the catalog; a front gets a new one at each start.
    :param address: where the front is, for operators.
    :param knows: the version of the schema that its program knows; None for that of this program.
    :param upkeep: whether it may do the upkeep; see `Registration`.
    :param before: the id of a front that has ended, and whose place this one takes; see `Registration`.
    :param patience_s: see `Watch`.
    """

    _changes: StoredChanges
    ledger: StoredUploads

    def __init__(
        self,
        connect: Connect,
        reactor: Any,
        wall: WallClock,
        clock: IReactorTime,
        new_id: Callable[[], str] = new_cluster_id,
        *,
        front: str,
        address: str = "",
        knows: int | None = None,
        upkeep: bool = True,
        before: str = "",
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._watch = Watch(connect, patience_s)
        connect = self._watch.connect
        self._wall = wall
        self._reactor = reactor
        self._new_id = new_id
        current, common = Current(), Common()
        self._common = common
        about = front, address, __version__, knows
        self._registration = Registration(connect, *about, upkeep=upkeep, before=before)

        def writer(number: int) -> Writer:
            slot = partial(self._registration.slot, number)
            return Writer(connect, current, common, slot, self._registration.renew, few_rows=number != _ALONE)

        # A second lane for batches of changes would wait for the locks of the first one, with half of the changes each.
        # Those that are alone in their transactions, as copies of trees are, may take long, and have one.
        # Beginnings and aborts of uploads need not survive a power cut.  But the front goes on when the database
        # crashes, and would not abort again what it has aborted: so all changes are durable.
        self._durable = Lane("catalog", reactor, writer(0), MOST, self._stalled)
        self._alone = Lane("catalog-alone", reactor, writer(_ALONE), 1, self._stalled)
        self._light = Lane("catalog-light", reactor, writer(2), MOST, self._stalled)
        reader = Reader(connect, current, common, lambda: 0)
        self._looks = Lane("catalog-looks", reactor, reader, MOST)
        state = self._state = cast("State", current)
        changes = self._changes = StoredChanges(
            self._durable, self._alone, self._light, self._looks, current, wall, lambda: self.problem
        )

        def tell(news: News) -> None:
            self.kept.tell(news)

        self._probe = Probe(connect, reactor, partial(changes.check, tell), lambda: reader.lost, tell)
        self.kept = KeptLooks(self._probe.ask, partial(reactor.callLater, 0))
        self.part_moves = StoredPartMoves(state, changes, front)
        meters = self._meters = CurrentMeters(state, current)
        self.quotas = StoredQuotas(changes, meters, current, front)
        self.ledger = StoredUploads(state, changes, self.part_moves, front, meters)
        self.continued = StoredContinuedUploads(state, changes, self.ledger, meters)
        self.namespace = StoredNamespace(state, changes, meters)
        self.keys = StoredKeys(state, changes, clock, new_id, meters, self.kept)
        self.locks = StoredLocks(state, changes, meters)
        lead = partial(self._registration.lead, reactor)
        self.doomed_parts = StoredDoomedParts(state, changes, lead, self._registration.term, front)
        self.heal_ledger = StoredHealLedger(state, changes, lead)
        self.disks = StoredDisks(state, changes)
        self.versions = StoredVersions(state, changes)
        self.layouts = JournalledLayouts(state, changes)
        self.documents = StoredDocuments(state, changes)
        self.fronts = StoredFronts(changes, front)
        self.leases = StoredLeases(self._registration, reactor)
        self.bin = StoredBin(state, changes, meters)
        self._ended_before = 0
        self._clock = clock
        self._away = ""
        self._is_interrupted = False
        self._waiting: Deferred[None] | None = None
        self._abandoned = Periodic(self._abort_abandoned, LEASE_S / 2, clock, "aborting what fronts have left")

    async def _abort_abandoned(self) -> None:
        try:
            await self.ledger.abort_abandoned()
        except CatalogAway as problem:  # the next round does it
            self._log.debug("catalog: uploads of fronts that are gone are not aborted now: {why}", why=problem)

    def watch_reads(self, reading: Callable[[], Iterable[str]]) -> None:
        """Set how to find out what this front reads: no other one deletes the parts of it meanwhile.

        :param reading: returns the uploads whose versions downloads read now; called in any thread.
        """
        self._registration.reading = reading

    @property
    def epoch(self) -> int:
        """The epoch that requests to nodes carry: that of the journal which the catalog was copied from, or 0."""
        return self._registration.epoch

    @property
    def problem(self) -> str:
        """Why nothing can be changed now; empty if nothing speaks against it."""
        return self._away or self._durable.problem or self._stalled()

    def _stalled(self) -> str:
        return self._watch.stalled

    def start(self) -> Deferred[None]:
        """Connect to the database, make its tables if it is empty, and register the front.

        A database that does not answer is waited for: after a power cut, it may come later than the front.

        :raise CancelledError: the start was interrupted.
        :raise CatalogOutdated: it has another schema than this program needs.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        self._watch.start()
        try:
            await self._open()
        except BaseException:
            self._watch.stop()
            raise

    async def _open(self) -> None:
        while not await self._is_registered():
            self._waiting = deferLater(self._clock, _AGAIN_S)
            await self._waiting
        for lane in (self._durable, self._alone, self._light, self._looks):
            lane.start()
        await self._probe.start()
        counts = await self._changes.read(lambda: read_counts(self._changes.cursor))
        self._ended_before = counts.get("ended", 0)
        self._changes.settle()
        self._abandoned.start()

    async def _is_registered(self) -> bool:
        """Register the front; return whether the database has answered."""
        if self._is_interrupted:
            raise CancelledError("the start was interrupted")
        try:
            await self._registration.begin(self._reactor, self._new_id, self._wall.now_ms())
        except CatalogAway as problem:
            if str(problem) != self._away:
                self._away = str(problem)
                self._log.warn("catalog: the start waits: {why}", why=problem)
            return False
        self._away = ""
        return True

    def interrupt(self) -> Deferred[None]:
        """End a start in progress: wait for the database no longer."""
        self._is_interrupted = True
        if self._waiting is not None:
            self._waiting.cancel()
        return succeed(None)

    def close(self) -> Deferred[None]:
        """Do the changes that wait, and close the connections; the front is gone then."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self._watch.hasten()
        self.stop()
        await self._abandoned.stop(cancel=True)
        for lane in (self._durable, self._alone, self._light):
            await lane.stop()
        await self._registration.end(self._reactor)
        await self._probe.stop()
        await self._looks.stop()
        self._watch.stop()

    def renew(self) -> Deferred[None]:
        """Renew the lease of the front now; usually that is done in time by itself."""
        return self._registration.renew_now(self._reactor)

    def leave(self) -> Deferred[None]:
        """Let the front count as gone.  It may still ask, also what only the front with the upkeep is told; but it must
        not act on that.
        """
        self.stop()
        return self._registration.end(self._reactor, asks=True)

    def cluster(self) -> Deferred[str]:
        """Look up the id of the catalog's cluster; see `ICatalogStatistics`."""
        return self._changes.read(self._cluster)

    def _cluster(self) -> str:
        cluster: str = self._changes.cursor.execute("SELECT cluster FROM catalog").fetchone()[0]
        return cluster

    def statistics(self) -> Deferred[CatalogStatistics]:
        """Count the catalog's entries; see `ICatalogStatistics`."""
        changes = len(self._changes)

        def count() -> CatalogStatistics:
            cursor = self._changes.cursor
            counts = read_counts(cursor)
            widest = cursor.execute("SELECT widest FROM catalog").fetchone()[0]
            return CatalogStatistics(
                counts.get("files", 0),
                counts.get("bytes", 0),
                counts.get("uploads", 0),
                counts.get("doomed", 0),
                counts.get("ended", 0) - self._ended_before,
                changes,
                widest,
                counts.get("continued", 0),
                counts.get("continued bytes", 0),
                counts.get("documents", 0),
            )

        return self._changes.read(count)

    def nodes(self) -> Deferred[set[str]]:
        """List the nodes that parts may lie on; see `ICatalogStatistics`."""
        return self._changes.read(self._nodes)

    def _nodes(self) -> set[str]:
        cursor = self._changes.cursor
        counts = read_counts(cursor)
        found = {key.partition(" on ")[2] for key, number in counts.items() if " on " in key and number > 0}
        query = """SELECT id FROM node WHERE number != 0 AND number IN (
            SELECT unnest(nodes) FROM upload UNION SELECT node FROM move)"""
        return found | {node for (node,) in cursor.execute(query).fetchall()}

    def held(self, now_ms: int) -> str:  # noqa: ARG002 - a database is not restored from a journal's backup
        """Say why no part may be trashed because the catalog does not know it; empty if it may."""
        return ""

    def lookup(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a path; see `ICatalog`."""

        def look() -> Deferred[Manifest | Collection | None]:
            return self._changes.read(lambda: self._state.find(path), path, plain=True)

        return self.kept.find(path, look, is_key=False)

    def admit_at_once(self, path: str, condition: Condition) -> Admitted | None:
        """Assume that a file may be put at a path, if this front knows the collections; see `ICatalog`.

        The commit judges all of it.  Where something is known that may speak against the file, the database is asked
        before the file is stored.
        """
        common = self._common
        if condition.none_match is not None or condition.unmodified_since_s is not None:
            return None
        if not holds_if_free(condition, path) or common.locks.are_there or self._meters.quotas or is_own(path):
            return None
        if self.ledger.has_refused(path):
            return None
        check_key_path(path) if condition.is_key else check_path(path)
        self._changes.refuse_read_only()
        chain = chain_to(common.folders, path)
        return None if chain is None else Admitted(None, condition, layout_of(chain), is_assumed=True)

    def known_file(self, path: str) -> tuple[Manifest, Prove | None] | None:
        """Look up a file, if that needs no more waiting than a proof; see `ICatalog`."""
        return self.kept.known_file(path)

    def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """List a page of a collection's members; see `ICatalog`."""

        def page() -> list[Member]:
            current: Any = self._state
            # By one statement, with one more, as a collection may come earlier.
            with current.stored_names.expecting(limit + 1):
                return self._list_members(path, after, limit)

        return self._changes.read(page, path)

    def admit(self, path: str, condition: Condition) -> Deferred[Admitted]:
        """Ask whether a file may be put at a path now; see `ICatalog`."""

        def admit_free() -> Admitted:
            check_key_path(path) if condition.is_key else check_path(path)
            self._changes.refuse_read_only()
            return Admitted(None, condition, "")

        admit, free = partial(self._admit, path, condition), (path, admit_free)
        manner = {"plain": True, "locks": True, "free": free if holds_if_free(condition, path) else None}
        return self._changes.read(admit, path, *condition.paths(), **manner)

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file, or a collection with all that is in it; see `ICatalog`."""
        with self._changes.manner(removes=True):
            return super().delete(path, condition)
