"""What a state counts is what its names come to, after any history."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.model.branch import Branch
from splitd.model.manifest import Manifest
from splitd.model.packing import KEY
from splitd.model.records import CollectionMade, EntryCopied, EntryMoved, FileCommitted, KeyCopied, KeyDeleted, Record
from tests.unit.histories import NODES, any_paths, booleans, fold, keys, manifests, paths, records, times


def manifest(digit: str) -> Manifest:
    return Manifest(digit * 32, 5, 2, 6, 0, 4, NODES)


of_names = st.one_of(
    st.builds(FileCommitted, keys, manifests, st.just(True)),
    st.builds(FileCommitted, paths, manifests),
    st.builds(KeyCopied, keys, keys, times),
    st.builds(KeyDeleted, any_paths, times),
    st.builds(EntryMoved, any_paths, paths, times, booleans),
    st.builds(EntryCopied, any_paths, paths, st.sampled_from(["0", "infinity"]), times, booleans),
    records,
)


BEGUN: list[Record] = [
    CollectionMade("/a", 1),
    CollectionMade("/b", 1),
    FileCommitted("/b/a", manifest("a")),
    *(
        FileCommitted(path, manifest(digit), implies=True)
        for path, digit in (("/a/a", "b"), ("/a/a/b", "c"), ("/a/b", "d"), ("/a/a/", "e"))
    ),
]
"""Files beside collections of their names, and one that is a file itself."""


@settings(max_examples=200)
@given(st.lists(of_names, max_size=40))
def test_names_files_bytes_and_versions_are_counted(some: list[Record]) -> None:
    state = fold([*BEGUN, *some])
    entries = [entry for _, entry in state.tree.entries()]
    assert len(state.tree) == len(entries)
    files = [entry for entry in entries if not isinstance(entry, Branch)]
    assert state.files == len(files)
    assert state.bytes_stored == sum(state.packing.unpack(entry).size for entry in files)
    uploads = Counter(entry[:KEY].hex() for entry in files if state.packing.parts_of(entry))
    assert state.shared == {upload: names for upload, names in uploads.items() if names > 1}
    assert {packed[:KEY].hex() for packed in state.versions.after("")} >= uploads.keys()
    assert not uploads.keys() & set(state.doomed.uploads())
