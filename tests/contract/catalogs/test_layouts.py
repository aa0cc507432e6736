"""More parity for versions that are stored already, and less."""

from __future__ import annotations

import pytest
import pytest_twisted

from splitd.errors import CatalogReadOnly, LayoutRefused, MoveRefused
from splitd.interfaces.heal import HurtCounts
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from storaged.parts.format import PartId
from tests.catalogs import NODES, A, B, manifest
from tests.contract.catalogs.front import Front

WHOLE = HurtCounts({}, 0, 0)


async def file(front: Front, path: str = "/f") -> Manifest:
    found = await front.catalog.lookup(path)
    assert isinstance(found, Manifest)
    return found


async def rebuild(front: Front, index: int, node: str) -> None:
    """Record that a missing part was rebuilt on a node."""
    copy = PartCopy(A, index, node)
    await front.part_moves.begin_move(copy)
    await front.part_moves.commit_move(copy)


@pytest_twisted.ensureDeferred
async def test_more_parity_is_missing_until_it_is_rebuilt_and_data_stays(front: Front) -> None:
    await front.put("/f", A)
    assert await front.seams.layouts.change_parity(A, 2) is True
    for each in (front, await front.restart()):
        found = await file(each)
        assert (found.data, found.parity, found.nodes) == (6, 2, (*NODES, "", ""))
        counts = await each.heal_ledger.hurt_counts()
        assert (counts.versions, counts.parts) == ({0: 1}, 2)
        assert (await each.heal_ledger.hurt("", 9)).versions == [found]
        assert (await each.catalog.list_members("/", "", 9))[0].entry == found
        assert (await each.statistics()).widest == 8
        assert await each.doomed() == {}
        last = each
    await rebuild(last, 7, "h")
    await rebuild(last, 6, "g")
    for each in (last, await last.restart()):
        assert (await file(each)).nodes == (*NODES, "g", "h")
        assert await each.heal_ledger.hurt_counts() == WHOLE
        assert await each.heal_ledger.parts_on() == dict.fromkeys("abcdefgh", 1)
        assert await each.ledger.orphans("h", [PartId(A, 7), PartId(A, 8)]) == [PartId(A, 8)]


@pytest_twisted.ensureDeferred
async def test_parity_that_is_too_much_is_doomed_and_may_be_rebuilt_there_when_it_is_gone(front: Front) -> None:
    await front.put("/f", A)
    await front.seams.layouts.change_parity(A, 2)
    await rebuild(front, 6, "g")
    assert await front.seams.layouts.change_parity(A, 1) is True  # drops one that is missing
    assert await front.doomed() == {}
    assert await front.seams.layouts.change_parity(A, 0) is True
    for each in (front, await front.restart()):
        found = await file(each)
        assert (found.parity, found.nodes) == (0, NODES)
        assert await each.doomed() == {"g": [f"{A}.6"]}
        assert await each.heal_ledger.hurt_counts() == WHOLE
        last = each
    assert await last.seams.layouts.change_parity(A, 1) is True
    with pytest.raises(MoveRefused, match="may be on node g already"):
        await last.part_moves.begin_move(PartCopy(A, 6, "g"))
    await last.doomed_parts.gone("g", [PartId(A, 6)])
    await rebuild(last, 6, "g")
    assert (await file(last)).nodes == (*NODES, "g")
    await last.catalog.delete("/f", ALWAYS)
    assert await last.doomed() == {node: [f"{A}.{index}"] for index, node in enumerate("abcdefg")}


@pytest_twisted.ensureDeferred
async def test_what_has_as_much_already_or_no_parts_or_no_name_is_not_changed(front: Front) -> None:
    change = front.seams.layouts.change_parity
    await front.put("/f", A)
    await front.begin(B, "/empty")
    await front.commit("/empty", manifest(B, size=0, nodes=()))
    assert [await change(upload, 0) for upload in (A, B, "c" * 32)] == [False] * 3
    assert [await change(upload, 2) for upload in (B, "c" * 32)] == [False] * 2
    for parity in (-1, 5):
        with pytest.raises(ValueError, match="cannot have"):
            await change(A, parity)
    assert (await file(front)).parity == 0


@pytest_twisted.ensureDeferred
async def test_parity_is_not_dropped_while_a_part_that_would_remain_is_missing(front: Front) -> None:
    await front.begin(A, "/f")
    await front.commit("/f", manifest(A, parity=2))
    await front.heal_ledger.lose("b", [PartId(A, 1)], "rotten")
    for parity in (1, 0):
        with pytest.raises(LayoutRefused, match="it must be rebuilt first"):
            await front.seams.layouts.change_parity(A, parity)
    assert await front.seams.layouts.change_parity(A, 3) is True
    assert (await file(front)).nodes == ("a", "", *NODES[2:], "")


@pytest_twisted.ensureDeferred
async def test_a_rebuild_of_a_part_that_was_dropped_meanwhile_is_refused(front: Front) -> None:
    await front.put("/f", A)
    await front.seams.layouts.change_parity(A, 1)
    copy = PartCopy(A, 6, "g")
    await front.part_moves.begin_move(copy)
    await front.seams.layouts.change_parity(A, 0)
    with pytest.raises(MoveRefused):
        await front.part_moves.commit_move(copy)
    await front.part_moves.abort_move(copy, "it was dropped")
    assert await front.doomed() == {"g": [f"{A}.6"]}


@pytest_twisted.ensureDeferred
async def test_all_names_of_a_version_have_its_parity(front: Front) -> None:
    await front.put("/f", A)
    await front.namespace.copy("/f", "/g", ALWAYS, deep=True, overwrite=True)
    await front.seams.layouts.change_parity(A, 1)
    await front.catalog.delete("/f", ALWAYS)
    for each in (front, await front.restart()):
        assert (await file(each, "/g")).nodes == (*NODES, "")


@pytest_twisted.ensureDeferred
async def test_nothing_is_changed_once_nothing_can_be_written(front: Front) -> None:
    await front.put("/f", A)
    front.place.fail()
    with pytest.raises(CatalogReadOnly):
        await front.seams.layouts.change_parity(A, 1)
    assert (await file(front)).parity == 0
