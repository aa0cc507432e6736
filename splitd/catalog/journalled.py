"""The default catalog: a journal, and in memory what its records come to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred, FirstError, execute, fail, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from splitd.catalog.changes import Changes, Judge
from splitd.catalog.deletions import JournalledDoomedParts
from splitd.catalog.effects import apply
from splitd.catalog.judging import refuse_failed, refuse_locked_file, refuse_locked_name
from splitd.catalog.locks import JournalledLocks
from splitd.catalog.namespace import JournalledNamespace
from splitd.catalog.state import State
from splitd.errors import BadName, CatalogReadOnly, MoveRefused, NotFound, UploadAborted
from splitd.interfaces.catalog import ICatalog, IJournal, IPartMoves, IUploadLedger
from splitd.model import records
from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.properties import PropertyChanges, refuse_too_large
from splitd.model.records import Record
from splitd.model.tree import Collection, Member, check_path
from storaged.parts.format import PartId
from storaged.system.clocks import WallClock

_Result = TypeVar("_Result")


@attrs.frozen
class CatalogStatistics:
    """What there is, for those who look on.

    :param bytes_stored: the bytes of all files, as their clients count them.
    :param uploads: uploads under way.
    :param doomed: uploads whose parts are to be deleted, and copies of parts that were moved.
    :param reaped: those of which all parts were deleted since the start.
    :param changes: changes under way, and those that wait for them.
    """

    files: int
    bytes_stored: int
    uploads: int
    doomed: int
    reaped: int
    changes: int


def new_cluster_id() -> str:
    """A cluster id that no other cluster has."""
    return uuid.uuid4().hex


@implementer(ICatalog, IUploadLedger, IPartMoves)
class JournalledCatalog:
    """Names and uploads, kept in a journal.

    :param journal: nobody else appends to it.
    :param wall: tells the times that records have.
    :param clock: calls later.
    :param new_id: makes the id of a new cluster.
    :ivar cluster: the cluster's id; empty before `start` has fired.
    :ivar namespace: moves, copies and properties in it: an `INamespace`.
    :ivar locks: the locks in it: an `ILocks`.
    :ivar doomed_parts: the parts to delete: an `IDoomedParts`.
    """

    _log = Logger()

    def __init__(
        self, journal: IJournal, wall: WallClock, clock: IReactorTime, new_id: Callable[[], str] = new_cluster_id
    ) -> None:
        self._journal = journal
        self._new_id = new_id
        self._state = State()
        self._changes = Changes(self._state, journal, wall, clock)
        self.namespace = JournalledNamespace(self._state, self._changes)
        self.locks = JournalledLocks(self._state, self._changes)
        self.doomed_parts = JournalledDoomedParts(self._state, self._changes)
        self._reaped_before = 0  # as the journal tells it, before the start
        self.cluster = ""

    def statistics(self) -> CatalogStatistics:
        """How much there is just now."""
        state = self._state
        return CatalogStatistics(
            state.files,
            state.bytes_stored,
            len(state.uploads),
            len(state.doomed),
            state.doomed.ended - self._reaped_before,
            len(self._changes),
        )

    def nodes(self) -> set[str]:
        """The nodes that parts may lie on.  It takes a while."""
        return self._state.nodes()

    def start(self) -> Deferred[None]:
        """Read the journal.  To be called once, first.

        Uploads and moves that were under way when splitd ended are aborted.  Where the journal can be read and not
        written, the catalog can be read.

        :raise JournalDamaged: the journal is not what was written.
        :raise CatalogReadOnly: the journal is empty, and its first record cannot be written.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        if not await self._journal.replay(lambda record: apply(self._state, record)):
            await self._change(self._judge_opening, durable=True)
        self._reaped_before = self._state.doomed.ended
        leftovers = [self.abort(upload, "splitd was restarted") for upload in list(self._state.uploads)]
        leftovers += [self.abort_move(copy, "splitd was restarted") for copy in list(self._state.moves.under_way)]
        try:
            await gatherResults(leftovers, consumeErrors=True)
        except FirstError as problem:
            problem.subFailure.trap(CatalogReadOnly)
            self._log.error(
                "{count} uploads and moves of before the restart cannot be aborted: {reason}",
                count=len(leftovers),
                reason=problem.subFailure.getErrorMessage(),
            )
        self.cluster = self._state.cluster

    def stop(self) -> None:
        """Do no more work that changes have left behind; a restart does it.  May be called again."""
        self._changes.stop()

    def lookup(self, path: str) -> Deferred[Manifest | Collection | None]:
        """What there is of this name; see `ICatalog`."""
        return execute(self._lookup, path)

    def _lookup(self, path: str) -> Manifest | Collection | None:
        found = self._state.tree.lookup(path)
        return self._state.moves.place(found) if isinstance(found, Manifest) else found

    def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """A page of a collection; see `ICatalog`."""
        return execute(self._list_members, path, after, limit)

    def _list_members(self, path: str, after: str, limit: int) -> list[Member]:
        place = self._state.moves.place
        return [
            Member(member.name, place(member.entry)) if isinstance(member.entry, Manifest) else member
            for member in self._state.tree.list_members(path, after, limit)
        ]

    def make_collection(
        self, path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; see `ICatalog`."""

        def judge() -> tuple[Record, Collection]:
            now_ms, lock_ms = self._now_ms(), self._changes.lock_ms()
            self._state.tree.refuse_taken(path)
            refuse_failed(self._state, condition, path, None, lock_ms)
            refuse_locked_name(self._state, condition, path, lock_ms)
            refuse_too_large(NO_PROPERTIES, PropertyChanges(properties, ()))
            return records.CollectionMade(path, now_ms, dict(properties)), Collection(now_ms, now_ms)

        return self._change(judge, path=path, condition=condition, durable=True)

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file, or a collection with all that is in it; see `ICatalog`."""

        def judge() -> tuple[Record, None]:
            if path == "/":
                raise BadName("the root cannot be deleted")
            present = self._state.tree.lookup(path)
            if present is None:
                raise NotFound(f"there is no {path}")
            lock_ms = self._changes.lock_ms()
            refuse_failed(self._state, condition, path, present, lock_ms)
            refuse_locked_name(self._state, condition, path, lock_ms)
            return records.EntryDeleted(path, self._now_ms()), None

        return self._change(judge, path=path, condition=condition, durable=True)

    def begin(self, upload: str, path: str, nodes: Sequence[str]) -> Deferred[None]:
        """Note that parts of an upload may lie on these nodes; see `IUploadLedger`."""

        def judge() -> tuple[Record, None]:
            check_path(path)
            state = self._state
            if upload in state.uploads or upload in state.doomed or state.versions.find(upload) is not None:
                raise ValueError(f"upload {upload} was begun already")
            return records.UploadStarted(upload, path, tuple(nodes), self._now_ms()), None

        return self._change(judge, upload=upload, durable=False)

    def commit(self, path: str, manifest: Manifest, condition: Condition) -> Deferred[bool]:
        """Give a file its name; see `IUploadLedger`.

        :raise UploadAborted: the upload is not under way.
        """

        def judge() -> tuple[Record, bool]:
            upload = self._state.uploads.get(manifest.upload)
            if upload is None:
                raise UploadAborted(f"upload {manifest.upload} is not under way")
            if manifest.nodes and manifest.nodes != upload.nodes:
                raise ValueError(
                    f"upload {manifest.upload} was begun on {upload.nodes}, its manifest names {manifest.nodes}"
                )
            present = self._state.tree.version(path)
            lock_ms = self._changes.lock_ms()
            refuse_failed(self._state, condition, path, present, lock_ms)
            refuse_locked_file(self._state, condition, path, present, lock_ms)
            return records.FileCommitted(path, manifest), present is None

        return self._change(judge, path=path, upload=manifest.upload, condition=condition, durable=True)

    def abort(self, upload: str, reason: str) -> Deferred[None]:
        """End an upload that will not be committed; see `IUploadLedger`.

        Does nothing where the upload is not under way.
        """

        def judge() -> tuple[Record | None, None]:
            if upload not in self._state.uploads:
                return None, None
            return records.UploadAborted(upload, _printable(reason), self._now_ms()), None

        return self._change(judge, upload=upload, durable=False)

    def orphans(self, node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the parts that have no reason to lie on a node; see `IUploadLedger.orphans`."""
        return succeed([part for part in parts if not self._state.knows(part, node)])

    def begin_move(self, path: str, copy: PartCopy) -> Deferred[None]:
        """Note that a copy of a part may lie on another node; see `IPartMoves`."""

        def judge() -> tuple[Record, None]:
            nodes = self._moving(path, copy).nodes
            if copy.node in nodes:
                raise MoveRefused(f"{path}: a part of it lies on node {copy.node} already")
            try:
                self._state.moves.refuse_start(copy)
            except ValueError as problem:
                raise MoveRefused(f"{path}: {problem}") from problem
            return records.PartMoveStarted(*copy, self._now_ms()), None

        return self._change(judge, path=path, upload=copy.upload, durable=False)

    def commit_move(self, path: str, copy: PartCopy) -> Deferred[None]:
        """Let a copy take the place of the part; see `IPartMoves`."""

        def judge() -> tuple[Record, None]:
            moving = self._moving(path, copy)
            source = moving.nodes[copy.index]
            try:
                self._state.moves.refuse_commit(copy, source, moving)
            except ValueError as problem:
                raise MoveRefused(f"{path}: {problem}") from problem
            return records.PartMoved(path, copy.upload, copy.index, source, copy.node), None

        return self._change(judge, path=path, upload=copy.upload, durable=True)

    def _moving(self, path: str, copy: PartCopy) -> Manifest:
        """The file that a part to be moved is of."""
        found = self._lookup(path)
        if not isinstance(found, Manifest) or found.upload != copy.upload:
            raise MoveRefused(f"{path} is not of upload {copy.upload} any more")
        return found

    def abort_move(self, copy: PartCopy, reason: str) -> Deferred[None]:
        """End a move that will not be committed; see `IPartMoves`.

        Does nothing where it is not under way.
        """

        def judge() -> tuple[Record | None, None]:
            if copy not in self._state.moves.under_way:
                return None, None
            return records.PartMoveAborted(*copy, _printable(reason), self._now_ms()), None

        return self._change(judge, upload=copy.upload, durable=False)

    def _judge_opening(self) -> tuple[Record, None]:
        return records.JournalOpened(records.VERSION, self._new_id(), self._now_ms()), None

    def _change(
        self,
        judge: Judge[_Result],
        *,
        path: str | None = None,
        upload: str | None = None,
        condition: Condition = ALWAYS,
        durable: bool,
    ) -> Deferred[_Result]:
        """Make a change when its turn has come.

        :param judge: see `Changes.make`.
        :param path: the name that the change is about.
        :param upload: the upload that it is about.
        :param condition: what it depends on.
        """
        try:
            if path is not None:
                check_path(path)
        except BadName:
            return fail()
        # The root touches all paths, but these changes of it are only refused: nobody need wait for them.
        keys = [key for key in (path, upload) if key is not None and key != "/"]
        return self._changes.make(judge, *keys, *condition.paths(), durable=durable)

    def _now_ms(self) -> int:
        return self._changes.now_ms()


def _printable(reason: str) -> str:
    """A reason that can be written down: one that came from outside may hold lone surrogates."""
    return reason.encode(errors="replace").decode()
