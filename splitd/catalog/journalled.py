"""The default catalog: a journal, and in memory the state that its records result in."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from splitd.catalog.alone import Alone
from splitd.catalog.binning import JournalledBin
from splitd.catalog.changes import Changes
from splitd.catalog.continuing import JournalledContinuedUploads
from splitd.catalog.deletions import JournalledDoomedParts
from splitd.catalog.disks import JournalledDisks
from splitd.catalog.documents import JournalledDocuments
from splitd.catalog.effects import apply
from splitd.catalog.finding import JournalledVersions
from splitd.catalog.healing import JournalledHealLedger
from splitd.catalog.imaging import Restorer
from splitd.catalog.judging import (
    hold,
    refuse_failed,
    refuse_locked_file,
    refuse_locked_name,
    refuse_removal,
)
from splitd.catalog.keys import JournalledKeys
from splitd.catalog.layouts import JournalledLayouts
from splitd.catalog.ledger import JournalledUploads
from splitd.catalog.locks import JournalledLocks
from splitd.catalog.metering import Claim, Meters
from splitd.catalog.moving import JournalledPartMoves
from splitd.catalog.namespace import JournalledNamespace
from splitd.catalog.quotas import JournalledQuotas
from splitd.catalog.state import State
from splitd.errors import BadName, NotAFile, ParentMissing, SplitdError
from splitd.interfaces.catalog import Admitted, ICatalog, Prove
from splitd.interfaces.fronts import IFronts
from splitd.interfaces.journal import IJournal
from splitd.interfaces.leases import ILeases
from splitd.interfaces.statistics import CatalogStatistics, ICatalogStatistics
from splitd.model import records
from splitd.model.branch import NO_PROPERTIES, Branch
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.paths import check_key_path, check_path, folder_of
from splitd.model.properties import PropertyChanges, refuse_too_large
from splitd.model.records import Record
from splitd.model.tree import Collection, Member
from storaged.system.clocks import WallClock


def new_cluster_id() -> str:
    """Make a cluster id that no other cluster has."""
    return uuid.uuid4().hex


@implementer(ICatalog, ICatalogStatistics)
class JournalledCatalog:
    """Names, uploads and parts, recorded in a journal.

    :param journal: nothing else may append to it.
    :param wall: tells the times of records.
    :param clock: calls later.
    :param new_id: makes the id of a new cluster.
    :param front: the id of the front that uses the catalog; a front gets a new one at each start.
    :param changed: called with each record in the step in which it takes effect, before anybody is told.
    :ivar ledger: its uploads: an `IUploadLedger`.
    :ivar continued: its uploads that can be continued: an `IContinuedLedger`.
    :ivar part_moves: its moves of parts: an `IPartMoves`.
    :ivar namespace: its moves, copies and properties of names: an `INamespace`.
    :ivar keys: its keys: an `IKeys`.
    :ivar locks: its locks: an `ILocks`.
    :ivar doomed_parts: its doomed parts: an `IDoomedParts`.
    :ivar versions: its versions by their uploads: an `IVersions`.
    :ivar layouts: the parity of its versions: an `ILayouts`.
    :ivar heal_ledger: its missing parts and lost nodes: an `IHealLedger`.
    :ivar quotas: its quotas: an `IQuotas`.
    :ivar disks: the disks of its nodes: an `IDisks`.
    :ivar documents: its small documents: an `IDocuments`.
    :ivar bin: its bin: an `IBin`.
    :ivar fronts: the fronts that share it: an `IFronts`.
    :ivar leases: their leases: an `ILeases`.
    """

    _log = Logger()

    def __init__(
        self,
        journal: IJournal,
        wall: WallClock,
        clock: IReactorTime,
        new_id: Callable[[], str] = new_cluster_id,
        *,
        front: str,
        changed: Callable[[Record], object] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._new_id = new_id
        self._state = State()
        self._changes = Changes(self._state, journal, wall, clock, changed)
        self.part_moves = JournalledPartMoves(self._state, self._changes, front)
        self._meters = meters = Meters(self._state)
        self.quotas = JournalledQuotas(self._changes, meters)
        self.ledger = JournalledUploads(self._state, self._changes, self.part_moves, front, meters)
        self.continued = JournalledContinuedUploads(self._state, self._changes, self.ledger, meters)
        self.namespace = JournalledNamespace(self._state, self._changes, meters)
        self.keys = JournalledKeys(self._state, self._changes, clock, new_id, meters)
        self.locks = JournalledLocks(self._state, self._changes, meters)
        self.doomed_parts = JournalledDoomedParts(self._state, self._changes)
        self.heal_ledger = JournalledHealLedger(self._state, self._changes)
        self.disks = JournalledDisks(self._state, self._changes)
        self.documents = JournalledDocuments(self._state, self._changes)
        alone = Alone()
        self.fronts: IFronts = alone
        self.leases: ILeases = alone
        self.bin = JournalledBin(self._state, self._changes, meters)
        self.versions = JournalledVersions(self._state)
        self.layouts = JournalledLayouts(self._state, self._changes)
        self._reaped_before = 0  # how many had been deleted before the start

    def cluster(self) -> Deferred[str]:
        """Look up the id of the catalog's cluster; see `ICatalogStatistics`."""
        return succeed(self._state.cluster)

    def statistics(self) -> Deferred[CatalogStatistics]:
        """Count the catalog's entries; see `ICatalogStatistics`."""
        state = self._state
        return succeed(
            CatalogStatistics(
                state.files,
                state.bytes_stored,
                len(state.uploads),
                len(state.doomed),
                state.doomed.ended - self._reaped_before,
                len(self._changes),
                state.widest,
                len(state.continued),
                state.continued.size,
                len(state.documents),
            )
        )

    def nodes(self) -> Deferred[set[str]]:
        """List the nodes that parts may lie on; see `ICatalogStatistics`."""
        return succeed(self._state.nodes())

    def held(self, now_ms: int) -> str:
        """Say why no part may be trashed because the catalog does not know it; empty if it may.

        :param now_ms: the time of day, in milliseconds since 1970.
        """
        restored = self._state.restored
        if restored is None or now_ms >= restored.until_ms:
            return ""
        restored_at, taken_at, until = map(_day, (restored.time_ms, restored.taken_ms, restored.until_ms))
        return (
            f"the journal was restored at {restored_at} from a backup of {taken_at}; "
            f"parts that it does not know are kept until {until}"
        )

    def start(self) -> Deferred[None]:
        """Read the journal.  This must be called once, before any other call.

        If the journal can be read but not written, the catalog can be read but not changed.

        :raise JournalDamaged: the journal has damage that a crash cannot have caused.
        :raise CatalogReadOnly: the journal is empty, and its first record cannot be written.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        if not await self._journal.replay(lambda record: apply(self._state, record), Restorer(self._state)):
            await self._changes.make(self._judge_opening, durable=True)
        self._reaped_before = self._state.doomed.ended

    def interrupt(self) -> Deferred[None]:
        """End a start in progress: read no more of the journal."""
        return self._journal.close()

    def close(self) -> Deferred[None]:
        """Do no more of that work, and close the journal."""
        self.stop()
        return self._journal.close()

    def watch_reads(self, reading: Callable[[], Iterable[str]]) -> None:
        """Nobody but this front deletes parts: what it reads need not be known to others.

        :param reading: returns the uploads whose versions downloads read now.
        """

    def stop(self) -> None:
        """Do no more of the work that changes have left behind; a restart does it.  May be called more than once."""
        self._changes.stop()
        self.keys.stop()

    def lookup(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a path; see `ICatalog`."""
        return execute(self._state.find, path)

    def known_file(self, path: str) -> tuple[Manifest, Prove | None] | None:
        """Look up a file, if that needs no more waiting than a proof; see `ICatalog`."""
        found = self._state.find(path)
        return (found, None) if isinstance(found, Manifest) else None

    def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """List a page of a collection's members; see `ICatalog`."""
        return execute(self._list_members, path, after, limit)

    def _list_members(self, path: str, after: str, limit: int) -> list[Member]:
        show, collection_of = self._state.shown, self._state.collection_of
        return [
            Member(name, collection_of(entry) if isinstance(entry, Branch) else show(entry))
            for name, entry in self._state.tree.page(path, after, limit)
        ]

    def admit(self, path: str, condition: Condition) -> Deferred[Admitted]:
        """Ask whether a file may be put at a path now; see `ICatalog`."""
        return execute(self._admit, path, condition)

    def admit_at_once(self, path: str, condition: Condition) -> Admitted | None:
        """Ask whether a file may be put at a path, if that needs no waiting; see `ICatalog`."""
        return self._admit(path, condition)

    def _admit(self, path: str, condition: Condition) -> Admitted:
        check_key_path(path) if condition.is_key else check_path(path)
        self._changes.refuse_read_only()
        lock_ms, is_key = self._changes.lock_ms(), condition.is_key
        refusal: SplitdError | None = None  # of a path where no file can be put
        try:
            version = self._state.tree.version(path, is_key=is_key)
        except (NotAFile, ParentMissing) as problem:
            version, refusal = None, problem
        present: Manifest | Collection | None = version and self._state.moves.place(version)
        if is_key or refusal is not None:
            present = self._state.find_key(path) if is_key else self._state.find(path)
        refuse_failed(self._state, condition, path, present, lock_ms)
        refuse_locked_file(self._state, condition, path, present, lock_ms)
        if refusal is not None:
            raise refusal
        replaced = present if isinstance(present, Manifest) else None
        layout = self._state.asked_layout(folder_of(path))[1]
        return Admitted(replaced, hold(self._state, condition, path, lock_ms), layout)

    def make_collection(
        self, path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; see `ICatalog`."""

        def judge() -> tuple[Record, Collection]:
            now_ms, lock_ms = self._changes.now_ms(), self._changes.lock_ms()
            self._state.tree.refuse_taken(path)
            refuse_failed(self._state, condition, path, None, lock_ms)
            refuse_locked_name(self._state, condition, path, lock_ms)
            refuse_too_large(NO_PROPERTIES, PropertyChanges(properties, ()))
            implies = self._state.tree.is_in_implied(path)
            return records.CollectionMade(path, now_ms, dict(properties), implies), Collection(now_ms, now_ms)

        return self._changes.make_at(path, judge, condition=condition, durable=True, check=check_path)

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file, or a collection with all that is in it; see `ICatalog`."""

        def judge() -> tuple[Record, None]:
            if path == "/":
                raise BadName("the root cannot be deleted")
            refuse_removal(self._state, condition, path, self._changes.lock_ms())
            return records.EntryDeleted(path, self._changes.now_ms()), None

        claim = Claim(self._meters)

        def prepare(_: Record) -> Iterator[None] | None:
            return self._meters.deletion(path, claim) if self._meters else None

        return self._changes.make_at(path, judge, condition=condition, durable=True, prepare=prepare, claim=claim.take)

    def _judge_opening(self) -> tuple[Record, None]:
        return records.JournalOpened(records.VERSION, self._new_id(), self._changes.now_ms()), None


def _day(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
