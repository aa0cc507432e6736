"""The queue of parts to delete, and the catalog's interface for the code that deletes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from splitd.catalog.doomed import DoomedParts
from splitd.catalog.effects import apply
from splitd.catalog.state import State
from splitd.errors import CatalogReadOnly
from splitd.interfaces.parts import IDoomedParts
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.records import JournalOpened, PartsGone, PartsReaped, UploadAborted, UploadStarted, decode_line
from storaged.parts.format import PartId
from tests.fired import fired
from tests.ledger import begin
from tests.unit.catalogs import NODES, A, B, C, Front, started

UPLOADS = [f"{number:032x}" for number in range(200)]
parts = st.builds(PartId, st.sampled_from(UPLOADS[:6]), st.integers(0, 3))
steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(UPLOADS[:6]), st.permutations("abcd").map(tuple)),
    st.tuples(st.just("copy"), st.sampled_from(UPLOADS[:6]), st.integers(0, 3), st.sampled_from("efg")),
    st.tuples(st.just("confirm"), st.sampled_from("abcdefg"), parts),
    st.tuples(st.just("drop"), st.sampled_from(UPLOADS[:6])),
)


def pages(doomed: DoomedParts, node: str, limit: int) -> list[PartId]:
    found: list[PartId] = []
    after = ""
    while True:
        page, after = doomed.page(node, after, limit)
        assert len(page) <= limit
        found += page
        if not after:
            return found


@given(st.lists(steps, max_size=60), st.integers(1, 5))
def test_each_node_has_its_parts_oldest_first_page_by_page(some: list[tuple[Any, ...]], limit: int) -> None:
    doomed, expected = DoomedParts(), list[tuple[str, PartId]]()
    for step in some:
        match step:
            case "add", upload, nodes if upload not in doomed:
                doomed.add(upload, nodes)
                expected += [(node, PartId(upload, index)) for index, node in enumerate(nodes)]
            case "copy", upload, index, node if PartCopy(upload, index, node) not in doomed:
                doomed.add_copy(PartCopy(upload, index, node))
                expected.append((node, PartId(upload, index)))
            case "confirm", node, part:
                assert doomed.has(node, part) == ((node, part) in expected)
                doomed.confirm(node, part)
                expected = [each for each in expected if each != (node, part)]
            case "drop", upload if upload in doomed:
                doomed.drop(upload)
                expected = [(node, part) for node, part in expected if part.upload != upload or node in "efg"]
    assert doomed.parts == len(expected)
    assert list(doomed.nodes().items()) == sorted(Counter(node for node, _ in expected).items())
    for node in "abcdefg":
        assert pages(doomed, node, limit) == [part for where, part in expected if where == node]


def test_a_cursor_stays_good_while_parts_go_and_come() -> None:
    doomed = DoomedParts()
    for upload in UPLOADS[:150]:
        doomed.add(upload, ("a", "b"))
    first, after = doomed.page("a", "", 100)
    for part in first:
        doomed.confirm("a", part)
    for upload in UPLOADS[150:]:
        doomed.add(upload, ("b", "a"))
    rest, end = doomed.page("a", after, 1000)
    assert [part.upload for part in (*first, *rest)] == UPLOADS
    assert end == ""
    assert pages(doomed, "a", 7) == list(rest)
    assert len(pages(doomed, "b", 7)) == 200


def test_places_of_parts_that_are_gone_are_not_known_any_more() -> None:
    doomed = DoomedParts()
    doomed.add(A, NODES)
    doomed.confirm("b", PartId(A, 1))
    assert doomed.uploads() == {A: ("a", "", "c", "d", "e", "f")}


async def reaped(front: Front, upload: str, nodes: Sequence[str] = NODES) -> None:
    """Confirm the deletion of the parts of an upload, node by node."""
    for index, node in enumerate(nodes):
        await front.catalog.doomed_parts.gone(node, [PartId(upload, index)])


async def on(front: Front, node: str) -> list[PartId]:
    return list((await front.catalog.doomed_parts.doomed_on(node, "", 1000)).parts)


@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_deleted_file_are_doomed_until_each_node_has_confirmed_them() -> None:
    front = await started()
    assert IDoomedParts.providedBy(front.catalog.doomed_parts)
    await front.put("/f", A)
    await front.catalog.delete("/f", ALWAYS)
    assert await front.catalog.doomed_parts.doomed_nodes() == dict.fromkeys(NODES, 1)
    await reaped(front, A, NODES[:4])
    again = await front.restart()
    assert await again.catalog.doomed_parts.doomed_nodes() == {"e": 1, "f": 1}
    assert (await on(again, "a"), await on(again, "e")) == ([], [PartId(A, 4)])
    assert (fired(again.catalog.statistics()).doomed, fired(again.catalog.statistics()).reaped) == (1, 0)
    await reaped(again, A)
    assert (fired(again.catalog.statistics()).doomed, fired(again.catalog.statistics()).reaped) == (0, 1)
    again = await again.restart()
    assert (await again.catalog.doomed_parts.doomed_nodes(), fired(again.catalog.statistics()).doomed) == ({}, 0)
    assert fired(again.catalog.statistics()).reaped == 0


@pytest_twisted.ensureDeferred
async def test_a_page_names_the_cursor_of_the_next_one() -> None:
    front = await started()
    for path, upload in (("/a", A), ("/b", B), ("/c", C)):
        await front.put(path, upload)
        await front.catalog.delete(path, ALWAYS)
    page = await front.catalog.doomed_parts.doomed_on("b", "", 2)
    assert page.parts == [PartId(A, 1), PartId(B, 1)]
    page = await front.catalog.doomed_parts.doomed_on("b", page.cursor, 2)
    assert (page.parts, page.cursor) == ([PartId(C, 1)], "")
    nothing = await front.catalog.doomed_parts.doomed_on("nowhere", "", 2)
    assert (nothing.parts, nothing.cursor) == ([], "")


@pytest_twisted.ensureDeferred
async def test_parts_that_are_not_doomed_on_a_node_are_not_recorded() -> None:
    front = await started()
    await front.put("/f", A)
    await front.put("/g", B)
    await front.catalog.delete("/f", ALWAYS)
    before = len(front.folder.lines)
    await front.catalog.doomed_parts.gone("a", [PartId(B, 0), PartId(A, 1), PartId(C, 0)])
    assert len(front.folder.lines) == before
    await front.catalog.doomed_parts.gone("a", [PartId(B, 0), PartId(A, 0)])
    await front.catalog.doomed_parts.gone("a", [PartId(A, 0)])
    assert [decode_line(line).record for line in front.folder.lines[before:]] == [PartsGone("a", (f"{A}.0",))]
    assert await (await front.restart()).catalog.lookup("/g") is not None


@pytest_twisted.ensureDeferred
async def test_the_parts_of_one_confirmation_share_few_records() -> None:
    front = await started()
    uploads = [f"{number:032x}" for number in range(2500)]
    for upload in uploads:
        await begin(front.catalog.ledger, upload, "/f", ("a",))
        await front.catalog.ledger.abort(upload, "no more")
    before = len(front.folder.lines)
    await front.catalog.doomed_parts.gone("a", [PartId(upload, 0) for upload in uploads])
    assert len(front.folder.lines) - before == 3
    assert fired((await front.restart()).catalog.statistics()).doomed == 0


@pytest_twisted.ensureDeferred
async def test_parts_are_doomed_until_their_confirmation_is_durable() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.delete("/f", ALWAYS)
    front.journal.hold()
    first = front.catalog.doomed_parts.gone("a", [PartId(A, 0)])
    second = front.catalog.doomed_parts.gone("a", [PartId(A, 0)])
    assert await on(front, "a") == [PartId(A, 0)]
    assert not first.called
    front.journal.release()
    await first
    await second
    assert await on(front, "a") == []
    assert await on(await front.restart(), "a") == []


@pytest_twisted.ensureDeferred
async def test_nothing_is_confirmed_once_the_journal_has_failed() -> None:
    front = await started()
    await front.put("/f", A)
    await front.catalog.delete("/f", ALWAYS)
    front.journal.fail_next("the disk is full")
    with pytest.raises(CatalogReadOnly):
        await front.catalog.doomed_parts.gone("a", [PartId(A, 0)])
    assert await on(front, "a") == [PartId(A, 0)]


def test_a_journal_that_confirms_whole_uploads_is_read() -> None:
    state = State()
    for record in (
        JournalOpened(1, "d" * 32, 1),
        UploadStarted(A, "/f", NODES, 1),
        UploadAborted(A, "no", 1),
        PartsGone("a", (f"{A}.0",)),
        PartsReaped(A),
    ):
        apply(state, record)
    assert len(state.doomed) == 0
    assert state.doomed.nodes() == {}
