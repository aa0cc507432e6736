from __future__ import annotations

import pytest

from splitd.catalog.effects import apply
from splitd.catalog.state import State, UnderWay
from splitd.model.manifest import Manifest
from splitd.model.records import (
    CollectionMade,
    EntryCopied,
    EntryDeleted,
    EntryMoved,
    FileCommitted,
    JournalOpened,
    LockReleased,
    LockTaken,
    PartMoved,
    PartMoveStarted,
    PartsReaped,
    PropertiesChanged,
    Record,
    UploadAborted,
    UploadStarted,
)
from splitd.model.tree import Collection
from storaged.parts.format import PartId

OPENED = JournalOpened(1, "c" * 32, 1000)
NODES = tuple("abcdef")
A, B = "a" * 32, "b" * 32


def manifest(upload: str = A, *, size: int = 10, nodes: tuple[str, ...] = NODES, created_ms: int = 3000) -> Manifest:
    return Manifest(upload, size, created_ms, 6, 0, 4, nodes, "text/plain")


def fold(*records: Record) -> State:
    state = State()
    for record in (OPENED, *records):
        apply(state, record)
    return state


def known(state: State) -> set[tuple[int, str]]:
    """Return the parts of an upload that have a reason to be on a node."""
    return {(index, node) for index in range(7) for node in "abcdefghz" if state.knows(PartId(A, index), node)}


def test_the_first_record_tells_the_cluster_and_makes_the_root() -> None:
    state = fold()
    assert state.cluster == "c" * 32
    assert state.tree.lookup("/") == Collection(1000, 1000)


def test_an_upload_is_under_way_until_it_is_committed() -> None:
    started = UploadStarted(A, "/f", NODES, 2000, "front")
    assert fold(started).uploads == {A: UnderWay("/f", NODES, 2000, "front")}
    state = fold(started, FileCommitted("/f", manifest()))
    assert state.uploads == {}
    assert state.doomed.uploads() == {}
    assert state.tree.lookup("/f") == manifest()


def test_the_parts_of_an_aborted_upload_are_doomed_until_they_are_reaped() -> None:
    aborted = (UploadStarted(A, "/f", NODES, 2000), UploadAborted(A, "the client left", 2500))
    state = fold(*aborted)
    assert state.uploads == {}
    assert state.doomed.uploads() == {A: NODES}
    assert fold(*aborted, PartsReaped(A)).doomed.uploads() == {}


def test_the_parts_of_a_replaced_version_are_doomed() -> None:
    state = fold(FileCommitted("/f", manifest(A)), FileCommitted("/f", manifest(B, size=7)))
    assert state.doomed.uploads() == {A: NODES}
    assert (state.files, state.bytes_stored, len(state.tree)) == (1, 7, 1)


def test_the_parts_of_all_files_in_a_deleted_collection_are_doomed() -> None:
    state = fold(
        CollectionMade("/c", 2000),
        CollectionMade("/c/d", 2000),
        FileCommitted("/c/f", manifest(A)),
        FileCommitted("/c/d/g", manifest(B)),
        FileCommitted("/h", manifest("9" * 32, size=5)),
        EntryDeleted("/c", 4000),
    )
    assert state.doomed.uploads() == {A: NODES, B: NODES}
    assert (state.files, state.bytes_stored) == (1, 5)
    assert state.tree.lookup("/c") is None
    assert state.tree.lookup("/") == Collection(1000, 4000)


def test_doomed_uploads_are_kept_oldest_first() -> None:
    files = [FileCommitted(f"/{name}", manifest(name * 32)) for name in "123"]
    state = fold(*files, EntryDeleted("/2", 4000), EntryDeleted("/3", 4001), EntryDeleted("/1", 4002))
    assert list(state.doomed.uploads()) == ["2" * 32, "3" * 32, "1" * 32]


def test_parts_begun_for_a_file_that_is_empty_in_the_end_are_doomed() -> None:
    state = fold(UploadStarted(A, "/f", NODES, 2000), FileCommitted("/f", manifest(size=0, nodes=())))
    assert state.doomed.uploads() == {A: NODES}
    assert state.files == 1


def test_an_upload_without_parts_leaves_nothing_to_reap() -> None:
    assert fold(UploadStarted(A, "/f", (), 2000), UploadAborted(A, "no", 2500)).doomed.uploads() == {}
    assert fold(FileCommitted("/f", manifest(size=0, nodes=())), EntryDeleted("/f", 4000)).doomed.uploads() == {}


def test_a_collection_is_modified_when_a_member_is_added_replaced_or_removed() -> None:
    made = CollectionMade("/c", 2000)
    added = FileCommitted("/c/f", manifest(A, created_ms=3000))
    replaced = FileCommitted("/c/f", manifest(B, created_ms=3500))
    inner = CollectionMade("/c/d", 3700)
    removed = EntryDeleted("/c/f", 4000)
    found = [
        fold(*records).tree.lookup("/c")
        for records in ([made], [made, added], [made, added, replaced], [made, inner], [made, added, removed])
    ]
    assert found == [Collection(2000, modified_ms) for modified_ms in (2000, 3000, 3500, 3700, 4000)]


