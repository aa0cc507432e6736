"""The effects of records: `state = fold(apply, records)`.  Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from splitd.catalog.name_effects import NAME_EFFECTS, NAME_SUBJECTS, exhaust
from splitd.catalog.state import State, UnderWay
from splitd.errors import SplitdError
from splitd.model.documents import Document
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.packing import KEY, Packed
from splitd.model.records import (
    VERSION,
    ContinuedUploadAborted,
    ContinuedUploadBegun,
    DiskChecked,
    DocumentDeleted,
    DocumentPut,
    FileCommitted,
    JournalOpened,
    JournalRestored,
    LayoutChanged,
    NodeLost,
    PartCopyReaped,
    PartMoveAborted,
    PartMoved,
    PartMoveStarted,
    PartsGone,
    PartsLost,
    PartsReaped,
    Record,
    SegmentCommitted,
    SnapshotEnded,
    UploadAborted,
    UploadStarted,
    VersionKept,
)
from splitd.model.tree import Tree
from storaged.parts.format import parse_part_id

__all__ = ["apply", "enact", "exhaust"]


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


def _document_put(state: State, record: DocumentPut) -> None:
    made = Document(record.kind, record.key, record.owner, record.body, record.expires_ms, record.revision)
    state.documents.put(made, record.time_ms)


def _document_deleted(state: State, record: DocumentDeleted) -> None:
    state.documents.remove(record.kind, record.key)


def _snapshot_ended(_: State, __: SnapshotEnded) -> None:
    raise ValueError("it belongs at the end of a snapshot")


def _journal_restored(state: State, record: JournalRestored) -> None:
    state.restored = record


_SUBJECTS: dict[type, str] = {
    **NAME_SUBJECTS,
    JournalOpened: "{0.cluster}",
    UploadStarted: "{0.upload}",
    UploadAborted: "{0.upload}",
    FileCommitted: "{0.path}",
    ContinuedUploadBegun: "{0.upload}",
    SegmentCommitted: "{0.number} of {0.manifest.segment_of}",
    ContinuedUploadAborted: "{0.upload}",
    VersionKept: "{0.manifest.upload}",
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
    DocumentPut: "{0.kind} {0.key}",
    DocumentDeleted: "{0.kind} {0.key}",
    JournalRestored: "{0.time_ms}",
    SnapshotEnded: "{0.next}",
}
"""What each record is about, for messages."""

_EFFECTS: dict[type, Callable[[State, Any], None]] = {
    **NAME_EFFECTS,
    JournalOpened: _opened,
    UploadStarted: _upload_started,
    UploadAborted: _upload_aborted,
    FileCommitted: _file_committed,
    ContinuedUploadBegun: _continued_begun,
    SegmentCommitted: _segment_committed,
    ContinuedUploadAborted: _continued_aborted,
    VersionKept: _version_kept,
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
    DocumentPut: _document_put,
    DocumentDeleted: _document_deleted,
    JournalRestored: _journal_restored,
    SnapshotEnded: _snapshot_ended,
}
