"""Parts that are missing, and the versions that they are missing of."""

from __future__ import annotations

import pytest
import pytest_twisted

from splitd.errors import CatalogReadOnly, MoveRefused
from splitd.interfaces.heal import HurtCounts
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from storaged.parts.format import PartId
from tests.catalogs import NODES, A, B, C, manifest
from tests.contract.catalogs.front import Front

WHOLE = HurtCounts({}, 0, 0)


async def nodes_of(front: Front, path: str = "/f") -> tuple[str, ...]:
    found = await front.catalog.lookup(path)
    assert isinstance(found, Manifest)
    return found.nodes


async def hurt(front: Front, limit: int = 100) -> list[str]:
    """The uploads of the hurt versions, read page by page."""
    page = await front.heal_ledger.hurt("", limit)
    found = [version.upload for version in page.versions]
    while page.cursor:
        page = await front.heal_ledger.hurt(page.cursor, limit)
        found += [version.upload for version in page.versions]
    return found


@pytest_twisted.ensureDeferred
async def test_an_upload_of_which_parts_are_not_stored_is_a_file_that_is_hurt_from_its_commit_on(front: Front) -> None:
    await front.begin(A, "/f", (*NODES[:5], ""))
    await front.commit("/f", manifest(A, parity=2, nodes=("a", "", *NODES[2:5], "")))
    assert await nodes_of(front) == ("a", "", "c", "d", "e", "")
    assert await front.doomed() == {"b": [f"{A}.1"]}
    assert await front.heal_ledger.parts_on() == dict.fromkeys("acde", 1)
    for each in (front, await front.restart()):
        assert await each.looks.nodes() == set("abcde")
        [version] = (await each.heal_ledger.hurt("", 1)).versions
        assert version == await each.catalog.lookup("/f")
        counts = await each.heal_ledger.hurt_counts()
        assert (counts.versions, counts.parts) == ({0: 1}, 2)


@pytest_twisted.ensureDeferred
async def test_an_upload_of_which_too_few_parts_are_stored_or_elsewhere_is_not_committed(front: Front) -> None:
    await front.begin(A, "/f")
    for nodes, told in (
        (("a", "", "", "", "e", "f"), "3 parts are stored, 4 are needed"),
        (("a", "g", *NODES[2:]), "was begun on"),
        (("a", ""), "was begun on"),
    ):
        with pytest.raises(ValueError, match=told):
            await front.commit("/f", manifest(A, parity=2, nodes=nodes))
    assert await front.commit("/f", manifest(A, parity=2))


@pytest_twisted.ensureDeferred
async def test_an_aborted_upload_dooms_parts_only_where_it_may_have_put_some(front: Front) -> None:
    await front.begin(A, "/f", ("a", "", "c", "", "", "f"))
    await front.begin(B, "/g", ("",) * 6)
    assert await front.looks.nodes() == set("acf")
    await front.ledger.abort(A, "no more")
    await front.ledger.abort(B, "no more")
    there = {"a": [f"{A}.0"], "c": [f"{A}.2"], "f": [f"{A}.5"]}
    assert await front.doomed() == there
    again = await front.restart()
    assert await again.doomed() == there
    await again.confirm(there)
    assert ((await again.statistics()).doomed, await (await again.restart()).doomed()) == (0, {})


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_lost_is_missing_and_its_remains_are_doomed(front: Front) -> None:
    await front.put("/f", A, parity=2)
    parts = [PartId(A, 2), PartId(A, 3), PartId(A, 6), PartId(B, 2)]
    assert await front.heal_ledger.lose("c", parts, "a unit is rotten") == 1
    assert await front.heal_ledger.lose("c", parts, "again") == 0
    assert await nodes_of(front) == ("a", "b", "", "d", "e", "f")
    again = await front.restart()
    for each in (front, again):
        assert await nodes_of(each) == ("a", "b", "", "d", "e", "f")
        assert await hurt(each) == [A]
        assert await each.doomed() == {"c": [f"{A}.2"]}
        assert "c" not in await each.heal_ledger.parts_on()
    with pytest.raises(MoveRefused, match="may be on node c already"):
        await again.part_moves.begin_move(PartCopy(A, 2, "c"))
    await again.confirm({"c": [f"{A}.2"]})
    await again.part_moves.begin_move(PartCopy(A, 2, "c"))
    await again.part_moves.commit_move(PartCopy(A, 2, "c"))
    assert (await nodes_of(again), await hurt(again), await again.doomed()) == (NODES, [], {})