def test_a_change_inside_a_member_leaves_the_collection_as_it_was() -> None:
    state = fold(CollectionMade("/c", 2000), CollectionMade("/c/d", 2100), FileCommitted("/c/d/f", manifest()))
    assert state.tree.lookup("/c") == Collection(2000, 2100)
    assert state.tree.lookup("/") == Collection(1000, 2000)


def test_parts_are_doomed_when_the_last_of_their_names_is_gone() -> None:
    copied = (FileCommitted("/f", manifest()), EntryCopied("/f", "/g", "infinity", 4000))
    state = fold(*copied)
    assert (state.files, state.bytes_stored, state.shared) == (2, 20, {A: 2})
    assert known(state) == set(enumerate(NODES))
    state = fold(*copied, EntryDeleted("/f", 4001))
    assert (state.files, state.bytes_stored, state.shared, state.doomed.uploads()) == (1, 10, {}, {})
    state = fold(*copied, EntryDeleted("/f", 4001), FileCommitted("/g", manifest(B)))
    assert state.doomed.uploads() == {A: NODES}


def test_a_part_that_was_moved_is_moved_for_all_names_of_its_file() -> None:
    moved = (
        FileCommitted("/f", manifest()),
        EntryCopied("/f", "/g", "infinity", 4000),
        PartMoveStarted(A, 0, "z", 4001),
        PartMoved(A, 0, "a", "z"),
    )
    now = ("z", *NODES[1:])
    state = fold(*moved)
    names = [entry for _, entry in state.tree.walk() if isinstance(entry, Manifest)]
    assert [state.moves.place(each).nodes for each in names] == [now, now]
    assert known(fold(*moved, EntryDeleted("/g", 4002))) == {*enumerate(now), (0, "a")}
    assert fold(*moved, EntryDeleted("/g", 4002), EntryDeleted("/f", 4003)).doomed.uploads() == {A: now}


def test_a_copy_onto_a_copy_of_the_same_version_dooms_nothing() -> None:
    copies = [EntryCopied("/f", target, "infinity", 4000) for target in ("/g", "/g", "/h")]
    state = fold(FileCommitted("/f", manifest()), *copies)
    assert (state.files, state.shared, state.doomed.uploads()) == (3, {A: 3}, {})


def test_a_move_takes_what_it_replaces_with_it_and_nothing_else() -> None:
    state = fold(
        CollectionMade("/c", 2000),
        FileCommitted("/c/f", manifest(A)),
        CollectionMade("/d", 2100),
        FileCommitted("/d/g", manifest(B)),
        EntryMoved("/c", "/d", 4000),
    )
    assert (state.files, state.bytes_stored, state.doomed.uploads()) == (1, 10, {B: NODES})
    assert state.tree.lookup("/d/f") == manifest(A)
    assert state.tree.lookup("/d") == Collection(2000, 3000)
    assert state.tree.lookup("/") == Collection(1000, 4000)


def test_properties_go_with_a_move_are_copied_and_end_with_what_they_are_of() -> None:
    noted = (FileCommitted("/f", manifest()), PropertiesChanged("/f", {"a": "<a/>", "b": "<b/>"}))
    assert dict(fold(*noted, PropertiesChanged("/f", {"a": "<a>1</a>"}, ("b", "c"))).tree.properties("/f")) == {
        "a": "<a>1</a>"
    }
    assert dict(fold(*noted, EntryMoved("/f", "/g", 1)).tree.all_properties()) == {"/g": {"a": "<a/>", "b": "<b/>"}}
    copied = fold(*noted, EntryCopied("/f", "/g", "0", 1), PropertiesChanged("/g", {}, ("a",)))
    assert dict(copied.tree.all_properties()) == {"/f": {"a": "<a/>", "b": "<b/>"}, "/g": {"b": "<b/>"}}
    assert dict(fold(*noted, FileCommitted("/f", manifest(B))).tree.properties("/f")) == {"a": "<a/>", "b": "<b/>"}
    again = fold(*noted, EntryDeleted("/f", 1), FileCommitted("/f", manifest(B)))
    assert not again.tree.properties("/f")


def taken(path: str, token: str = "urn:1", *, time_ms: int = 5000, expires_ms: int = 9000) -> LockTaken:
    return LockTaken(path, token, "exclusive", "infinity", "", time_ms, expires_ms)


def locked(*records: Record) -> list[str]:
    committed = [FileCommitted("/c/f", manifest(A)), FileCommitted("/g", manifest(B))]
    return [lock.path for lock in fold(CollectionMade("/c", 2000), *committed, *records).locks]


