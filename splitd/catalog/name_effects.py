"""The effects of the records of names, their properties and locks; see `splitd.catalog.effects`.  Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from splitd.catalog.state import State
from splitd.model.binned import BIN
from splitd.model.branch import Branch
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.path_faults import OWN
from splitd.model.paths import ancestors, place_of
from splitd.model.properties import LAYOUT, read_layout
from splitd.model.records import (
    CollectionMade,
    CollectionTouched,
    EntryBinned,
    EntryCopied,
    EntryDeleted,
    EntryMoved,
    EntryRestored,
    KeyCopied,
    KeyDeleted,
    LockReleased,
    LockTaken,
    PropertiesChanged,
)


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


def _entry_binned(state: State, record: EntryBinned) -> None:
    for each in (OWN, BIN):
        if state.tree.find(each + "/") is None:
            state.tree.make_collection(each + "/", record.time_ms)
    state.tree.make_folders(record.target, record.time_ms)
    is_collection = state.tree.has_collection(record.source)
    state.tree.move(record.source, record.target, record.time_ms)
    key = record.target.removeprefix(BIN + "/").partition("/")[0]
    state.tree.set_properties(f"{BIN}/{key}", record.properties)
    _drop_locks(state, record.source, is_collection=is_collection)
    _prune(state, record.source, record.time_ms)


def _entry_restored(state: State, record: EntryRestored) -> None:
    for place in ancestors(record.target):
        if place != "/" and state.tree.find(place + "/") is None:
            state.tree.make_collection(place + "/", record.time_ms)
    state.tree.move(record.source, record.target, record.time_ms)
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


def _collection_touched(state: State, record: CollectionTouched) -> None:
    state.tree.touch(record.path, record.time_ms)


def exhaust(steps: Iterator[None]) -> None:
    """Do all steps of a generator at once."""
    deque(steps, maxlen=0)


NAME_EFFECTS: dict[type, Callable[[State, Any], None]] = {
    CollectionMade: _collection_made,
    EntryDeleted: _entry_deleted,
    KeyDeleted: _key_deleted,
    EntryMoved: _entry_moved,
    EntryBinned: _entry_binned,
    EntryRestored: _entry_restored,
    EntryCopied: _entry_copied,
    KeyCopied: _key_copied,
    PropertiesChanged: _properties_changed,
    LockTaken: _lock_taken,
    LockReleased: _lock_released,
    CollectionTouched: _collection_touched,
}
"""The effect of each of these records."""

NAME_SUBJECTS: dict[type, str] = {
    CollectionMade: "{0.path}",
    EntryDeleted: "{0.path}",
    KeyDeleted: "{0.path}",
    KeyCopied: "{0.source} to {0.target}",
    EntryMoved: "{0.source} to {0.target}",
    EntryBinned: "{0.source} to {0.target}",
    EntryRestored: "{0.source} to {0.target}",
    EntryCopied: "{0.source} to {0.target}",
    PropertiesChanged: "{0.path}",
    LockTaken: "{0.path}",
    LockReleased: "{0.token}",
    CollectionTouched: "{0.path}",
}
"""What each of them is about, for messages."""