@pytest_twisted.ensureDeferred
async def test_a_missing_part_that_is_rebuilt_elsewhere_makes_the_version_whole(front: Front) -> None:
    await front.put("/f", A, parity=2)
    await front.namespace.copy("/f", "/g", ALWAYS, deep=False, overwrite=False)
    await front.heal_ledger.lose("c", [PartId(A, 2)], "gone")
    await front.part_moves.begin_move(copy := PartCopy(A, 2, "g"))
    assert await hurt(front) == [A], "it is missing until the move is committed"
    await front.part_moves.commit_move(copy)
    now = ("a", "b", "g", "d", "e", "f")
    for each in (front, await front.restart()):
        assert (await nodes_of(each), await nodes_of(each, "/g")) == (now, now)
        assert (await hurt(each), await each.heal_ledger.hurt_counts()) == ([], WHOLE)
        assert await each.doomed() == {"c": [f"{A}.2"]}


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_lost_while_it_moves_is_where_the_move_ends(front: Front) -> None:
    await front.put("/f", A, parity=2)
    await front.part_moves.begin_move(copy := PartCopy(A, 2, "g"))
    await front.heal_ledger.lose("c", [PartId(A, 2)], "gone")
    await front.part_moves.commit_move(copy)
    assert (await nodes_of(front), await hurt(front)) == (("a", "b", "g", "d", "e", "f"), [])
    assert await front.doomed() == {"c": [f"{A}.2"]}


@pytest_twisted.ensureDeferred
async def test_the_most_endangered_come_first_and_those_that_cannot_be_read_last(front: Front) -> None:
    uploads = {number: f"{number:032x}" for number in range(9)}
    for number, upload in uploads.items():
        await front.put(f"/{number}", upload, parity=2)
    for number, count in {1: 1, 2: 2, 3: 3, 4: 1, 5: 2, 6: 4, 7: 1}.items():
        for index, node in enumerate(NODES[:count]):
            await front.heal_ledger.lose(node, [PartId(uploads[number], index)], "gone")
    order = [uploads[number] for number in (2, 5, 1, 4, 7, 3, 6)]
    again = await front.restart()
    for each in (front, again):
        assert [await hurt(each, limit) for limit in (1, 2, 3, 100)] == [order] * 4
        counts = await each.heal_ledger.hurt_counts()
        assert (counts.versions, counts.parts) == ({-2: 1, -1: 1, 0: 2, 1: 3}, 14)
    await again.catalog.delete("/2", ALWAYS)
    await again.put("/6", C)
    assert await hurt(again) == [each for each in order if each not in (uploads[2], uploads[6])]


@pytest_twisted.ensureDeferred
async def test_a_version_whose_last_name_goes_while_a_part_is_lost_leaves_nothing(front: Front) -> None:
    await front.put("/f", A, parity=2)
    front.place.hold()
    deleted = front.catalog.delete("/f", ALWAYS)
    lost = front.heal_ledger.lose("c", [PartId(A, 2)], "gone")
    front.place.release()
    await deleted
    assert await lost in ({1} if front.place.judges_ahead else {0, 1})
    for each in (front, await front.restart()):
        assert await each.doomed() == {node: [f"{A}.{index}"] for index, node in enumerate(NODES)}
        assert await each.heal_ledger.hurt_counts() == WHOLE


@pytest_twisted.ensureDeferred
async def test_nothing_moves_to_a_lost_node_and_nothing_is_doomed_where_nothing_remains(front: Front) -> None:
    await front.put("/f", A, parity=2)
    await front.heal_ledger.lose_node("g")
    await front.heal_ledger.lose_node("c")
    await front.heal_ledger.lose_node("g")
    await front.heal_ledger.lose("c", [PartId(A, 2)], "the node is lost", remains=False)
    for each in (front, await front.restart()):
        assert await each.heal_ledger.lost_nodes() == ["g", "c"]
        assert (await hurt(each), await each.doomed()) == ([A], {})
        for node in "gc":
            with pytest.raises(MoveRefused, match=f"node {node} is lost"):
                await each.part_moves.begin_move(PartCopy(A, 2, node))


