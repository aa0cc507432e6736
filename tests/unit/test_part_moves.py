"""Parts that move from one node to another, as the catalog records them."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.catalog.effects import apply
from splitd.catalog.state import State
from splitd.errors import CatalogReadOnly, MoveRefused
from splitd.model.conditions import ALWAYS
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
    Record,
)
from storaged.parts.format import PartId
from tests.fired import fired
from tests.unit.catalogs import NODES, A, B, Front, doomed, manifest, started

TO_G = PartCopy(A, 2, "g")
MOVED = ("a", "b", "g", "d", "e", "f")
COPY_ON_C = {"c": [f"{A}.2"]}
COPY_ON_G = {"g": [f"{A}.2"]}


async def moved(front: Front) -> None:
    await front.put("/f", A)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    await front.catalog.part_moves.commit_move("/f", TO_G)


async def nodes_of(front: Front, path: str = "/f") -> tuple[str, ...]:
    found = await front.catalog.lookup(path)
    assert isinstance(found, Manifest)
    return found.nodes


@pytest_twisted.ensureDeferred
async def test_readers_find_a_part_where_it_is_once_the_move_is_committed() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    assert await nodes_of(front) == NODES
    await front.catalog.part_moves.commit_move("/f", TO_G)
    assert await nodes_of(front) == MOVED
    (listed,) = await front.catalog.list_members("/", "", 10)
    assert listed.entry == await front.catalog.lookup("/f")
    assert await front.doomed() == COPY_ON_C
    again = await front.restart()
    assert await nodes_of(again) == MOVED
    assert await again.doomed() == COPY_ON_C
    await again.confirm(COPY_ON_C)
    await again.confirm(COPY_ON_C)
    assert await (await again.restart()).doomed() == {}


@pytest_twisted.ensureDeferred
async def test_a_move_is_not_seen_before_it_is_durable() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    front.journal.hold()
    committed = front.catalog.part_moves.commit_move("/f", TO_G)
    assert await nodes_of(front) == NODES
    front.journal.release()
    await committed
    assert await nodes_of(front) == MOVED


@pytest_twisted.ensureDeferred
async def test_a_move_that_is_aborted_or_cut_off_dooms_the_copy_only() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    await front.catalog.part_moves.abort_move(TO_G, "the node is gone")
    await front.catalog.part_moves.abort_move(TO_G, "again")
    assert await front.doomed() == COPY_ON_G
    await front.confirm(COPY_ON_G)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    again = await front.restart()
    assert (await nodes_of(again), await again.doomed()) == (NODES, COPY_ON_G)


@pytest_twisted.ensureDeferred
async def test_a_moved_file_that_is_deleted_dooms_its_parts_where_they_are() -> None:
    front = await started()
    await moved(front)
    await front.catalog.delete("/f", ALWAYS)
    there = {node: [f"{A}.{index}"] for index, node in enumerate(MOVED)}
    assert await front.doomed() == there | COPY_ON_C
    assert await (await front.restart()).doomed() == there | COPY_ON_C


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_replaced_in_the_middle_refuses_the_move() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    await front.put("/f", B)
    with pytest.raises(MoveRefused, match="is not of upload"):
        await front.catalog.part_moves.commit_move("/f", TO_G)
    await front.catalog.part_moves.abort_move(TO_G, "refused")
    assert await front.doomed() == doomed(A) | COPY_ON_G


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_moved_is_refused() -> None:
    front = await started()
    await front.put("/f", A)
    for path, copy, told in [
        ("/missing", TO_G, "is not of upload"),
        ("/", TO_G, "is not of upload"),
        ("/f", PartCopy(B, 2, "g"), "is not of upload"),
        ("/f", PartCopy(A, 2, "a"), "lies on node a already"),
    ]:
        with pytest.raises(MoveRefused, match=told):
            await front.catalog.part_moves.begin_move(path, copy)
    with pytest.raises(MoveRefused, match="under way"):
        await front.catalog.part_moves.commit_move("/f", TO_G)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    with pytest.raises(MoveRefused, match="is being moved to node g"):
        await front.catalog.part_moves.begin_move("/f", TO_G)
    await front.catalog.part_moves.abort_move(TO_G, "given up")
    with pytest.raises(MoveRefused, match="may be on node g already"):
        await front.catalog.part_moves.begin_move("/f", TO_G)


@pytest_twisted.ensureDeferred
async def test_a_deletion_and_a_move_of_the_same_file_take_turns() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    front.journal.hold()
    deleted = front.catalog.delete("/f", ALWAYS)
    committed = front.catalog.part_moves.commit_move("/f", TO_G)
    front.journal.release()
    await deleted
    with pytest.raises(MoveRefused):
        await committed
    await front.restart()


@pytest_twisted.ensureDeferred
async def test_no_two_parts_of_a_file_come_to_the_same_node_and_no_part_to_two() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.part_moves.begin_move("/f", TO_G)
    for other in (PartCopy(A, 3, "g"), PartCopy(A, 2, "h")):
        with pytest.raises(MoveRefused, match="is being moved to node g"):
            await front.catalog.part_moves.begin_move("/f", other)
    await front.catalog.part_moves.begin_move("/f", PartCopy(A, 3, "h"))
    await front.catalog.part_moves.commit_move("/f", TO_G)
    await front.catalog.part_moves.commit_move("/f", PartCopy(A, 3, "h"))
    assert await nodes_of(await front.restart()) == ("a", "b", "g", "h", "e", "f")


@pytest_twisted.ensureDeferred
async def test_nothing_moves_once_the_journal_has_failed() -> None:
    front = await started()
    await front.put("/f", A)
    front.journal.fail_next("disk full")
    with pytest.raises(CatalogReadOnly):
        await front.catalog.part_moves.begin_move("/f", TO_G)


@pytest_twisted.ensureDeferred
async def test_the_sweep_knows_a_part_wherever_it_has_a_reason_to_lie() -> None:
    front = await started()
    await moved(front)
    await front.catalog.part_moves.begin_move("/f", PartCopy(A, 0, "h"))
    parts = [PartId(A, index) for index in range(7)]
    orphans = {node: await front.catalog.ledger.orphans(node, parts) for node in "abcdefgh"}
    lies = {(index, node) for node in orphans for index in range(7) if PartId(A, index) not in orphans[node]}
    assert lies == {*enumerate(MOVED), (2, "c"), (0, "h")}
    assert fired(front.catalog.nodes()) == set("abcdefgh")


OPENED = JournalOpened(1, "c" * 32, 1000)
PUT = FileCommitted("/f", manifest(A))
STARTED = PartMoveStarted(*TO_G, 2000)
COMMITTED = PartMoved("/f", A, 2, "c", "g")


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
        [STARTED, PartMoved("/f", A, 2, "b", "g")],
        [STARTED, PartMoved("/g", A, 2, "c", "g")],
        [STARTED, PartMoved("/f", B, 2, "c", "g")],
        [STARTED, COMMITTED, COMMITTED],
        [STARTED, EntryDeleted("/f", 3000), COMMITTED],
        [PartMoveStarted(A, 2, "b", 0), PartMoved("/f", A, 2, "c", "b")],
    ],
)
def test_records_that_contradict_each_other_are_refused(contradiction: list[Record]) -> None:
    state = State()
    for record in (OPENED, PUT, *contradiction[:-1]):
        apply(state, record)
    with pytest.raises(ValueError, match=r"^part-|^file-"):
        apply(state, contradiction[-1])


@settings(deadline=None)
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
    for record in state.records():
        apply(again, record)
    assert list(again.records()) == list(state.records())
    for path in ("/f", "/g"):
        found, kept = again.tree.version(path), state.tree.version(path)
        assert (found and again.moves.place(found)) == (kept and state.moves.place(kept))
        assert found is None or len(set(again.moves.nodes_of(found))) == len(NODES)
    assert again.nodes() == state.nodes() == searched(state)
    assert set(again.moves.copies()) == set(state.moves.copies())


def searched(state: State) -> set[str]:
    """The nodes that parts may lie on, found by looking at everything."""
    places = {state.moves.nodes_of(entry) for _, entry in state.tree.walk() if isinstance(entry, Manifest)}
    places.update(upload.nodes for upload in state.uploads.values())
    return (
        {node for nodes in places for node in nodes} | {*state.doomed.nodes()} | {c.node for c in state.moves.copies()}
    )


def _next(state: State, chance: random.Random, nodes: str) -> Record:
    """Return a record that may come next."""
    path, upload = chance.choice([("/f", A), ("/g", B)])
    kept = state.tree.version(path)
    possible: list[Record] = [PartCopyReaped(*copy) for copy in state.doomed.copies()]
    possible += [PartsGone(copy.node, (str(copy.part),)) for copy in state.doomed.copies()]
    gone = (f"{A}.{chance.randrange(6)}", f"{B}.{chance.randrange(6)}")
    possible.append(PartsGone(chance.choice(nodes), gone))
    for copy in state.moves.under_way:
        possible.append(PartMoveAborted(*copy, "", 0))
        if kept is not None and copy.upload == upload and copy.node not in state.moves.nodes_of(kept):
            possible.append(PartMoved(path, *copy[:2], state.moves.nodes_of(kept)[copy.index], copy.node))
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