def test_locks_stay_where_they_were_taken_and_end_with_it() -> None:
    both = (taken("/c/f"), taken("/g", "urn:2"))
    assert locked(*both) == ["/c/f", "/g"]
    assert locked(*both, LockReleased("urn:1"), LockReleased("urn:1")) == ["/g"]
    assert locked(*both, EntryDeleted("/c", 5001)) == ["/g"]
    assert locked(*both, EntryMoved("/c", "/d", 5001)) == ["/g"]
    assert locked(*both, EntryMoved("/c/f", "/g", 5001)) == ["/g"], "the lock covers what is there now"
    assert locked(*both, EntryCopied("/c", "/d", "infinity", 5001)) == ["/c/f", "/g"]
    assert locked(*both, EntryMoved("/g", "/c", 5001)) == []


def test_a_lock_that_is_taken_drops_those_that_have_expired() -> None:
    assert locked(taken("/c/f"), taken("/g", "urn:2", time_ms=8999)) == ["/c/f", "/g"]
    assert locked(taken("/c/f"), taken("/g", "urn:2", time_ms=9000)) == ["/g"]
    assert locked(taken("/c/f"), taken("/c/f", time_ms=8000, expires_ms=9500)) == ["/c/f"]


def test_an_empty_file_that_is_made_to_be_locked_is_a_file() -> None:
    empty = manifest(size=0, nodes=())
    state = fold(LockTaken("/f", "urn:1", "shared", "0", "<o/>", 5000, 9000, empty))
    assert (state.tree.lookup("/f"), state.files) == (empty, 1)


def test_files_share_the_texts_they_have_in_common() -> None:
    def twin(text: str) -> str:
        return "".join(list(text))

    state = fold(
        *(
            FileCommitted(
                f"/{upload[0]}", Manifest(upload, 1, 1, 6, 0, 4, tuple(twin("node-1") for _ in range(6)), twin("a/b"))
            )
            for upload in (A, B)
        )
    )
    one, two = state.tree.lookup("/a"), state.tree.lookup("/b")
    assert isinstance(one, Manifest)
    assert isinstance(two, Manifest)
    assert len({id(node) for node in one.nodes + two.nodes}) == 1
    assert one.content_type is two.content_type


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([OPENED], f"journal-opened {'c' * 32}: the journal is that of cluster {'c' * 32} already"),
        ([UploadAborted(A, "", 1)], f"upload-aborted {A}: it is not under way"),
        ([UploadStarted(A, "/f", (), 1)] * 2, f"upload-started {A}: it was begun already"),
        (
            [UploadStarted(A, "/f", NODES, 1), UploadAborted(A, "", 1), UploadStarted(A, "/f", NODES, 1)],
            f"upload-started {A}: it was begun already",
        ),
        (
            [UploadStarted(A, "/f", NODES, 1), UploadAborted(A, "", 1), FileCommitted("/f", manifest())],
            f"file-committed /f: the parts of upload {A} are to be deleted already",
        ),
        ([FileCommitted("/c/f", manifest())], "file-committed /c/f: there is no collection /c"),
        ([CollectionMade("/c", 1), FileCommitted("/c", manifest())], "file-committed /c: /c is a collection"),
        ([FileCommitted("/", manifest())], "file-committed /: the root is a collection"),
        ([CollectionMade("/c", 1)] * 2, "collection-made /c: /c is there already"),
        ([CollectionMade("/c/d", 1)], "collection-made /c/d: there is no collection /c"),
        ([CollectionMade("/", 1)], "collection-made /: the root is there always"),
        ([EntryDeleted("/f", 1)], "entry-deleted /f: there is no /f"),
        ([EntryDeleted("/", 1)], "entry-deleted /: the root cannot be deleted"),
        ([PartsReaped(A)], f"parts-reaped {A}: it has no parts to delete"),
        ([EntryMoved("/f", "/g", 1)], "entry-moved /f to /g: there is no /f"),
        ([CollectionMade("/c", 1), EntryMoved("/c", "/d/e", 1)], "entry-moved /c to /d/e: there is no collection /d"),
        (
            [CollectionMade("/c", 1), EntryCopied("/c", "/c", "0", 1)],
            "entry-copied /c to /c: /c is there already: source and target are the same",
        ),
        (
            [CollectionMade("/c", 1), EntryCopied("/c", "/c/d", "infinity", 1)],
            "entry-copied /c to /c/d: /c and /c/d: one lies inside the other",
        ),
        ([PropertiesChanged("/f", {"a": "<a/>"})], "properties-changed /f: there is no /f"),
        ([taken("/f")], "lock-taken /f: there is nothing to lock"),
        (
            [CollectionMade("/c", 1), LockTaken("/c", "urn:1", "shared", "0", "", 1, 2, manifest(size=0, nodes=()))],
            "lock-taken /c: /c is there already",
        ),
    ],
)
def test_a_record_that_contradicts_the_state_is_named(records: list[Record], reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        fold(*records)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (CollectionMade("/c", 1), "comes before journal-opened"),
        (JournalOpened(2, "c" * 32, 1), "version 2 of the format, only 1 is known here"),
        (JournalOpened(1, "", 1), "it has no cluster id"),
    ],
)
def test_a_journal_that_does_not_begin_as_it_should_is_refused(record: Record, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        apply(State(), record)