@pytest_twisted.ensureDeferred
async def test_the_versions_on_a_node_are_listed_in_the_order_of_their_uploads(front: Front) -> None:
    for upload in (C, A, B):
        await front.put(f"/{upload}", upload, parity=2)
    await front.part_moves.begin_move(PartCopy(B, 2, "g"))
    await front.part_moves.commit_move(PartCopy(B, 2, "g"))
    for each in (front, await front.restart()):
        heal = each.heal_ledger
        assert [version.upload for version in (await heal.placed_on("a", "", 10)).versions] == [A, B, C]
        [moved] = (await heal.placed_on("g", "", 10)).versions
        assert moved.nodes == ("a", "b", "g", "d", "e", "f")
        page = await heal.placed_on("c", "", 1)
        assert [version.upload for version in page.versions] == [A]
        page = await heal.placed_on("c", page.cursor, 2)
        assert [version.upload for version in page.versions] == [C]
        assert await heal.placed_on("h", "", 10) == await heal.placed_on("a", C, 10)


@pytest_twisted.ensureDeferred
async def test_a_listing_of_a_node_looks_at_few_versions_at_a_time(front: Front) -> None:
    for first in range(0, 2500, 100):
        uploads = [f"{number:032x}" for number in range(first, first + 100)]
        await front.ledger.begin_all([Start(upload, f"/{upload}", NODES) for upload in uploads])
        for committed in front.ledger.commit_all([Commit(f"/{each}", manifest(each), ALWAYS) for each in uploads]):
            await committed
    await front.part_moves.begin_move(PartCopy(f"{2400:032x}", 0, "g"))
    await front.part_moves.commit_move(PartCopy(f"{2400:032x}", 0, "g"))
    page = await front.heal_ledger.placed_on("g", "", 10)
    assert (page.versions, page.cursor) == ([], f"{1999:032x}")
    page = await front.heal_ledger.placed_on("g", page.cursor, 10)
    assert [version.upload for version in page.versions] == [f"{2400:032x}"]
    assert page.cursor == ""


@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_once_nothing_can_be_changed(front: Front) -> None:
    await front.put("/f", A)
    front.place.fail()
    with pytest.raises(CatalogReadOnly):
        await front.heal_ledger.lose("c", [PartId(A, 2)], "gone")
    with pytest.raises(CatalogReadOnly):
        await front.heal_ledger.lose_node("c")
    assert (await nodes_of(front), await hurt(front)) == (NODES, [])


@pytest_twisted.ensureDeferred
async def test_a_part_that_its_version_cannot_do_without_is_lost_only_if_that_is_meant(front: Front) -> None:
    await front.put("/f", A)
    await front.begin(B, "/g")
    await front.commit("/g", manifest(B, parity=1))
    lose = front.heal_ledger.lose
    parts = [PartId(A, 1), PartId(B, 1)]
    assert await lose("b", parts, "rotten", if_spare=True) == 1
    assert await nodes_of(front) == NODES
    assert await nodes_of(front, "/g") == ("a", "", *NODES[2:])
    assert await lose("c", [PartId(B, 2)], "rotten", if_spare=True) == 0
    assert await lose("b", parts, "gone") == 1
    assert await nodes_of(front) == ("a", "", *NODES[2:])


@pytest_twisted.ensureDeferred
async def test_the_disk_of_a_node_that_was_checked_last_is_remembered(front: Front) -> None:
    assert await front.disks.checked_disks() == {}
    for node, disk in (("a", "one"), ("b", "two"), ("a", "three"), ("a", "three")):
        await front.disks.disk_checked(node, disk)
    for each in (front, await front.restart()):
        assert await each.disks.checked_disks() == {"a": "three", "b": "two"}
