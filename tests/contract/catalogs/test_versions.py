"""Versions are found by their uploads."""

from __future__ import annotations

import pytest_twisted

from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from storaged.parts.format import PartId
from tests.catalogs import A, B, C
from tests.contract.catalogs.front import Front


@pytest_twisted.ensureDeferred
async def test_versions_are_found_with_the_nodes_of_their_parts_now(front: Front) -> None:
    assert await front.versions.find_all([]) == []
    await front.put("/f", A)
    await front.put("/g", B)
    await front.begin(C, "/h")
    found = await front.versions.find_all([B, C, A, B])
    assert found == [await front.catalog.lookup(path) if path else None for path in ("/g", "", "/f", "/g")]
    await front.part_moves.begin_move(PartCopy(A, 2, "g"))
    await front.part_moves.commit_move(PartCopy(A, 2, "g"))
    await front.heal_ledger.lose("b", [PartId(A, 1)], "gone")
    for each in (front, await front.restart()):
        [version] = await each.versions.find_all([A])
        assert version is not None
        assert version.nodes == ("a", "", "g", "d", "e", "f")


@pytest_twisted.ensureDeferred
async def test_a_version_without_a_name_is_not_found(front: Front) -> None:
    await front.put("/f", A)
    await front.put("/f", B)
    await front.catalog.delete("/f", ALWAYS)
    assert await front.versions.find_all([A, B]) == [None, None]
