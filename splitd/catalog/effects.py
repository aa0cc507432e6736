"""The effects of records: `state = fold(apply, records)`.  Pure."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from splitd.catalog.state import State, UnderWay
from splitd.errors import SplitdError
from splitd.model.branch import Branch
from splitd.model.holdings import PartCopy
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.packing import KEY, Packed
from splitd.model.paths import place_of
from splitd.model.properties import LAYOUT, read_layout
from splitd.model.records import (
    VERSION,
    CollectionMade,
    CollectionTouched,
    ContinuedUploadAborted,
    ContinuedUploadBegun,
    DiskChecked,
    EntryCopied,
    EntryDeleted,
    EntryMoved,
    FileCommitted,
    JournalOpened,
    JournalRestored,
    KeyCopied,
    KeyDeleted,
    LayoutChanged,
    LockReleased,
    LockTaken,
    NodeLost,
    PartCopyReaped,
    PartMoveAborted,
    PartMoved,
    PartMoveStarted,
    PartsGone,
    PartsLost,
    PartsReaped,
    PropertiesChanged,
    Record,
    SegmentCommitted,
    SnapshotEnded,
    UploadAborted,
    UploadStarted,
    VersionKept,
)
from splitd.model.tree import Tree
from storaged.parts.format import parse_part_id


def apply(state: State, record: Record) -> None:
    """Apply a record to the state, and do all the work that it leaves behind.

    :raise ValueError: as `enact` does.
    """
    enact(state, record)
    state.settle()


def enact(state: State, record: Record) -> None:
    """Apply a record to the state.  The work that it leaves behind is for `State.work`.

    :raise ValueError: the record contradicts those before it, so no correct program wrote it; the message names it.
    """
    try:
        if not state.cluster:
            _refuse_before_opening(record)
        _EFFECTS[type(record)](state, record)
    except (SplitdError, ValueError) as problem:
        raise ValueError(f"{_name(record)}: {problem}") from problem


def _name(record: Record) -> str:
    return f"{record.__struct_config__.tag} {_SUBJECTS[type(record)].format(record)}"


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
    state.tree = Tree(record.time_ms, state.packing)


def _upload_started(state: State, record: UploadStarted) -> None:
    if record.upload in state.uploads or record.upload in state.doomed:
        raise ValueError("it was begun already")
    nodes, front = tuple(map(sys.intern, record.nodes)), sys.intern(record.front)
    state.uploads[record.upload] = UnderWay(record.path, nodes, record.time_ms, front)


def _upload_aborted(state: State, record: UploadAborted) -> None:
    upload = state.uploads.pop(record.upload, None)
    if upload is None:
        raise ValueError("it is not under way")
    state.doomed.add(record.upload, upload.nodes)


def _file_committed(state: State, record: FileCommitted) -> None:
    manifest = record.manifest
    if manifest.nodes and manifest.upload in state.doomed:
        raise ValueError(f"the parts of upload {manifest.upload} are to be deleted already")
    packed = state.packing.pack(manifest)
    replaced = state.tree.put(record.path, packed, manifest.created_ms, is_key=record.implies)
    _end_upload(state, manifest)
    continued = state.continued.end(manifest.upload)
    if continued is not None:
        # Those that were not chosen are no part of the file.
        chosen = set(manifest.segments.ids())
        state.drop([each for each in continued.segments.values() if each[:KEY] not in chosen])
    state.count(manifest, packed)
    state.release(replaced)


def _end_upload(state: State, manifest: Manifest) -> None:
    """Take note that an upload is committed.  What it has left on nodes that its manifest does not name is doomed."""
    upload = state.uploads.pop(manifest.upload, None)
    if upload is not None and not manifest.nodes:
        # An empty file has no parts, so the parts that were begun for it are doomed.
        state.doomed.add(manifest.upload, upload.nodes)
    elif upload is not None and "" in manifest.nodes:
        for index, node in enumerate(upload.nodes):
            if node and not manifest.nodes[index]:
                state.doomed.add_copy(PartCopy(manifest.upload, index, node))


def _continued_begun(state: State, record: ContinuedUploadBegun) -> None:
    state.continued.begin(record.upload, record.path, record.said, record.time_ms)


def _segment_committed(state: State, record: SegmentCommitted) -> None:
    manifest = record.manifest
    if manifest.segment_of not in state.continued:
        raise ValueError("its upload is not under way")
    packed = _keep(state, manifest)
    _end_upload(state, manifest)
    replaced = state.continued.put(manifest.segment_of, record.number, packed, manifest.created_ms)
    if replaced is not None and replaced[:KEY] != packed[:KEY]:
        state.drop([replaced])


def _keep(state: State, manifest: Manifest) -> Packed:
    """Add a segment; the image of a snapshot has added it already."""
    if not manifest.segment_of:
        raise ValueError(f"upload {manifest.upload} is no segment")
    if manifest.nodes and manifest.upload in state.doomed:
        raise ValueError(f"the parts of upload {manifest.upload} are to be deleted already")
    packed = state.versions.find(manifest.upload)
    if packed is None:
        packed = state.packing.pack(manifest)
        state.add_version(manifest, packed)
    elif state.packing.unpack(packed).segment_of != manifest.segment_of:
        raise ValueError(f"there is another version of upload {manifest.upload}")
    return packed


def _continued_aborted(state: State, record: ContinuedUploadAborted) -> None:
    continued = state.continued.end(record.upload)
    if continued is None:
        raise ValueError("it is not under way")
    state.drop(list(continued.segments.values()))


def _version_kept(state: State, record: VersionKept) -> None:
    _keep(state, record.manifest)


def _collection_made(state: State, record: CollectionMade) -> None:
    if record.implies:
        state.tree.make_folders(record.path, record.time_ms)
    state.tree.make_collection(record.path, record.time_ms, implied=record.implied)
    state.tree.set_properties(record.path, record.properties)


def _entry_deleted(state: State, record: EntryDeleted) -> None:
    removed = state.tree.delete(record.path, record.time_ms)
    state.release(removed)
    _drop_locks(state, record.path, is_collection=isinstance(removed, Branch))
    _prune(state, record.path, record.time_ms)


def _drop_locks(state: State, path: str, *, is_collection: bool) -> None:
    """Drop the locks on what was removed from a path, unless they are also locks on what has the same name."""
    if is_collection:
        state.locks.drop_below(path)
    if not state.tree.has(place_of(path)):
        state.locks.drop_at(path)


def _key_deleted(state: State, record: KeyDeleted) -> None:
    state.release(state.tree.unkeep(record.path))
    _prune(state, record.path, record.time_ms)


def _prune(state: State, path: str, time_ms: int) -> None:
    """Remove the implied collections that a removal at a path has left empty."""
    for gone in state.tree.prune(path, time_ms):
        _drop_locks(state, gone, is_collection=True)


def _entry_moved(state: State, record: EntryMoved) -> None:
    if record.implies:
        state.tree.make_folders(record.target, record.time_ms)
    is_collection = state.tree.has_collection(record.source)
    replaced = state.tree.move(record.source, record.target, record.time_ms)
    state.release(replaced)
    # A lock does not move (RFC 4918 section 7.6): a lock on the target covers the moved entry from now on.
    _drop_locks(state, record.source, is_collection=is_collection)
    if isinstance(replaced, Branch):
        state.locks.drop_below(record.target)
    _prune(state, record.source, record.time_ms)


def _entry_copied(state: State, record: EntryCopied) -> None:
    deep = record.depth == "infinity"
    if record.implies:
        state.tree.make_folders(record.target, record.time_ms)
    state.tree.refuse_copy(record.source, record.target, deep=deep)
    if record.target not in state.copies:
        exhaust(state.copy(record.source, record.target, record.time_ms, deep=deep))
    if state.tree.has_collection(record.target):
        state.locks.drop_below(record.target)
    state.put_copy(record.source, record.target, record.time_ms)


def _key_copied(state: State, record: KeyCopied) -> None:
    state.copy_key(record.source, record.target, record.time_ms, record.media)


def _properties_changed(state: State, record: PropertiesChanged) -> None:
    properties = dict(state.tree.properties(record.path))
    properties.update((state.shared_texts.share(name), element) for name, element in record.set.items())
    for name in record.removed:
        properties.pop(name, None)
    state.tree.set_properties(record.path, properties)
    if record.keeps:
        state.tree.keep(record.path)
    if LAYOUT in record.set:
        data, _, parity = read_layout(record.set[LAYOUT]).partition("+")
        state.widest = max(state.widest, int(data or 0) + int(parity or 0))


def _lock_taken(state: State, record: LockTaken) -> None:
    if record.file is not None:
        if record.implies:
            state.tree.make_folders(record.path, record.time_ms)
        _make_file(state, record.path, record.file)
    # A lock on a collection goes on for the file of its name when the collection is gone.
    if not (state.tree.has(record.path) or state.tree.has(place_of(record.path))):
        raise ValueError("there is nothing to lock")
    lock = Lock(
        record.path,
        record.token,
        record.scope,
        record.depth == "infinity",
        record.owner,
        record.time_ms,
        record.expires_ms,
        record.user,
    )
    state.locks.take(lock)


def _make_file(state: State, path: str, manifest: Manifest) -> None:
    state.tree.refuse_taken(path)
    packed = state.packing.pack(manifest)
    state.tree.put(path, packed, manifest.created_ms)
    state.count(manifest, packed)


def _lock_released(state: State, record: LockReleased) -> None:
    # The lock may have expired since, and been dropped already.
    state.locks.release(record.token)


def _parts_reaped(state: State, record: PartsReaped) -> None:
    if record.upload not in state.doomed:
        raise ValueError("it has no parts to delete")
    state.doomed.drop(record.upload)


def _parts_gone(state: State, record: PartsGone) -> None:
    for part in record.parts:
        # A part may be confirmed twice, because deletions are repeated after failures.
        state.doomed.confirm(record.node, parse_part_id(part))


def _part_move_started(state: State, record: PartMoveStarted) -> None:
    state.moves.start(record)


def _part_moved(state: State, record: PartMoved) -> None:
    manifest = state.committed(record.upload)
    if manifest is None:
        # Its last name was removed while this record was on its way to the disk.
        state.moves.abort(record)
        return
    state.moves.commit(record, manifest)
    state.count_move(manifest, record.source, record.target)


def _part_move_aborted(state: State, record: PartMoveAborted) -> None:
    state.moves.abort(record)


def _part_copy_reaped(state: State, record: PartCopyReaped) -> None:
    state.moves.reaped(record)


def _parts_lost(state: State, record: PartsLost) -> None:
    node = sys.intern(record.node)
    for part in map(parse_part_id, record.parts):
        # The file may have been deleted while this record was on its way to the disk.
        manifest = state.committed(part.upload)
        if manifest is None or state.moves.nodes_of(manifest)[part.index : part.index + 1] != (node,):
            continue
        state.moves.lose(manifest, part.index)
        state.count_move(manifest, node, "")
        if record.remains:
            state.doomed.add_copy(PartCopy(part.upload, part.index, node))


def _node_lost(state: State, record: NodeLost) -> None:
    state.lost[sys.intern(record.node)] = None


def _disk_checked(state: State, record: DiskChecked) -> None:
    state.disks[sys.intern(record.node)] = record.disk


def _layout_changed(state: State, record: LayoutChanged) -> None:
    # The last name of the version may have been removed while this record was on its way to the disk.
    manifest = state.committed(record.upload)
    if manifest is not None:
        state.change_parity(manifest, record.parity)


def _collection_touched(state: State, record: CollectionTouched) -> None:
    state.tree.touch(record.path, record.time_ms)


def _snapshot_ended(_: State, __: SnapshotEnded) -> None:
    raise ValueError("it belongs at the end of a snapshot")


def exhaust(steps: Iterator[None]) -> None:
    """Do all steps of a generator at once."""
    deque(steps, maxlen=0)


def _journal_restored(state: State, record: JournalRestored) -> None:
    state.restored = record


_SUBJECTS: dict[type, str] = {
    JournalOpened: "{0.cluster}",
    UploadStarted: "{0.upload}",
    UploadAborted: "{0.upload}",
    FileCommitted: "{0.path}",
    ContinuedUploadBegun: "{0.upload}",
    SegmentCommitted: "{0.number} of {0.manifest.segment_of}",
    ContinuedUploadAborted: "{0.upload}",
    VersionKept: "{0.manifest.upload}",
    CollectionMade: "{0.path}",
    EntryDeleted: "{0.path}",
    KeyDeleted: "{0.path}",
    KeyCopied: "{0.source} to {0.target}",
    EntryMoved: "{0.source} to {0.target}",
    EntryCopied: "{0.source} to {0.target}",
    PropertiesChanged: "{0.path}",
    LockTaken: "{0.path}",
    LockReleased: "{0.token}",
    PartsReaped: "{0.upload}",
    PartsGone: "{0.node}",
    PartMoveStarted: "{0.upload}.{0.index}",
    PartMoved: "{0.upload}.{0.index}",
    PartMoveAborted: "{0.upload}.{0.index}",
    PartCopyReaped: "{0.upload}.{0.index}",
    PartsLost: "{0.node}",
    NodeLost: "{0.node}",
    DiskChecked: "{0.node}",
    LayoutChanged: "{0.upload}",
    CollectionTouched: "{0.path}",
    JournalRestored: "{0.time_ms}",
    SnapshotEnded: "{0.next}",
}
"""What each record is about, for messages."""

_EFFECTS: dict[type, Callable[[State, Any], None]] = {
    JournalOpened: _opened,
    UploadStarted: _upload_started,
    UploadAborted: _upload_aborted,
    FileCommitted: _file_committed,
    ContinuedUploadBegun: _continued_begun,
    SegmentCommitted: _segment_committed,
    ContinuedUploadAborted: _continued_aborted,
    VersionKept: _version_kept,
    CollectionMade: _collection_made,
    EntryDeleted: _entry_deleted,
    KeyDeleted: _key_deleted,
    KeyCopied: _key_copied,
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
    PartsLost: _parts_lost,
    NodeLost: _node_lost,
    DiskChecked: _disk_checked,
    LayoutChanged: _layout_changed,
    JournalRestored: _journal_restored,
    CollectionTouched: _collection_touched,
    SnapshotEnded: _snapshot_ended,
}
