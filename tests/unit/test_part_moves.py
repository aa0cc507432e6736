"""Parts that go from one node to another, as the records of the journal tell it."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.catalog.effects import apply
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.records import (
    EntryDeleted,
    FileCommitted,
    JournalOpened,
    PartCopyReaped,
    PartMoveAborted,
    PartMoved,
    PartMoveStarted,
    PartsGone,
    PartsLost,
    Record,
)
from tests.catalogs import NODES, A, B, manifest

TO_G = PartCopy(A, 2, "g")

OPENED = JournalOpened(1, "c" * 32, 1000)
PUT = FileCommitted("/f", manifest(A))
STARTED = PartMoveStarted(*TO_G, 2000)
COMMITTED = PartMoved(A, 2, "c", "g")


@pytest.mark.parametrize(
    "contradiction",
    [
        [STARTED, STARTED],
        [COMMITTED],
        [PartMoveAborted(*TO_G, "", 0)],
        [PartCopyReaped(*TO_G)],
        [STARTED, PartCopyReaped(*TO_G)],
        [STARTED, PartMoveStarted(A, 3, "g", 0)],
        [STARTED, PartMoveStarted(A, 2, "h", 0)],
        [STARTED, PartMoved(A, 2, "b", "g")],
        [STARTED, PartMoved(A, 2, "", "g")],
        [STARTED, PartMoved(B, 2, "c", "g")],
        [STARTED, COMMITTED, COMMITTED],
        [STARTED, PartsLost("c", (f"{A}.2",), "", 0), COMMITTED],
        [EntryDeleted("/f", 3000), COMMITTED],
        [PartMoveStarted(A, 2, "b", 0), PartMoved(A, 2, "c", "b")],
    ],
)
def test_records_that_contradict_each_other_are_refused(contradiction: list[Record]) -> None:
    state = State()
    for record in (OPENED, PUT, *contradiction[:-1]):
        apply(state, record)
    with pytest.raises(ValueError, match=r"^part-|^file-"):
        apply(state, contradiction[-1])


def test_a_move_whose_file_was_deleted_on_the_way_to_the_disk_dooms_its_copy() -> None:
    state = State()
    for record in (OPENED, PUT, STARTED, EntryDeleted("/f", 3000), COMMITTED):
        apply(state, record)
    assert state.doomed.uploads() == {A: NODES}
    assert state.doomed.copies() == [TO_G]
    assert not state.moves.under_way


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_any_history_of_moves_comes_to_the_same_after_a_snapshot(seed: int, steps: int) -> None:
    chance = random.Random(seed)
    state = State()
    nodes = "abcdefgh"
    for record in (OPENED, PUT, FileCommitted("/g", manifest(B))):
        apply(state, record)
    for _ in range(steps):
        apply(state, _next(state, chance, nodes))
    again = State()
    for record in records_of(state):
        apply(again, record)
    assert list(records_of(again)) == list(records_of(state))
    for path in ("/f", "/g"):
        found, kept = again.tree.version(path), state.tree.version(path)
        assert (found and again.moves.place(found)) == (kept and state.moves.place(kept))
        placed = [] if found is None else list(filter(None, again.moves.nodes_of(found)))
        assert len(set(placed)) == len(placed)
    assert again.nodes() == state.nodes() == searched(state)
    assert hurt_of(again) == hurt_of(state)
    assert state.hurt.page("", 10) == (sorted_by_spares(state), "")
    assert set(again.moves.copies()) == set(state.moves.copies())


def hurt_of(state: State) -> tuple[object, ...]:
    return state.hurt.page("", 10), state.hurt.counts(), state.hurt.parts, state.hurt.size


def sorted_by_spares(state: State) -> list[str]:
    """The hurt versions, found by looking at everything; none has a part to spare."""
    found = [state.moves.place(entry) for _, entry in state.tree.walk() if isinstance(entry, Manifest)]
    return [each.upload for each in sorted(found, key=lambda each: (-each.spare, each.upload)) if each.missing]


def searched(state: State) -> set[str]:
    """The nodes that parts may lie on, found by looking at everything."""
    places = {state.moves.nodes_of(entry) for _, entry in state.tree.walk() if isinstance(entry, Manifest)}
    places.update(upload.nodes for upload in state.uploads.values())
    return (
        {node for nodes in places for node in nodes if node}
        | {*state.doomed.nodes()}
        | {c.node for c in state.moves.copies()}
    )


def _next(state: State, chance: random.Random, nodes: str) -> Record:
    """Return a record that may come next."""
    path, upload = chance.choice([("/f", A), ("/g", B)])
    kept = state.tree.version(path)
    lost = (f"{A}.{chance.randrange(7)}", f"{B}.{chance.randrange(6)}", f"{'c' * 32}.0")
    possible: list[Record] = [PartsLost(chance.choice(nodes), lost, "", 0)]
    possible += [PartCopyReaped(*copy) for copy in state.doomed.copies()]
    possible += [PartsGone(copy.node, (str(copy.part),)) for copy in state.doomed.copies()]
    gone = (f"{A}.{chance.randrange(6)}", f"{B}.{chance.randrange(6)}")
    possible.append(PartsGone(chance.choice(nodes), gone))
    for copy in state.moves.under_way:
        possible.append(PartMoveAborted(*copy, "", 0))
        if kept is not None and copy.upload == upload and copy.node not in state.moves.nodes_of(kept):
            possible.append(PartMoved(*copy[:2], state.moves.nodes_of(kept)[copy.index], copy.node))
    if kept is not None:
        index, target = chance.randrange(6), chance.choice(nodes)
        copy = PartCopy(upload, index, target)
        with suppress(ValueError):
            state.moves.refuse_start(copy)
            if target not in state.moves.nodes_of(kept):
                possible += [PartMoveStarted(*copy, 1, chance.choice(["", "front"]))] * 3
        if chance.random() < 0.05:
            possible.append(EntryDeleted(path, 5000))
    return chance.choice(possible or [FileCommitted("/other", manifest("c" * 32, size=0, nodes=()))])
