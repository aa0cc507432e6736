"""Parts go from one node to another, and readers find them."""

from __future__ import annotations

import pytest
import pytest_twisted

from splitd.errors import CatalogReadOnly, MoveRefused
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from storaged.parts.format import PartId
from tests.catalogs import NODES, A, B, doomed
from tests.contract.catalogs.front import Front

TO_G = PartCopy(A, 2, "g")
MOVED = ("a", "b", "g", "d", "e", "f")
COPY_ON_C = {"c": [f"{A}.2"]}
COPY_ON_G = {"g": [f"{A}.2"]}


async def moved(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    await front.part_moves.commit_move(TO_G)


async def nodes_of(front: Front, path: str = "/f") -> tuple[str, ...]:
    found = await front.catalog.lookup(path)
    assert isinstance(found, Manifest)
    return found.nodes


@pytest_twisted.ensureDeferred
async def test_readers_find_a_part_where_it_is_once_the_move_is_committed(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    assert await nodes_of(front) == NODES
    await front.part_moves.commit_move(TO_G)
    assert await nodes_of(front) == MOVED
    (listed,) = await front.catalog.list_members("/", "", 10)
    assert listed.entry == await front.catalog.lookup("/f")
    assert (await front.catalog.admit("/f", ALWAYS)).present == listed.entry
    assert await front.doomed() == COPY_ON_C
    again = await front.restart()
    assert await nodes_of(again) == MOVED
    assert await again.doomed() == COPY_ON_C
    await again.confirm(COPY_ON_C)
    await again.confirm(COPY_ON_C)
    assert await (await again.restart()).doomed() == {}


@pytest_twisted.ensureDeferred
async def test_a_move_is_not_seen_before_it_is_durable(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    front.place.hold()
    committed = front.part_moves.commit_move(TO_G)
    await front.place.held()
    assert await nodes_of(front) == NODES
    front.place.release()
    await committed
    assert await nodes_of(front) == MOVED


@pytest_twisted.ensureDeferred
async def test_a_move_that_is_aborted_or_cut_off_dooms_the_copy_only(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    await front.part_moves.abort_move(TO_G, "the node is gone")
    await front.part_moves.abort_move(TO_G, "again")
    assert await front.doomed() == COPY_ON_G
    await front.confirm(COPY_ON_G)
    await front.part_moves.begin_move(TO_G)
    again = await front.restart()
    assert (await nodes_of(again), await again.doomed()) == (NODES, COPY_ON_G)


@pytest_twisted.ensureDeferred
async def test_a_moved_file_that_is_deleted_dooms_its_parts_where_they_are(front: Front) -> None:
    await moved(front)
    await front.catalog.delete("/f", ALWAYS)
    there = {node: [f"{A}.{index}"] for index, node in enumerate(MOVED)}
    assert await front.doomed() == there | COPY_ON_C
    assert await (await front.restart()).doomed() == there | COPY_ON_C


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_replaced_in_the_middle_refuses_the_move(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    await front.put("/f", B)
    with pytest.raises(MoveRefused, match=f"no file is of upload {A} any more"):
        await front.part_moves.commit_move(TO_G)
    await front.part_moves.abort_move(TO_G, "refused")
    assert await front.doomed() == doomed(A) | COPY_ON_G


@pytest_twisted.ensureDeferred
async def test_a_file_that_gets_another_name_in_the_middle_does_not_refuse_the_move(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    await front.namespace.move("/f", "/g", ALWAYS, overwrite=False)
    await front.part_moves.commit_move(TO_G)
    assert await nodes_of(front, "/g") == MOVED


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_moved_is_refused(front: Front) -> None:
    await front.put("/f", A)
    for copy, told in [
        (PartCopy(B, 2, "g"), "no file is of upload"),
        (PartCopy(A, 2, "a"), "lies on node a already"),
        (PartCopy(A, 6, "g"), "has no part 6"),
    ]:
        with pytest.raises(MoveRefused, match=told):
            await front.part_moves.begin_move(copy)
    with pytest.raises(MoveRefused, match="under way"):
        await front.part_moves.commit_move(TO_G)
    await front.part_moves.begin_move(TO_G)
    with pytest.raises(MoveRefused, match="is being moved to node g"):
        await front.part_moves.begin_move(TO_G)
    await front.part_moves.abort_move(TO_G, "given up")
    with pytest.raises(MoveRefused, match="may be on node g already"):
        await front.part_moves.begin_move(TO_G)


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_deleted_while_a_move_is_made_durable_leaves_nothing(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    front.place.hold()
    deleted = front.catalog.delete("/f", ALWAYS)
    committed = front.part_moves.commit_move(TO_G)
    front.place.release()
    await deleted
    try:
        await committed
    except MoveRefused:
        assert not front.place.judges_ahead
        await front.part_moves.abort_move(TO_G, "refused")
    assert await front.doomed() == doomed(A) | COPY_ON_G
    again = await front.restart()
    assert await again.doomed() == doomed(A) | COPY_ON_G


@pytest_twisted.ensureDeferred
async def test_no_two_parts_of_a_file_come_to_the_same_node_and_no_part_to_two(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    for other in (PartCopy(A, 3, "g"), PartCopy(A, 2, "h")):
        with pytest.raises(MoveRefused, match="is being moved to node g"):
            await front.part_moves.begin_move(other)
    await front.part_moves.begin_move(PartCopy(A, 3, "h"))
    await front.part_moves.commit_move(TO_G)
    await front.part_moves.commit_move(PartCopy(A, 3, "h"))
    assert await nodes_of(await front.restart()) == ("a", "b", "g", "h", "e", "f")


@pytest_twisted.ensureDeferred
async def test_nothing_moves_once_nothing_can_be_changed(front: Front) -> None:
    await front.put("/f", A)
    await front.part_moves.begin_move(TO_G)
    front.place.fail()
    with pytest.raises(CatalogReadOnly):
        await front.part_moves.commit_move(TO_G)
    for change in (front.part_moves.begin_move(PartCopy(A, 3, "h")), front.part_moves.abort_move(TO_G, "no")):
        with pytest.raises(CatalogReadOnly):
            await change
    assert await nodes_of(front) == NODES


@pytest_twisted.ensureDeferred
async def test_a_part_is_known_wherever_it_has_a_reason_to_lie(front: Front) -> None:
    await moved(front)
    await front.part_moves.begin_move(PartCopy(A, 0, "h"))
    parts = [PartId(A, index) for index in range(7)]
    orphans = {node: await front.ledger.orphans(node, parts) for node in "abcdefgh"}
    lies = {(index, node) for node in orphans for index in range(7) if PartId(A, index) not in orphans[node]}
    assert lies == {*enumerate(MOVED), (2, "c"), (0, "h")}
    assert await front.looks.nodes() == set("abcdefgh")
    await front.confirm(COPY_ON_C)
    assert await front.looks.nodes() == set("abdefgh")
    assert await (await front.restart()).looks.nodes() == set("abdefgh")
