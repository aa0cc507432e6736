"""The records that a snapshot of a state consists of.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from splitd.catalog.lock_records import lock_taken
from splitd.catalog.state import State
from splitd.model.branch import Branch
from splitd.model.packing import KEY, Packed
from splitd.model.records import (
    VERSION,
    CollectionMade,
    CollectionTouched,
    ContinuedUploadBegun,
    DiskChecked,
    DocumentPut,
    EntryCopied,
    FileCommitted,
    JournalOpened,
    KeyCopied,
    NodeLost,
    PropertiesChanged,
    Record,
    SegmentCommitted,
    UploadStarted,
    VersionKept,
)
from splitd.model.tree import Collection


def records_of(state: State) -> Iterator[Record]:
    """Iterate over records that result in a state, in an order in which they can be applied.

    The state must not be changed until the iteration has ended.
    """
    collections = [("/", root := state.tree.collection("/"))]
    names: dict[bytes, tuple[str, Packed]] = {}
    yield JournalOpened(VERSION, state.cluster, root.created_ms)
    for path, entry in state.tree.entries():
        if isinstance(entry, Branch):
            collections.append((path, Collection(entry.created_ms, entry.modified_ms)))
            yield CollectionMade(path, entry.created_ms, implied=entry.implied)
        elif (key := entry[:KEY]) in state.names and (first := names.setdefault(key, (path, entry)))[0] != path:
            yield _copied(state, *first, path, entry)
        else:
            segments = state.packing.segments_of(entry)
            kept = () if segments is None else filter(None, map(state.versions.find_key, segments.ids()))
            yield from (VersionKept(state.shown(each)) for each in kept)
            yield FileCommitted(path, state.shown(entry), implies=path.endswith("/"))
    for path, collection in collections:
        yield CollectionTouched(path, collection.modified_ms)
    yield from other_records_of(state)


def _copied(state: State, source: str, packed: Packed, path: str, entry: Packed) -> Record:
    """Return the record of a further name of a version."""
    manifest = state.packing.unpack(entry)
    if entry == packed and not source.endswith("/") and not path.endswith("/"):
        return EntryCopied(source, path, "0", manifest.created_ms)
    return KeyCopied(source, path, manifest.created_ms, manifest.said)


def other_records_of(state: State) -> Iterator[Record]:
    """Iterate over the last of `records_of`, which result in all but the names of collections and files."""
    for path, properties in state.tree.all_properties():
        yield PropertiesChanged(path, dict(properties))
    for lock in state.locks:
        yield lock_taken(lock)
    for document in state.documents.all():
        yield DocumentPut(**attrs.asdict(document))
    for node in state.lost:
        yield NodeLost(node, 0)
    for node, disk in state.disks.items():
        yield DiskChecked(node, disk, 0)
    if state.restored is not None:
        yield state.restored
    yield from state.doomed.records()
    for upload, under_way in state.uploads.items():
        yield UploadStarted(upload, *attrs.astuple(under_way))
    for each in state.continued:
        yield ContinuedUploadBegun(each.upload, each.path, each.began_ms, each.said)
        for number, packed in each.segments.items():
            yield SegmentCommitted(number, state.shown(packed))
    yield from state.moves.records()
