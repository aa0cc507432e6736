"""Histories of records in any order, and all that a state tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from hypothesis import strategies as st

from splitd.catalog.effects import apply
from splitd.catalog.state import State
from splitd.model.manifest import Manifest
from splitd.model.packing import size_of
from splitd.model.records import (
    CollectionMade,
    ContinuedUploadAborted,
    ContinuedUploadBegun,
    DiskChecked,
    DocumentDeleted,
    DocumentPut,
    EntryBinned,
    EntryCopied,
    EntryDeleted,
    EntryMoved,
    EntryRestored,
    FileCommitted,
    JournalOpened,
    KeyCopied,
    KeyDeleted,
    LayoutChanged,
    LockReleased,
    LockTaken,
    NodeLost,
    PartMoved,
    PartMoveStarted,
    PartsGone,
    PartsLost,
    PartsReaped,
    PropertiesChanged,
    Record,
    SegmentCommitted,
    UploadAborted,
    UploadStarted,
)
from splitd.model.segments import SegmentRef, pack_segments
from splitd.model.tree import Collection

NODES = tuple("abcdef")
CONTINUED = ["fe" * 16, "fd" * 16]
NAMES = ["/a", "/b", "/a/a", "/a/b", "/b/a", "/a/a/a", "/a/a/b"]
COLLECTIONS = ["/a/", "/a/a/", "/a//"]
KEYS = [*NAMES[2:], *COLLECTIONS[1:], "/a/../b", "/a/a/.", "/a//b"]

uploads = st.sampled_from([digit * 32 for digit in "0123456789abcdef"])
paths = st.sampled_from(NAMES)
any_paths = st.sampled_from([*NAMES, *COLLECTIONS])
keys = st.sampled_from(KEYS)
booleans = st.booleans()
indexes = st.integers(0, 6)
parts = st.lists(st.builds("{}.{}".format, uploads, indexes)).map(tuple)
times = st.integers(0, 9999)
manifests = st.builds(
    Manifest, uploads, st.integers(0, 9), times, st.just(6), st.just(0), st.just(4), st.sampled_from([(), NODES])
)


segments = st.builds(
    Manifest,
    uploads,
    st.integers(0, 9),
    times,
    st.just(6),
    st.just(0),
    st.just(4),
    st.sampled_from([(), NODES, ("", *NODES[1:])]),
    st.sampled_from(["", "note"]),
    st.just(b""),
    st.sampled_from(CONTINUED),
)


def empty(manifest: Manifest) -> Manifest:
    return Manifest(manifest.upload, 0, manifest.created_ms, 6, 0, 4, ())


@attrs.frozen
class Completed:
    """The completion of an upload with the segments of some numbers, as far as it has them."""

    path: str
    upload: str
    time_ms: int
    numbers: set[int]

    def record(self, state: State) -> FileCommitted:
        continued = state.continued.find(self.upload)
        segments = {} if continued is None else {each: continued.segments.get(each) for each in sorted(self.numbers)}
        refs = [SegmentRef(packed[:16].hex(), size_of(packed), number) for number, packed in segments.items() if packed]
        size = sum(ref.size for ref in refs)
        return FileCommitted(self.path, Manifest(self.upload, size, self.time_ms, 6, 0, 4, (), "", pack_segments(refs)))


BINNED_AT = ["/.splitd/bin/1/a", "/.splitd/bin/2/a/a/b"]

records = st.one_of(
    st.builds(CollectionMade, any_paths, times, st.just({}), booleans),
    st.builds(FileCommitted, paths, manifests),
    st.builds(FileCommitted, keys, manifests, st.just(True)),
    st.builds(EntryDeleted, any_paths, times),
    st.builds(KeyDeleted, st.sampled_from(COLLECTIONS), times),
    st.builds(KeyCopied, keys, keys, times, st.sampled_from([None, "", "text/plain"])),
    st.builds(ContinuedUploadBegun, st.sampled_from(CONTINUED), paths, times, st.sampled_from(["", "text/plain"])),
    st.builds(SegmentCommitted, st.integers(1, 4), segments),
    st.builds(ContinuedUploadAborted, st.sampled_from(CONTINUED), st.just("left"), times),
    st.builds(UploadStarted, uploads, paths, st.just(NODES), times, st.sampled_from(["", "front"])),
    st.builds(UploadAborted, uploads, st.just("gone"), times),
    st.builds(PartsReaped, uploads),
    st.builds(PartsGone, st.sampled_from(NODES), parts),
    st.builds(PartsLost, st.sampled_from(NODES), parts, st.just("rot"), times, st.booleans()),
    st.builds(NodeLost, st.sampled_from(NODES), times),
    st.builds(DiskChecked, st.sampled_from(NODES), st.sampled_from(["1" * 32, "2" * 32]), times),
    st.builds(LayoutChanged, uploads, st.integers(0, 2), times),
    st.builds(PartMoveStarted, uploads, indexes, st.sampled_from("gh"), times, st.sampled_from(["", "front"])),
    st.builds(PartMoved, uploads, indexes, st.sampled_from(["", *NODES]), st.sampled_from("gh")),
    st.builds(EntryMoved, any_paths, paths, times, booleans),
    st.builds(EntryBinned, any_paths, st.sampled_from(BINNED_AT), times, st.just({"k": "<k/>"})),
    st.builds(EntryRestored, st.sampled_from(BINNED_AT), any_paths, times),
    st.builds(EntryDeleted, st.sampled_from(BINNED_AT), times),
    st.builds(EntryCopied, any_paths, paths, st.sampled_from(["0", "infinity"]), times, booleans),
    st.builds(
        PropertiesChanged,
        st.sampled_from(["/", *NAMES]),
        st.dictionaries(st.sampled_from(["{DAV:}x", "y"]), st.sampled_from(["<x/>", "<y/>"])),
        st.lists(st.just("y"), max_size=1).map(tuple),
    ),
    st.builds(PropertiesChanged, st.sampled_from(COLLECTIONS), st.just({"x": "<x/>"}), st.just(()), booleans),
    st.builds(
        LockTaken,
        st.sampled_from(["/", *NAMES, *COLLECTIONS]),
        st.sampled_from(["urn:1", "urn:2", "urn:3"]),
        st.sampled_from(["exclusive", "shared"]),
        st.sampled_from(["0", "infinity"]),
        st.just(""),
        times,
        times,
        st.none() | manifests.map(empty),
    ),
    st.builds(LockReleased, st.sampled_from(["urn:1", "urn:2", "urn:3"])),
    st.builds(
        DocumentPut,
        st.sampled_from(["link", "login"]),
        st.sampled_from("ab"),
        st.sampled_from(["", "anna"]),
        st.just("body"),
        times,
        st.integers(1, 9),
        times,
    ),
    st.builds(DocumentDeleted, st.sampled_from(["link", "login"]), st.sampled_from("ab")),
)


steps = records | st.builds(Completed, paths, st.sampled_from(CONTINUED), times, st.sets(st.integers(1, 4)))
"""Records, and completions, which become records when it is known what there is to complete."""


def told(state: State) -> Any:
    """Return everything that a state holds."""
    root = state.tree.collection("/")
    doomed, under_way = list(state.doomed.uploads().items()), dict(state.uploads)
    noted, locks = dict(state.tree.all_properties()), (list(state.locks), state.documents.all())
    parts_on = {node: count for node, count in state.parts_on.items() if count}
    counts = state.files, state.bytes_stored, len(state.tree), state.shared, parts_on
    entries = sorted(((path, placed(state, entry)) for path, entry in state.tree.walk()), key=repr)
    # A version whose names were copied with other headers is kept with the headers of any of them.
    kept = [state.shown(packed) for packed in state.versions.after("")]
    versions = [(each.upload, each.size, each.layout, each.nodes) for each in kept]
    hurt = state.hurt.page("", 100), state.hurt.counts(), state.hurt.parts, state.hurt.size
    continued = [
        (
            *(each.upload, each.path, each.said, each.began_ms, each.touched_ms, each.size),
            *((number, state.shown(packed)) for number, packed in each.segments.items()),
        )
        for each in state.continued.page("/", ("", ""), 100)
    ]
    copies = set(state.moves.copies()), dict(state.moves.under_way), list(state.lost), dict(state.disks), state.nodes()
    return state.cluster, root, entries, noted, locks, doomed, under_way, counts, versions, hurt, copies, continued


def placed(state: State, entry: Manifest | Collection) -> Manifest | Collection:
    return state.moves.place(entry) if isinstance(entry, Manifest) else entry


def fold(some: Sequence[Record | Completed]) -> State:
    """Return the state that those of the records produce that can be applied; no upload id is used twice."""
    state = State()
    for each in [JournalOpened(1, "c" * 32, 5), *some]:
        record = each.record(state) if isinstance(each, Completed) else each
        is_version = isinstance(record, FileCommitted | SegmentCommitted)
        manifest = record.manifest if is_version else getattr(record, "file", None)
        upload = getattr(record, "upload", None) if manifest is None else manifest.upload
        is_new = isinstance(record, FileCommitted | SegmentCommitted | LockTaken | UploadStarted | ContinuedUploadBegun)
        known = {manifest.upload for manifest in state.tree.files()}
        if is_new and (upload in known or state.versions.find(upload or "")):
            continue
        try:
            apply(state, record)
        except ValueError:
            continue
    return state
