"""Images of states: what is put together from the frames is what a replay of the snapshot comes to."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.catalog.effects import apply
from splitd.catalog.imaging import Restorer, frames
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.model.branch import LARGE
from splitd.model.manifest import Manifest
from splitd.model.records import (
    CollectionMade,
    EntryCopied,
    EntryDeleted,
    FileCommitted,
    JournalOpened,
    PartsLost,
    PropertiesChanged,
    Record,
)
from tests.unit.histories import NODES, Completed, fold, records, steps, told


def restored(found: Iterable[bytes]) -> State:
    state = State()
    restore(Restorer(state), found)
    return state


def restore(restorer: Restorer, found: Iterable[bytes]) -> None:
    for frame in found:
        restorer.take(frame)
    restorer.end()


def replayed(some: Iterable[Record]) -> State:
    state = State()
    for record in some:
        apply(state, record)
    return state


@settings(max_examples=500)
@given(st.lists(steps, max_size=40), st.lists(records, max_size=10))
def test_an_image_comes_to_what_its_snapshot_comes_to(some: list[Record | Completed], later: list[Record]) -> None:
    state = fold(some)
    image, snapshot = restored(frames(state)), replayed(records_of(state))
    assert told(image) == told(snapshot) == told(state)
    assert (image.widest, dict(image.parts_on)) == (snapshot.widest, dict(snapshot.parts_on))
    assert list(records_of(image)) == list(records_of(snapshot))
    for record in later:  # and so it does after any further record
        outcomes = []
        for each in (image, snapshot):
            try:
                apply(each, record)
            except ValueError as problem:
                outcomes.append(str(problem))
            else:
                outcomes.append("")
        assert outcomes[0] == outcomes[1]
    assert told(image) == told(snapshot)
    assert list(records_of(image)) == list(records_of(snapshot))


def large() -> State:
    """Return a state that takes several frames of each kind."""
    state = State()
    apply(state, JournalOpened(1, "c" * 32, 5))
    made = 0

    def put(path: str, nodes: tuple[str, ...]) -> None:
        nonlocal made
        made += 1
        upload = f"{made * 7919 % 256:02x}{made:030x}"
        said = f"text/{made}" if made % 3 else "text/plain"
        apply(state, FileCommitted(path, Manifest(upload, made, made, 6, 0, 4, nodes, said)))

    for folder, files in (("/large", 6 * LARGE), ("/edge", LARGE), ("/above", LARGE + 1)):
        apply(state, CollectionMade(folder, 6))
        for number in range(files):
            put(f"{folder}/{number * 7919 % 100_003}", NODES if number % 5 else ())
    for number in range(700):
        apply(state, CollectionMade(f"/large/c{number}", number))
        for name in "ab":
            put(f"/large/c{number}/{name}", tuple(f"n{(number + each) % 300}" for each in range(6)))
        apply(state, CollectionMade(f"/large/c{number}/empty", number))
        apply(state, PropertiesChanged(f"/large/c{number}/a", {"x": f"<x>{number}</x>"}))
    apply(state, EntryCopied("/large", "/copy", "infinity", 9))
    apply(state, EntryDeleted("/edge/0", 10))
    lost = [packed[:16].hex() for packed in state.versions.after("")][::3]
    apply(state, PartsLost("a", tuple(f"{upload}.0" for upload in lost), "rot", 11))
    return state


def test_a_large_state_is_put_together_from_its_frames() -> None:
    state = large()
    found = list(frames(state))
    assert len(found) > 15
    image, snapshot = restored(found), replayed(records_of(state))
    for each in (image, snapshot):
        seen, wanted = told(each), told(state)
        assert seen == wanted
        after = ""
        pages: list[str] = []
        while page := each.tree.page("/large", after, 1000):
            pages += [name for name, _ in page]
            after = pages[-1]
        assert pages == sorted(pages)
        assert len(pages) == 6 * LARGE + 700
        apply(each, EntryDeleted("/large", 12))
        apply(each, EntryDeleted("/copy/c3", 13))
        apply(each, FileCommitted("/above/new", Manifest("0f" * 16, 1, 1, 6, 0, 4, NODES)))
    assert told(image) == told(snapshot)
    assert image.widest == snapshot.widest


def test_frames_of_which_one_is_missing_make_no_state() -> None:
    found = list(frames(fold([FileCommitted("/a", Manifest("a" * 32, 1, 1, 6, 0, 4, NODES))])))
    for number in range(len(found)):
        state = State()
        restorer = Restorer(state)
        with pytest.raises(ValueError, match="its frames make no state"):
            restore(restorer, found[:number])
        restorer.reset()
        assert told(state) == told(State())
        restore(restorer, found)
        assert told(state) == told(restored(found))


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x91\xa5other", b"\x93\xa5names\x01\x02"])
def test_a_frame_that_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="its frames make no state"):
        Restorer(State()).take(frame)
