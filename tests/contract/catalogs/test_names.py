"""Files and collections get names, and lose them."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.errors import BadName, NameTaken, NotACollection, NotAFile, NotFound, ParentMissing, PreconditionFailed
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.tree import Collection
from tests.catalogs import NEW, A, B, C, doomed, known, manifest
from tests.contract.catalogs.front import Front


@pytest_twisted.ensureDeferred
async def test_a_new_catalog_has_a_root_and_the_id_of_a_cluster_that_it_keeps(front: Front) -> None:
    cluster = await front.looks.cluster()
    assert cluster
    assert await front.walk() == {"/": Collection(1000, 1000)}
    again = await front.restart()
    assert await again.looks.cluster() == cluster
    assert await again.walk() == {"/": Collection(1000, 1000)}


@pytest_twisted.ensureDeferred
async def test_a_file_is_seen_once_it_is_committed(front: Front) -> None:
    assert await front.catalog.lookup("/f") is None
    assert await front.put("/f", A) is True
    assert await front.catalog.lookup("/f") == manifest(A)
    assert await front.put("/f", B) is False
    assert await known(front.catalog, "/f") in {None, manifest(B)}
    assert await known(front.catalog, "/") is None
    assert await front.catalog.lookup("/f") == manifest(B)
    assert await known(front.catalog, "/f") in {None, manifest(B)}
    assert await (await front.restart()).catalog.lookup("/f") == manifest(B)


@pytest_twisted.ensureDeferred
async def test_no_change_is_seen_before_it_is_durable(front: Front) -> None:
    await front.put("/old", A)
    front.place.hold()
    changes: list[Deferred[Any]] = [front.put("/f", B)]
    changes += [front.catalog.make_collection("/c"), front.catalog.delete("/old", ALWAYS)]
    await front.place.held()
    assert await front.names() == ["/", "/old"]
    assert await front.doomed() == {}
    assert not any(change.called for change in changes)
    front.place.release()
    for change in changes:
        await change
    assert await front.names() == ["/", "/c", "/f"]
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_of_many_who_create_one_name_exactly_one_wins(front: Front) -> None:
    front.place.hold()
    racing = [front.put("/f", f"{number:032x}", NEW) for number in range(200)]
    front.place.release()
    assert await racing[0] is True
    for lost in racing[1:]:
        with pytest.raises(PreconditionFailed, match="/f: If-None-Match does not hold"):
            await lost
    assert await front.catalog.lookup("/f") == manifest(f"{0:032x}")
    assert (await front.statistics()).changes == 0


@pytest_twisted.ensureDeferred
async def test_a_condition_is_judged_against_what_was_committed_just_before(front: Front) -> None:
    await front.put("/f", A)
    front.place.hold()
    same = Condition(match=(manifest(A).etag,))
    first, second = front.put("/f", B, same), front.put("/f", C, same)
    front.place.release()
    assert await first is False
    with pytest.raises(PreconditionFailed, match="/f: If-Match does not hold"):
        await second
    assert await front.catalog.lookup("/f") == manifest(B)


@pytest_twisted.ensureDeferred
async def test_a_file_waits_for_the_collection_that_is_being_made(front: Front) -> None:
    front.place.hold()
    made, put = front.catalog.make_collection("/c"), front.put("/c/f", A)
    front.place.release()
    await made
    assert await put is True


@pytest_twisted.ensureDeferred
async def test_a_file_is_not_put_into_a_collection_that_is_being_deleted(front: Front) -> None:
    await front.catalog.make_collection("/c")
    front.place.hold()
    deleted, put = front.catalog.delete("/c", ALWAYS), front.put("/c/f", A)
    front.place.release()
    await deleted
    with pytest.raises(ParentMissing, match="there is no collection /c"):
        await put
    assert (await front.statistics()).uploads == 1


@pytest_twisted.ensureDeferred
async def test_a_collection_takes_with_it_the_file_that_was_on_its_way(front: Front) -> None:
    await front.catalog.make_collection("/c")
    await front.begin(A, "/c/f")
    front.place.hold()
    put, deleted = front.commit("/c/f", manifest(A)), front.catalog.delete("/c", ALWAYS)
    front.place.release()
    await put
    await deleted
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_deleting_a_collection_dooms_all_under_it(front: Front) -> None:
    await front.catalog.make_collection("/c")
    await front.catalog.make_collection("/c/d")
    await front.put("/c/d/f", A)
    await front.put("/c/g", B)
    await front.put("/h", C)
    await front.catalog.delete("/c", ALWAYS)
    assert await front.doomed() in (doomed(A, B), doomed(B, A))
    assert await front.names() == ["/", "/h"]
    again = await front.restart()
    assert await again.doomed() in (doomed(A, B), doomed(B, A))
    assert await again.names() == ["/", "/h"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("path", "error"),
    [("/", NotAFile), ("/c", NotAFile), ("/f/x", ParentMissing), ("/x/y", ParentMissing), ("x", BadName)],
)
async def test_a_file_goes_only_where_a_file_can_be(front: Front, path: str, error: type[Exception]) -> None:
    await front.catalog.make_collection("/c")
    await front.put("/f", A)
    await front.begin(B, "/f")
    with pytest.raises(error):
        await front.commit(path, manifest(B), Condition(match=("nothing",)))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("path", "error"),
    [("/", NameTaken), ("/c", NameTaken), ("/f", NameTaken), ("/f/x", ParentMissing), ("/x/y", ParentMissing)],
)
async def test_a_collection_is_made_only_where_nothing_is(front: Front, path: str, error: type[Exception]) -> None:
    await front.catalog.make_collection("/c")
    await front.put("/f", A)
    with pytest.raises(error):
        await front.catalog.make_collection(path)


@pytest_twisted.ensureDeferred
async def test_a_collection_tells_when_it_was_made(front: Front) -> None:
    front.clock.advance(7.25)
    assert await front.catalog.make_collection("/c") == Collection(8250, 8250)
    assert await front.catalog.lookup("/c") == Collection(8250, 8250)
    assert await (await front.restart()).catalog.lookup("/c") == Collection(8250, 8250)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("path", "condition", "error"),
    [
        ("/", ALWAYS, BadName),
        ("/x", ALWAYS, NotFound),
        ("/x", Condition(match=("*",)), NotFound),
        ("/f", Condition(match=('"other"',)), PreconditionFailed),
        ("/c", NEW, PreconditionFailed),
    ],
)
async def test_what_cannot_be_deleted_stays(
    front: Front, path: str, condition: Condition, error: type[Exception]
) -> None:
    await front.catalog.make_collection("/c")
    await front.put("/f", A)
    before = await front.walk()
    with pytest.raises(error):
        await front.catalog.delete(path, condition)
    assert await front.walk() == before


@pytest_twisted.ensureDeferred
async def test_pages_of_a_collection_stay_in_order_while_its_members_change(front: Front) -> None:
    await front.catalog.make_collection("/c")
    for number in range(20):
        await front.catalog.make_collection(f"/c/{number:02}")
    page = await front.catalog.list_members("/c", "", 8)
    found = [member.name for member in page]
    await front.catalog.delete(f"/c/{found[-1]}", ALWAYS)  # the cursor is a name, which need not be there
    await front.catalog.delete("/c/12", ALWAYS)
    await front.catalog.make_collection("/c/03-too-late")
    await front.catalog.make_collection("/c/15-in-time")
    while page:
        page = await front.catalog.list_members("/c", found[-1], 8)
        found += [member.name for member in page]
    expected = [f"{number:02}" for number in range(20) if number != 12]
    assert found == sorted([*expected, "15-in-time"])


@pytest_twisted.ensureDeferred
async def test_a_page_of_what_is_no_collection_is_refused(front: Front) -> None:
    await front.put("/f", A)
    with pytest.raises(NotFound):
        await front.catalog.list_members("/x", "", 10)
    with pytest.raises(NotACollection):
        await front.catalog.list_members("/f", "", 10)
