"""The parts that are to be deleted, node by node."""

from __future__ import annotations

import pytest
import pytest_twisted

from splitd.errors import CatalogReadOnly
from splitd.model.conditions import ALWAYS
from storaged.parts.format import PartId
from tests.catalogs import NODES, A, B, C, doomed
from tests.contract.catalogs.front import Front


@pytest_twisted.ensureDeferred
async def test_the_replaced_version_is_doomed_until_its_parts_are_gone(front: Front) -> None:
    await front.put("/f", A)
    await front.put("/f", B)
    assert await front.doomed() == doomed(A)
    front = await front.restart()
    assert await front.doomed() == doomed(A)
    await front.confirm(doomed(A))
    assert await front.doomed() == {}
    assert await (await front.restart()).doomed() == {}


@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_deleted_file_are_doomed_until_each_node_has_confirmed_them(front: Front) -> None:
    await front.put("/f", A)
    await front.catalog.delete("/f", ALWAYS)
    assert await front.doomed_parts.doomed_nodes() == dict.fromkeys(NODES, 1)
    for index, node in enumerate(NODES[:4]):
        await front.doomed_parts.gone(node, [PartId(A, index)])
    again = await front.restart()
    assert await again.doomed_parts.doomed_nodes() == {"e": 1, "f": 1}
    assert (await again.doomed_on("a"), await again.doomed_on("e")) == ([], [PartId(A, 4)])
    assert ((await again.statistics()).doomed, (await again.statistics()).reaped) == (1, 0)
    await again.confirm(doomed(A))
    assert ((await again.statistics()).doomed, (await again.statistics()).reaped) == (0, 1)
    again = await again.restart()
    assert await again.doomed_parts.doomed_nodes() == {}
    assert ((await again.statistics()).doomed, (await again.statistics()).reaped) == (0, 0)


@pytest_twisted.ensureDeferred
async def test_pages_are_oldest_first_and_go_on_at_the_cursor(front: Front) -> None:
    for upload in (C, A, B):
        await front.begin(upload, "/f")
        await front.ledger.abort(upload, "the client left")
    page = await front.doomed_parts.doomed_on("b", "", 2)
    assert list(page.parts) == [PartId(C, 1), PartId(A, 1)]
    page = await front.doomed_parts.doomed_on("b", page.cursor, 2)
    assert (list(page.parts), page.cursor) == ([PartId(B, 1)], "")
    nothing = await front.doomed_parts.doomed_on("nowhere", "", 2)
    assert (list(nothing.parts), nothing.cursor) == ([], "")


@pytest_twisted.ensureDeferred
async def test_a_cursor_stays_good_while_parts_go_and_come(front: Front) -> None:
    uploads = [f"{number:032x}" for number in range(30)]

    async def doom(some: list[str]) -> None:
        for upload in some:
            await front.begin(upload, "/f", ("a", "b"))
            await front.ledger.abort(upload, "no more")

    await doom(uploads[:20])
    first = await front.doomed_parts.doomed_on("a", "", 10)
    await front.doomed_parts.gone("a", list(first.parts))
    await front.doomed_parts.gone("a", [PartId(uploads[12], 0)])
    await doom(uploads[20:])
    rest = await front.doomed_parts.doomed_on("a", first.cursor, 100)
    expected = [PartId(upload, 0) for upload in uploads if upload != uploads[12]]
    assert [*first.parts, *rest.parts] == expected
    assert rest.cursor == ""


@pytest_twisted.ensureDeferred
async def test_parts_that_are_not_doomed_on_a_node_are_skipped(front: Front) -> None:
    await front.put("/f", A)
    await front.put("/g", B)
    await front.catalog.delete("/f", ALWAYS)
    await front.doomed_parts.gone("a", [PartId(B, 0), PartId(A, 1), PartId(C, 0)])
    assert await front.doomed() == doomed(A)
    await front.doomed_parts.gone("a", [PartId(B, 0), PartId(A, 0)])
    await front.doomed_parts.gone("a", [PartId(A, 0)])
    again = await front.restart()
    assert "a" not in await again.doomed()
    assert await again.catalog.lookup("/g") is not None
    await again.catalog.delete("/g", ALWAYS)
    assert (await again.doomed())["a"] == [f"{B}.0"]


@pytest_twisted.ensureDeferred
async def test_many_parts_are_confirmed_in_one_call(front: Front) -> None:
    uploads = [f"{number:032x}" for number in range(2500)]
    for upload in uploads:
        front.begin(upload, "/f", ("a",))
    for upload in uploads[:-1]:
        front.ledger.abort(upload, "no more")
    await front.ledger.abort(uploads[-1], "no more")
    await front.doomed_parts.gone("a", [PartId(upload, 0) for upload in uploads])
    assert (await (await front.restart()).statistics()).doomed == 0


@pytest_twisted.ensureDeferred
async def test_parts_are_doomed_until_their_confirmation_is_durable(front: Front) -> None:
    await front.put("/f", A)
    await front.catalog.delete("/f", ALWAYS)
    front.place.hold()
    first = front.doomed_parts.gone("a", [PartId(A, 0)])
    second = front.doomed_parts.gone("a", [PartId(A, 0)])
    await front.place.held()
    assert await front.doomed_on("a") == [PartId(A, 0)]
    assert not first.called
    front.place.release()
    await first
    await second
    assert await front.doomed_on("a") == []
    assert await (await front.restart()).doomed_on("a") == []


@pytest_twisted.ensureDeferred
async def test_nothing_is_confirmed_once_nothing_can_be_changed(front: Front) -> None:
    await front.put("/f", A)
    await front.catalog.delete("/f", ALWAYS)
    front.place.fail()
    with pytest.raises(CatalogReadOnly):
        await front.doomed_parts.gone("a", [PartId(A, 0)])
    assert await front.doomed_on("a") == [PartId(A, 0)]
