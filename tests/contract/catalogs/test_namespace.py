"""Moves, copies and properties: judged at the instant of the change, and made in one step."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from splitd.errors import (
    BadName,
    Entangled,
    NotACollection,
    NotFound,
    ParentMissing,
    PreconditionFailed,
    PropertiesTooLarge,
)
from splitd.interfaces.names import AskedLayout, Details
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.if_header import IfHeader, Term, TermList
from splitd.model.properties import LAYOUT, PropertyChanges, write_layout
from tests.catalogs import NEW, A, B, C, doomed, manifest
from tests.contract.catalogs.front import Front
from tests.contract.catalogs.locking import lock

NONE = PropertyChanges({}, ())


def move(front: Front, source: str, target: str, condition: Condition = ALWAYS, *, overwrite: bool = True) -> Any:
    return front.namespace.move(source, target, condition, overwrite=overwrite)


def copy(front: Front, source: str, target: str, condition: Condition = ALWAYS, **options: bool) -> Any:
    return front.namespace.copy(source, target, condition, **{"deep": True, "overwrite": True, **options})


@pytest_twisted.ensureDeferred
async def test_a_tree_is_moved(furnished: Front) -> None:
    assert await move(furnished, "/c", "/e") is True
    assert await furnished.names() == ["/", "/e", "/e/d", "/e/f", "/g"]
    assert await (await furnished.restart()).names() == ["/", "/e", "/e/d", "/e/f", "/g"]


@pytest_twisted.ensureDeferred
async def test_a_tree_is_copied_and_its_parts_stay_until_both_are_gone(furnished: Front) -> None:
    assert await copy(furnished, "/c", "/e") is True
    assert await furnished.names() == ["/", "/c", "/c/d", "/c/f", "/e", "/e/d", "/e/f", "/g"]
    await furnished.catalog.delete("/c", ALWAYS)
    assert await furnished.doomed() == {}
    again = await furnished.restart()
    await again.catalog.delete("/e", ALWAYS)
    assert await again.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_a_collection_is_copied_without_its_members_where_that_is_asked_for(furnished: Front) -> None:
    await copy(furnished, "/c", "/c/e", deep=False)
    assert await furnished.names() == ["/", "/c", "/c/d", "/c/e", "/c/f", "/g"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("change", [move, copy])
async def test_what_is_at_the_target_is_replaced_only_where_that_is_asked_for(furnished: Front, change: Any) -> None:
    with pytest.raises(PreconditionFailed, match="/c is there already"):
        await change(furnished, "/g", "/c", overwrite=False)
    assert await change(furnished, "/g", "/c") is False
    assert await furnished.catalog.lookup("/c") == manifest(B)
    assert await furnished.doomed() == doomed(A)
    assert await change(furnished, "/c", "/new", overwrite=False) is True


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("change", [move, copy])
@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("/x", "/y", NotFound),
        ("/x", "/x", NotFound),
        ("/c", "/x/y", ParentMissing),
        ("/c", "/g/y", ParentMissing),
        ("/c", "/c", Entangled),
        ("/c", "/c/d/e", Entangled),
        ("/c/f", "/c", Entangled),
        ("/", "/x", Entangled),
        ("/c", "/", Entangled),
        ("c", "/x", BadName),
        ("/c", "/x/", BadName),
    ],
)
async def test_what_cannot_go_there_stays(
    furnished: Front, change: Any, source: str, target: str, error: type[Exception]
) -> None:
    before = await furnished.walk()
    with pytest.raises(error):
        await change(furnished, source, target)
    assert await furnished.walk() == before
    assert (await furnished.statistics()).changes == 0


@pytest_twisted.ensureDeferred
async def test_a_file_on_its_way_into_what_is_being_moved_is_refused(furnished: Front) -> None:
    furnished.place.hold()
    moved, put = move(furnished, "/c", "/e"), furnished.put("/c/new", C)
    into = furnished.put("/e/new", "d" * 32)
    furnished.place.release()
    await moved
    assert await into is True
    with pytest.raises(ParentMissing, match="there is no collection /c"):
        await put


@pytest_twisted.ensureDeferred
async def test_two_who_move_one_thing_do_not_both(furnished: Front) -> None:
    furnished.place.hold()
    first, second = move(furnished, "/g", "/h"), move(furnished, "/g", "/i")
    furnished.place.release()
    assert await first is True
    with pytest.raises(NotFound):
        await second


@pytest_twisted.ensureDeferred
async def test_properties_are_changed_all_or_none(furnished: Front) -> None:
    note = furnished.namespace.change_properties
    await note("/g", PropertyChanges({"a": "<a/>", "b": "<b/>"}, ()), ALWAYS)
    await note("/", PropertyChanges({"r": "<r/>"}, ()), ALWAYS)
    await note("/g", PropertyChanges({"c": "<c/>"}, ("a", "never there")), ALWAYS)
    expected = [Details({"b": "<b/>", "c": "<c/>"}, []), Details({"r": "<r/>"}, []), Details({}, [])]
    assert await furnished.namespace.details(["/g", "/", "/x"]) == expected
    assert await (await furnished.restart()).namespace.details(["/g", "/", "/x"]) == expected


@pytest_twisted.ensureDeferred
async def test_properties_are_kept_of_what_is_there_and_within_limits(furnished: Front) -> None:
    note = furnished.namespace.change_properties
    with pytest.raises(NotFound):
        await note("/x", NONE, ALWAYS)
    with pytest.raises(PreconditionFailed):
        await note("/g", NONE, NEW)
    half = "x" * 40_000
    await note("/g", PropertyChanges({"a": half}, ()), ALWAYS)
    with pytest.raises(PropertiesTooLarge, match="80002 bytes"):
        await note("/g", PropertyChanges({"b": half}, ()), ALWAYS)
    await note("/g", PropertyChanges({"b": half}, ("a",)), ALWAYS)
    with pytest.raises(PropertiesTooLarge):
        await furnished.catalog.make_collection("/new", ALWAYS, {"a": half + half})


@pytest_twisted.ensureDeferred
async def test_what_a_client_believes_of_other_paths_is_judged_in_turn(furnished: Front) -> None:
    old = Condition(if_header=IfHeader((TermList("/g", (Term(negated=False, etag=manifest(B).etag),)),)))
    furnished.place.hold()
    replaced, put = furnished.put("/g", C), furnished.put("/c/f", "d" * 32, old)
    furnished.place.release()
    await replaced
    with pytest.raises(PreconditionFailed, match="/c/f: If does not hold"):
        await put


@pytest_twisted.ensureDeferred
async def test_where_only_collections_may_be_is_judged_when_the_turn_has_come(furnished: Front) -> None:
    asks = Condition(collections=("/c", "/new"))
    await furnished.begin(C, "/new")
    first = furnished.commit("/new", manifest(C))  # becomes a file before the move is judged
    with pytest.raises(NotACollection, match="/new is a file"):
        await furnished.namespace.move("/c", "/new", asks, overwrite=True)
    await first
    assert {"/c/f", "/new"} <= set(await furnished.names())
    with pytest.raises(NotACollection, match="MKCOL"):
        await lock(furnished, "/other", "urn:a", condition=Condition(collections=("/other",)))


async def ask_for(front: Front, path: str, layout: str) -> None:
    await front.namespace.change_properties(path, PropertyChanges({LAYOUT: write_layout(layout)}, ()), ALWAYS)


@pytest_twisted.ensureDeferred
async def test_the_nearest_collection_that_asks_for_a_layout_decides(furnished: Front) -> None:
    asked, admit = furnished.namespace.asked_layout, furnished.catalog.admit
    assert (await asked("/"), await asked("/c/d")) == (AskedLayout(), AskedLayout())
    assert (await admit("/c/d/new", ALWAYS)).layout == ""
    await ask_for(furnished, "/", "6+1")
    assert (await admit("/new", ALWAYS)).layout == "6+1"
    assert await asked("/c/d") == AskedLayout("6+1", "/")
    await ask_for(furnished, "/c", "6+2")
    for front in (furnished, await furnished.restart()):
        assert await front.namespace.asked_layout("/c/d") == AskedLayout("6+2", "/c")
        assert await front.namespace.asked_layout("/") == AskedLayout("6+1", "/")
        layouts = [(await front.catalog.admit(path, ALWAYS)).layout for path in ("/c/d/new", "/c/f", "/g", "/new")]
        assert layouts == ["6+2", "6+2", "6+1", "6+1"]
        assert (await front.statistics()).widest == 8
    await front.namespace.change_properties("/c", PropertyChanges({}, (LAYOUT,)), ALWAYS)
    assert await front.namespace.asked_layout("/c/d") == AskedLayout("6+1", "/")


@pytest_twisted.ensureDeferred
async def test_a_collection_keeps_its_layout_when_it_is_moved_or_copied(furnished: Front) -> None:
    await ask_for(furnished, "/c/d", "6+2")
    await copy(furnished, "/c", "/e")
    await move(furnished, "/c/d", "/h")
    for path in ("/e/d", "/h"):
        assert await furnished.namespace.asked_layout(path) == AskedLayout("6+2", path)
        assert (await furnished.catalog.admit(f"{path}/new", ALWAYS)).layout == "6+2"
    assert await furnished.namespace.asked_layout("/c") == AskedLayout()


@pytest_twisted.ensureDeferred
async def test_only_a_collection_has_files_that_get_a_layout(furnished: Front) -> None:
    for path, error in (("/x", NotFound), ("/g", NotACollection), ("/g/y", NotFound)):
        with pytest.raises(error):
            await furnished.namespace.asked_layout(path)


@pytest_twisted.ensureDeferred
async def test_a_property_that_is_no_layout_is_not_taken_for_one(furnished: Front) -> None:
    await furnished.namespace.change_properties("/c", PropertyChanges({LAYOUT: "<layout>x</layout>"}, ()), ALWAYS)
    assert await furnished.namespace.asked_layout("/c") == AskedLayout()
    assert (await furnished.catalog.admit("/c/new", ALWAYS)).layout == ""
