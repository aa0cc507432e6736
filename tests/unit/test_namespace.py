"""Moves, copies, properties and locks in the journalled catalog: judged at the instant of the change."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from splitd.errors import (
    BadName,
    Entangled,
    LockConflict,
    Locked,
    LockUnknown,
    NotACollection,
    NotFound,
    ParentMissing,
    PreconditionFailed,
    PropertiesTooLarge,
)
from splitd.interfaces.names import Details, ILocks, INamespace
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.if_header import IfHeader, Term, TermList
from splitd.model.locks import EXCLUSIVE, SHARED, Lock
from splitd.model.properties import PropertyChanges
from tests.fired import fired
from tests.unit.catalogs import NEW, A, B, C, Front, doomed, manifest, started, walk

NONE = PropertyChanges({}, ())


def holding(*tokens: str, path: str = "/") -> Condition:
    """Return a condition that submits tokens and demands nothing."""
    terms = [TermList(path, (Term(negated=True, token="urn:none"), *(Term(False, token=each) for each in tokens)))]
    return Condition(if_header=IfHeader((*terms, TermList(path, (Term(negated=True, token="urn:none"),)))))


def lock(
    front: Front, path: str, token: str, scope: str = EXCLUSIVE, *, deep: bool = False, condition: Condition = ALWAYS
) -> Deferred[bool]:
    now_ms = int(front.clock.seconds() * 1000)
    requested = Lock(path, token, scope, deep, "<o/>", now_ms, now_ms + 60_000)
    return front.catalog.locks.lock(requested, condition, manifest(token[-1] * 32, size=0, nodes=()))


async def furnished() -> Front:
    """Make /c with a file and a collection in it, and a file beside it."""
    front = await started()
    await front.catalog.make_collection("/c")
    await front.catalog.make_collection("/c/d")
    await front.put("/c/f", A)
    await front.put("/g", B)
    return front


async def names(front: Front) -> list[str]:
    return sorted(await walk(front.catalog))


def move(front: Front, source: str, target: str, condition: Condition = ALWAYS, *, overwrite: bool = True) -> Any:
    return front.catalog.namespace.move(source, target, condition, overwrite=overwrite)


def copy(front: Front, source: str, target: str, condition: Condition = ALWAYS, **options: bool) -> Any:
    return front.catalog.namespace.copy(source, target, condition, **{"deep": True, "overwrite": True, **options})


def test_they_provide_what_they_say() -> None:
    catalog = Front().catalog
    verifyObject(INamespace, catalog.namespace)
    verifyObject(ILocks, catalog.locks)


@pytest_twisted.ensureDeferred
async def test_a_tree_is_moved_by_one_record() -> None:
    front = await furnished()
    before = len(front.folder.lines)
    assert await move(front, "/c", "/e") is True
    assert len(front.folder.lines) == before + 1
    assert await names(front) == ["/", "/e", "/e/d", "/e/f", "/g"]
    assert await names(await front.restart()) == ["/", "/e", "/e/d", "/e/f", "/g"]


@pytest_twisted.ensureDeferred
async def test_a_tree_is_copied_by_one_record_and_its_parts_stay_until_both_are_gone() -> None:
    front = await furnished()
    before = len(front.folder.lines)
    assert await copy(front, "/c", "/e") is True
    assert len(front.folder.lines) == before + 1
    assert await names(front) == ["/", "/c", "/c/d", "/c/f", "/e", "/e/d", "/e/f", "/g"]
    await front.catalog.delete("/c", ALWAYS)
    assert await front.doomed() == {}
    front = await front.restart()
    await front.catalog.delete("/e", ALWAYS)
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_a_collection_is_copied_without_its_members_where_that_is_asked_for() -> None:
    front = await furnished()
    await copy(front, "/c", "/c/e", deep=False)
    assert await names(front) == ["/", "/c", "/c/d", "/c/e", "/c/f", "/g"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("change", [move, copy])
async def test_what_is_at_the_target_is_replaced_only_where_that_is_asked_for(change: Any) -> None:
    front = await furnished()
    with pytest.raises(PreconditionFailed, match="/c is there already"):
        await change(front, "/g", "/c", overwrite=False)
    assert await change(front, "/g", "/c") is False
    assert await front.catalog.lookup("/c") == manifest(B)
    assert await front.doomed() == doomed(A)
    assert await change(front, "/c", "/new", overwrite=False) is True


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
async def test_what_cannot_go_there_stays(change: Any, source: str, target: str, error: type[Exception]) -> None:
    front = await furnished()
    before, lines = await walk(front.catalog), len(front.folder.lines)
    with pytest.raises(error):
        await change(front, source, target)
    assert (await walk(front.catalog), len(front.folder.lines)) == (before, lines)
    assert fired(front.catalog.statistics()).changes == 0


@pytest_twisted.ensureDeferred
async def test_a_file_on_its_way_into_what_is_being_moved_is_refused() -> None:
    front = await furnished()
    front.journal.hold()
    moved, put = move(front, "/c", "/e"), front.put("/c/new", C)
    into = front.put("/e/new", "d" * 32)
    front.journal.release()
    await moved
    assert await into is True
    with pytest.raises(ParentMissing, match="there is no collection /c"):
        await put


@pytest_twisted.ensureDeferred
async def test_two_who_move_one_thing_do_not_both() -> None:
    front = await furnished()
    front.journal.hold()
    first, second = move(front, "/g", "/h"), move(front, "/g", "/i")
    front.journal.release()
    assert await first is True
    with pytest.raises(NotFound):
        await second


@pytest_twisted.ensureDeferred
async def test_properties_are_changed_all_or_none() -> None:
    front = await furnished()
    note = front.catalog.namespace.change_properties
    await note("/g", PropertyChanges({"a": "<a/>", "b": "<b/>"}, ()), ALWAYS)
    await note("/", PropertyChanges({"r": "<r/>"}, ()), ALWAYS)
    await note("/g", PropertyChanges({"c": "<c/>"}, ("a", "never there")), ALWAYS)
    expected = [Details({"b": "<b/>", "c": "<c/>"}, []), Details({"r": "<r/>"}, []), Details({}, [])]
    for each in (front, await front.restart()):
        assert await each.catalog.namespace.details(["/g", "/", "/x"]) == expected


@pytest_twisted.ensureDeferred
async def test_properties_are_kept_of_what_is_there_and_within_limits() -> None:
    front = await furnished()
    note = front.catalog.namespace.change_properties
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
        await front.catalog.make_collection("/new", ALWAYS, {"a": half + half})


# Locks


CHANGES: dict[str, Any] = {
    "put": lambda front, condition: front.put("/c/f", C, condition),
    "delete": lambda front, condition: front.catalog.delete("/c/f", condition),
    "move away": lambda front, condition: move(front, "/c/f", "/h", condition),
    "move onto": lambda front, condition: move(front, "/g", "/c/f", condition),
    "copy onto": lambda front, condition: copy(front, "/g", "/c/f", condition),
    "note": lambda front, condition: front.catalog.namespace.change_properties("/c/f", NONE, condition),
    "admit": lambda front, condition: front.catalog.admit("/c/f", condition),
    "check": lambda front, condition: front.catalog.locks.check("/c/f", condition, changing=True),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("path", "deep"), [("/c/f", False), ("/c", True), ("/", True)])
@pytest_twisted.ensureDeferred
async def test_what_is_locked_is_changed_only_by_those_who_have_the_token(change: str, path: str, deep: bool) -> None:
    front = await furnished()
    assert await lock(front, path, "urn:1", deep=deep) is False
    for condition in (ALWAYS, holding("urn:2")):
        with pytest.raises(Locked, match=f"a lock on {path} forbids it") as caught:
            await CHANGES[change](front, condition)
        assert caught.value.paths == (path,)
    await CHANGES[change](front, holding("urn:1"))


IN_COLLECTION: dict[str, Any] = {
    "put": lambda front, condition: front.put("/c/new", C, condition),
    "make": lambda front, condition: front.catalog.make_collection("/c/new", condition),
    "delete": lambda front, condition: front.catalog.delete("/c/f", condition),
    "move away": lambda front, condition: move(front, "/c/f", "/h", condition),
    "move into": lambda front, condition: move(front, "/g", "/c/new", condition),
    "copy into": lambda front, condition: copy(front, "/g", "/c/new", condition),
    "lock": lambda front, condition: lock(front, "/c/new", "urn:9", condition=condition),
}


@pytest.mark.parametrize("change", IN_COLLECTION)
@pytest_twisted.ensureDeferred
async def test_a_locked_collection_gets_no_member_and_loses_none(change: str) -> None:
    front = await furnished()
    await lock(front, "/c", "urn:1")
    await front.put("/c/f", "e" * 32)  # its members may change
    with pytest.raises(Locked):
        await IN_COLLECTION[change](front, ALWAYS)
    await IN_COLLECTION[change](front, holding("urn:1"))


@pytest_twisted.ensureDeferred
async def test_a_collection_is_not_deleted_moved_or_replaced_while_something_in_it_is_locked() -> None:
    front = await furnished()
    await lock(front, "/c/f", "urn:1")
    for change in (
        lambda condition: front.catalog.delete("/c", condition),
        lambda condition: move(front, "/c", "/e", condition),
        lambda condition: move(front, "/g", "/c", condition),
        lambda condition: copy(front, "/g", "/c", condition),
    ):
        with pytest.raises(Locked) as caught:
            await change(ALWAYS)
        assert caught.value.paths == ("/c/f",)
    await copy(front, "/c", "/e")
    await move(front, "/c", "/f", holding("urn:1"))
    assert await front.catalog.namespace.details(["/c/f", "/f/f", "/e/f"]) == [Details({}, [])] * 3


@pytest_twisted.ensureDeferred
async def test_a_lock_on_the_way_counts_at_the_commit() -> None:
    front = await furnished()
    await front.catalog.locks.check("/g", ALWAYS, changing=True)
    front.journal.hold()
    locked, put = lock(front, "/g", "urn:1"), front.put("/g", C)
    front.journal.release()
    await locked
    with pytest.raises(Locked):
        await put


@pytest_twisted.ensureDeferred
async def test_of_many_who_lock_one_thing_exactly_one_does() -> None:
    front = await furnished()
    front.journal.hold()
    wishes = [lock(front, "/c/f", "urn:1"), lock(front, "/c", "urn:2", deep=True), lock(front, "/c/f", "urn:3")]
    front.journal.release()
    assert await wishes[0] is False
    for lost in wishes[1:]:
        with pytest.raises(LockConflict) as caught:
            await lost
        assert caught.value.paths == ("/c/f",)


@pytest_twisted.ensureDeferred
async def test_shared_locks_go_together_and_the_token_of_one_is_enough() -> None:
    front = await furnished()
    await lock(front, "/g", "urn:1", SHARED)
    await lock(front, "/g", "urn:2", SHARED)
    with pytest.raises(LockConflict):
        await lock(front, "/g", "urn:3", EXCLUSIVE)
    with pytest.raises(Locked):
        await front.put("/g", C)
    await front.put("/g", "d" * 32, holding("urn:2"))


@pytest_twisted.ensureDeferred
async def test_where_there_is_nothing_an_empty_file_is_locked() -> None:
    front = await furnished()
    assert await lock(front, "/new", "urn:1") is True
    assert await front.catalog.lookup("/new") == manifest("1" * 32, size=0, nodes=())
    with pytest.raises(Locked):
        await front.put("/new", C)
    with pytest.raises(ParentMissing):
        await lock(front, "/x/y", "urn:2")
    front = await front.restart()
    assert await front.put("/new", "d" * 32, holding("urn:1")) is False


@pytest_twisted.ensureDeferred
async def test_locks_survive_a_restart_and_end_by_themselves() -> None:
    front = await furnished()
    await lock(front, "/g", "urn:1")
    front = await front.restart()
    with pytest.raises(Locked):
        await front.put("/g", C)
    front.clock.advance(59.999)
    with pytest.raises(Locked):
        await front.catalog.delete("/g", ALWAYS)
    front.clock.advance(0.001)
    await front.catalog.delete("/g", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_a_lock_is_refreshed_by_those_who_have_its_token() -> None:
    front = await furnished()
    await lock(front, "/c", "urn:1", deep=True)
    front.clock.advance(50)
    [refreshed] = await front.catalog.locks.refresh("/c/f", 200_000, holding("urn:1"))
    assert (refreshed.path, refreshed.taken_ms, refreshed.expires_ms) == ("/c", 51_000, 200_000)
    front.clock.advance(100)
    with pytest.raises(Locked):
        await front.catalog.delete("/c", ALWAYS)
    for path, token in (("/g", "urn:1"), ("/c", "urn:2")):
        with pytest.raises(LockUnknown):
            await front.catalog.locks.refresh(path, 300_000, holding(token))


@pytest_twisted.ensureDeferred
async def test_a_lock_is_released_from_any_place_it_covers() -> None:
    front = await furnished()
    await lock(front, "/c", "urn:1", deep=True)
    for path, token in (("/g", "urn:1"), ("/c", "urn:2")):
        with pytest.raises(LockUnknown):
            await front.catalog.locks.unlock(path, token, ALWAYS)
    await front.catalog.locks.unlock("/c/f", "urn:1", ALWAYS)
    await front.catalog.delete("/c", ALWAYS)
    with pytest.raises(LockUnknown):
        await front.catalog.locks.unlock("/c", "urn:1", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_what_a_client_believes_of_other_paths_is_judged_in_turn() -> None:
    front = await furnished()
    old = Condition(if_header=IfHeader((TermList("/g", (Term(negated=False, etag=manifest(B).etag),)),)))
    front.journal.hold()
    replaced, put = front.put("/g", C), front.put("/c/f", "d" * 32, old)
    front.journal.release()
    await replaced
    with pytest.raises(PreconditionFailed, match="/c/f: If does not hold"):
        await put


@pytest_twisted.ensureDeferred
async def test_where_only_collections_may_be_is_judged_when_the_turn_has_come() -> None:
    front = await furnished()
    asks = Condition(collections=("/c", "/new"))
    first = front.put("/new", C)  # becomes a file before the move is judged
    with pytest.raises(NotACollection, match="/new is a file"):
        await front.catalog.namespace.move("/c", "/new", asks, overwrite=True)
    await first
    assert {"/c/f", "/new"} <= set(await names(front))
    with pytest.raises(NotACollection, match="MKCOL"):
        await lock(front, "/other", "urn:a", condition=Condition(collections=("/other",)))


async def uploading(front: Front, path: str, token: str) -> Condition:
    """Return the condition for the end of an upload that begins under a lock on /c."""
    await lock(front, "/c", token, deep=True)
    return (await front.catalog.admit(path, asking(token))).condition


def asking(token: str) -> Condition:
    """Return a condition that demands that a lock covers /c."""
    return Condition(if_header=IfHeader((TermList("/c", (Term(False, token=token),)),)))


@pytest.mark.parametrize("path", ["/c/f", "/c/new"])
@pytest_twisted.ensureDeferred
async def test_an_upload_outlasts_the_lock_that_it_began_under(path: str) -> None:
    front = await furnished()
    condition = await uploading(front, path, "urn:1")
    front.clock.advance(61)
    with pytest.raises(PreconditionFailed):  # it is for those who begin now
        await front.catalog.admit(path, asking("urn:1"))
    await lock(front, "/c/d", "urn:2")  # elsewhere
    await front.put(path, C, condition)
    assert path in await names(front)


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(("place", "deep"), [("/c/f", False), ("/c", True), ("/", True)])
@pytest_twisted.ensureDeferred
async def test_a_lock_that_was_taken_since_wins_against_an_upload(
    place: str, deep: bool, released: bool, asks: bool
) -> None:
    front = await furnished()
    condition = await uploading(front, "/c/f", "urn:1")
    if not asks:  # its token is submitted, and may be of no lock any more
        condition = (await front.catalog.admit("/c/f", holding("urn:1", path="/c"))).condition
    front.clock.advance(61)
    await lock(front, place, "urn:2", deep=deep)
    if released:
        await front.catalog.locks.unlock(place, "urn:2", ALWAYS)
    with pytest.raises((Locked, PreconditionFailed)):
        await front.put("/c/f", C, condition)


@pytest_twisted.ensureDeferred
async def test_another_shared_lock_that_was_taken_since_wins_when_the_own_one_has_expired() -> None:
    front = await furnished()
    await lock(front, "/g", "urn:1", SHARED)
    condition = (await front.catalog.admit("/g", holding("urn:1", path="/g"))).condition
    front.clock.advance(30)
    await lock(front, "/g", "urn:2", SHARED)
    await front.put("/g", A[:-1] + "1", condition)  # the own one still stands
    front.clock.advance(31)
    with pytest.raises((Locked, PreconditionFailed)):
        await front.put("/g", C, condition)
