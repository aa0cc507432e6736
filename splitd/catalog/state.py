"""What the records of a journal come to: `state = fold(apply, records)`.  Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal

import attrs

from splitd.catalog.doomed import DoomedParts
from splitd.catalog.part_moves import PartMoves
from splitd.errors import SplitdError
from splitd.model.holdings import Known
from splitd.model.locks import EXCLUSIVE, Lock, Locks
from splitd.model.manifest import Manifest
from splitd.model.records import (
    MOST_GONE,
    VERSION,
    CollectionMade,
    CollectionTouched,
    EntryCopied,
    EntryDeleted,
    EntryMoved,
    FileCommitted,
    JournalOpened,
    LockReleased,
    LockTaken,
    PartCopyReaped,
    PartMoveAborted,
    PartMoved,
    PartMoveStarted,
    PartsGone,
    PartsReaped,
    PropertiesChanged,
    Record,
    SnapshotEnded,
    UploadAborted,
    UploadStarted,
)
from splitd.model.tree import Tree
from storaged.parts.format import parse_part_id


@attrs.frozen
class UnderWay:
    """An upload that has neither been committed nor aborted.

    :param nodes: where its parts may lie, by the parts' index.
    :param time_ms: when it was begun, milliseconds since 1970.
    """

    path: str
    nodes: tuple[str, ...]
    time_ms: int


class State:
    """Names, uploads under way and parts to delete.

    Changed by `apply` only.

    :ivar cluster: the cluster's id; empty before the first record.
    :ivar uploads: uploads under way, by their ids.
    :ivar doomed: the parts to delete, oldest first.
    :ivar moves: moves of parts, and where the parts lie afterwards.
    :ivar shared: how many names each version has that has several: its parts go with the last of them.
    :ivar files: how many files there are; a copy is one more.
    :ivar bytes_stored: the bytes of all files, as their clients count them.
    """

    def __init__(self) -> None:
        self.cluster = ""
        self.tree = Tree(0)
        self.uploads: dict[str, UnderWay] = {}
        self.doomed = DoomedParts()
        self.moves = PartMoves(self.doomed)
        self.shared: dict[str, int] = {}
        self.locks = Locks()
        self.files = 0
        self.bytes_stored = 0

    def known(self) -> Known:
        """All parts that are needed, under way or to be deleted."""
        nodes = {manifest.upload: manifest.nodes for manifest in self.tree.files()}
        nodes.update(self.moves.moved())
        nodes.update((upload, under_way.nodes) for upload, under_way in self.uploads.items())
        nodes.update(self.doomed.uploads())
        return Known(nodes, frozenset(self.moves.copies()))

    def nodes(self) -> set[str]:
        """The nodes that parts may lie on."""
        places = {self.moves.nodes_of(manifest) for manifest in self.tree.files()}
        places.update(upload.nodes for upload in self.uploads.values())
        return {node for nodes in places for node in nodes} | {
            *self.doomed.nodes(),
            *(copy.node for copy in self.moves.under_way),
        }

    def records(self) -> Iterator[Record]:
        """Records that come to this state, in an order in which they can be applied.

        It must not be changed until all were taken.
        """
        collections = [("/", root := self.tree.collection("/"))]
        names: dict[str, str] = {}
        yield JournalOpened(VERSION, self.cluster, root.created_ms)
        for path, entry in self.tree.walk():
            if not isinstance(entry, Manifest):
                collections.append((path, entry))
                yield CollectionMade(path, entry.created_ms)
            elif entry.upload in self.shared and names.setdefault(entry.upload, path) != path:
                yield EntryCopied(names[entry.upload], path, "0", entry.created_ms)
            else:
                yield FileCommitted(path, self.moves.place(entry))
        for path, collection in collections:
            yield CollectionTouched(path, collection.modified_ms)
        for path, properties in self.tree.all_properties():
            yield PropertiesChanged(path, dict(properties))
        for lock in self.locks:
            yield lock_taken(lock)
        yield from self._doomed_records()
        for upload, under_way in self.uploads.items():
            yield UploadStarted(upload, under_way.path, under_way.nodes, under_way.time_ms)
        yield from self.moves.records()

    def _doomed_records(self) -> Iterator[Record]:
        gone: dict[str, list[str]] = {}
        for entry in self.doomed:
            if entry.is_copy:
                yield PartMoveStarted(entry.upload, entry.first, entry.nodes[0], 0)
                yield PartMoveAborted(entry.upload, entry.first, entry.nodes[0], "the copy is to be deleted", 0)
                continue
            yield UploadStarted(entry.upload, "/", entry.nodes, 0)
            yield UploadAborted(entry.upload, "its parts are to be deleted", 0)
            for node, part in entry.confirmed():
                gone.setdefault(node, []).append(str(part))
                if len(gone[node]) == MOST_GONE:
                    yield PartsGone(node, tuple(gone.pop(node)))
        for node, parts in gone.items():
            yield PartsGone(node, tuple(parts))


def apply(state: State, record: Record) -> None:
    """Let a record take its effect.

    :raise ValueError: it contradicts what was before it, so no correct program wrote it; the message names it.
    """
    try:
        if not state.cluster:
            _refuse_before_opening(record)
        _EFFECTS[type(record)](state, record)
    except (SplitdError, ValueError) as problem:
        raise ValueError(f"{_name(record)}: {problem}") from problem


def _name(record: Record) -> str:
    tag = str(record.__struct_config__.tag)
    match record:
        case JournalOpened():
            return f"{tag} {record.cluster}"
        case EntryMoved() | EntryCopied():
            return f"{tag} {record.source} to {record.target}"
        case LockReleased():
            return f"{tag} {record.token}"
        case (
            FileCommitted()
            | CollectionMade()
            | EntryDeleted()
            | CollectionTouched()
            | PropertiesChanged()
            | LockTaken()
        ):
            return f"{tag} {record.path}"
        case PartMoveStarted() | PartMoved() | PartMoveAborted() | PartCopyReaped():
            return f"{tag} {record.upload}.{record.index}"
        case UploadStarted() | UploadAborted() | PartsReaped():
            return f"{tag} {record.upload}"
        case PartsGone():
            return f"{tag} {record.node}"
        case SnapshotEnded():
            return f"{tag} {record.next}"


def _refuse_before_opening(record: Record) -> None:
    if type(record) is not JournalOpened:
        raise ValueError("comes before journal-opened")


def _opened(state: State, record: JournalOpened) -> None:
    if state.cluster:
        raise ValueError(f"the journal is that of cluster {state.cluster} already")
    if record.version != VERSION:
        raise ValueError(f"version {record.version} of the format, only {VERSION} is known here")
    if not record.cluster:
        raise ValueError("it has no cluster id")
    state.cluster = record.cluster
    state.tree = Tree(record.time_ms)


def _upload_started(state: State, record: UploadStarted) -> None:
    if record.upload in state.uploads or record.upload in state.doomed:
        raise ValueError("it was begun already")
    state.uploads[record.upload] = UnderWay(record.path, tuple(map(sys.intern, record.nodes)), record.time_ms)


def _upload_aborted(state: State, record: UploadAborted) -> None:
    upload = state.uploads.pop(record.upload, None)
    if upload is None:
        raise ValueError("it is not under way")
    _doom(state, record.upload, upload.nodes)


def _file_committed(state: State, record: FileCommitted) -> None:
    manifest = _compact(record.manifest)
    if manifest.nodes and manifest.upload in state.doomed:
        raise ValueError(f"the parts of upload {manifest.upload} are to be deleted already")
    replaced = state.tree.put_file(record.path, manifest, manifest.created_ms)
    upload = state.uploads.pop(manifest.upload, None)
    if upload is not None and not manifest.nodes:
        # An empty file has no parts: those that were begun for it are nobody's.
        _doom(state, manifest.upload, upload.nodes)
    _count(state, manifest)
    if replaced is not None:
        _forget(state, replaced)


def _collection_made(state: State, record: CollectionMade) -> None:
    state.tree.make_collection(record.path, record.time_ms)
    state.tree.set_properties(record.path, record.properties)


def _entry_deleted(state: State, record: EntryDeleted) -> None:
    for manifest in state.tree.delete(record.path, record.time_ms):
        _forget(state, manifest)
    state.locks.drop_at(record.path)
    state.locks.drop_below(record.path)


def _entry_moved(state: State, record: EntryMoved) -> None:
    for manifest in state.tree.move(record.source, record.target, record.time_ms):
        _forget(state, manifest)
    # A lock stays where it was taken (RFC 4918 section 7.6): that of the target covers what is there now.
    state.locks.drop_at(record.source)
    state.locks.drop_below(record.source)
    state.locks.drop_below(record.target)


def _entry_copied(state: State, record: EntryCopied) -> None:
    deep = record.depth == "infinity"
    replaced, copied = state.tree.copy(record.source, record.target, record.time_ms, deep=deep)
    for manifest in copied:
        _share(state, manifest)
    for manifest in replaced:
        _forget(state, manifest)
    state.locks.drop_below(record.target)


def _properties_changed(state: State, record: PropertiesChanged) -> None:
    properties = {**state.tree.properties(record.path), **{sys.intern(name): record.set[name] for name in record.set}}
    for name in record.removed:
        properties.pop(name, None)
    state.tree.set_properties(record.path, properties)


def _lock_taken(state: State, record: LockTaken) -> None:
    if record.file is not None:
        _make_file(state, record.path, _compact(record.file))
    if state.tree.lookup(record.path) is None:
        raise ValueError("there is nothing to lock")
    lock = Lock(
        record.path,
        record.token,
        record.scope,
        record.depth == "infinity",
        record.owner,
        record.time_ms,
        record.expires_ms,
    )
    state.locks.take(lock)


def _make_file(state: State, path: str, manifest: Manifest) -> None:
    state.tree.refuse_taken(path)
    state.tree.put_file(path, manifest, manifest.created_ms)
    _count(state, manifest)


def lock_taken(lock: Lock, file: Manifest | None = None) -> LockTaken:
    """The record of a lock."""
    scope: Literal["exclusive", "shared"] = "exclusive" if lock.scope == EXCLUSIVE else "shared"
    return LockTaken(
        lock.path,
        lock.token,
        scope,
        "infinity" if lock.deep else "0",
        lock.owner,
        lock.taken_ms,
        lock.expires_ms,
        file,
    )


def _lock_released(state: State, record: LockReleased) -> None:
    # It may have expired meanwhile, and be gone already.
    state.locks.release(record.token)


def _parts_reaped(state: State, record: PartsReaped) -> None:
    if record.upload not in state.doomed:
        raise ValueError("it has no parts to delete")
    state.doomed.drop(record.upload)


def _parts_gone(state: State, record: PartsGone) -> None:
    for part in record.parts:
        # A part may be confirmed twice: whoever repeats a deletion finds it gone.
        state.doomed.confirm(record.node, parse_part_id(part))


def _part_move_started(state: State, record: PartMoveStarted) -> None:
    state.moves.start(record)


def _part_moved(state: State, record: PartMoved) -> None:
    manifest = state.tree.version(record.path)
    if manifest is None:
        raise ValueError(f"there is no {record.path}")
    state.moves.commit(record, manifest)


def _part_move_aborted(state: State, record: PartMoveAborted) -> None:
    state.moves.abort(record)


def _part_copy_reaped(state: State, record: PartCopyReaped) -> None:
    state.moves.reaped(record)


def _collection_touched(state: State, record: CollectionTouched) -> None:
    state.tree.touch(record.path, record.time_ms)


def _snapshot_ended(_: State, __: SnapshotEnded) -> None:
    raise ValueError("it belongs at the end of a snapshot")


def _count(state: State, manifest: Manifest) -> None:
    state.files += 1
    state.bytes_stored += manifest.size


def _share(state: State, manifest: Manifest) -> None:
    """A file has one more name."""
    _count(state, manifest)
    if manifest.nodes:
        state.shared[manifest.upload] = state.shared.get(manifest.upload, 1) + 1


def _forget(state: State, manifest: Manifest) -> None:
    """A name of a file is gone, and with the last one its parts."""
    state.files -= 1
    state.bytes_stored -= manifest.size
    names = state.shared.pop(manifest.upload, 1) - 1
    if names > 1:
        state.shared[manifest.upload] = names
    elif not names:
        _doom(state, manifest.upload, state.moves.nodes_of(manifest))
        state.moves.forget(manifest.upload)


def _doom(state: State, upload: str, nodes: tuple[str, ...]) -> None:
    state.doomed.add(upload, nodes)


def _compact(manifest: Manifest) -> Manifest:
    """The same manifest with its common texts shared: among a million files they would take most of the memory."""
    return Manifest(
        manifest.upload,
        manifest.size,
        manifest.created_ms,
        manifest.data,
        manifest.parity,
        _UNITS.setdefault(manifest.unit, manifest.unit),
        tuple(map(sys.intern, manifest.nodes)),
        sys.intern(manifest.content_type),
    )


_UNITS: dict[int, int] = {}

_EFFECTS: dict[type, Callable[[State, Any], None]] = {
    JournalOpened: _opened,
    UploadStarted: _upload_started,
    UploadAborted: _upload_aborted,
    FileCommitted: _file_committed,
    CollectionMade: _collection_made,
    EntryDeleted: _entry_deleted,
    EntryMoved: _entry_moved,
    EntryCopied: _entry_copied,
    PropertiesChanged: _properties_changed,
    LockTaken: _lock_taken,
    LockReleased: _lock_released,
    PartsReaped: _parts_reaped,
    PartsGone: _parts_gone,
    PartMoveStarted: _part_move_started,
    PartMoved: _part_moved,
    PartMoveAborted: _part_move_aborted,
    PartCopyReaped: _part_copy_reaped,
    CollectionTouched: _collection_touched,
    SnapshotEnded: _snapshot_ended,
}
