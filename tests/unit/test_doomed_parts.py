"""The queue of parts to delete."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from splitd.catalog.doomed import DoomedParts
from splitd.catalog.effects import apply
from splitd.catalog.state import State
from splitd.model.holdings import PartCopy
from splitd.model.records import JournalOpened, PartsGone, PartsReaped, UploadAborted, UploadStarted
from storaged.parts.format import PartId
from tests.catalogs import NODES, A

UPLOADS = [f"{number:032x}" for number in range(200)]
parts = st.builds(PartId, st.sampled_from(UPLOADS[:6]), st.integers(0, 5))
steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(UPLOADS[:6]), st.permutations(["a", "b", "c", "d", "", ""]).map(tuple)),
    st.tuples(st.just("copy"), st.sampled_from(UPLOADS[:6]), st.integers(0, 5), st.sampled_from("efg")),
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
                expected += [(node, PartId(upload, index)) for index, node in enumerate(nodes) if node]
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
