"""Locks: what they forbid, to whom, and how long."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from splitd.errors import LockConflict, Locked, LockUnknown, ParentMissing, PreconditionFailed
from splitd.interfaces.names import Details
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.locks import SHARED
from splitd.model.properties import PropertyChanges
from tests.catalogs import A, C, manifest
from tests.contract.catalogs.front import Front
from tests.contract.catalogs.locking import asking, holding, lock

NONE = PropertyChanges({}, ())


def move(front: Front, source: str, target: str, condition: Condition) -> Any:
    return front.namespace.move(source, target, condition, overwrite=True)


def copy(front: Front, source: str, target: str, condition: Condition) -> Any:
    return front.namespace.copy(source, target, condition, deep=True, overwrite=True)


CHANGES: dict[str, Any] = {
    "put": lambda front, condition: front.put("/c/f", C, condition),
    "delete": lambda front, condition: front.catalog.delete("/c/f", condition),
    "move away": lambda front, condition: move(front, "/c/f", "/h", condition),
    "move onto": lambda front, condition: move(front, "/g", "/c/f", condition),
    "copy onto": lambda front, condition: copy(front, "/g", "/c/f", condition),
    "note": lambda front, condition: front.namespace.change_properties("/c/f", NONE, condition),
    "admit": lambda front, condition: front.catalog.admit("/c/f", condition),
    "check": lambda front, condition: front.locks.check("/c/f", condition, changing=True),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("path", "deep"), [("/c/f", False), ("/c", True), ("/", True)])
@pytest_twisted.ensureDeferred
async def test_what_is_locked_is_changed_only_by_those_who_have_the_token(
    furnished: Front, change: str, path: str, deep: bool
) -> None:
    assert await lock(furnished, path, "urn:1", deep=deep) is False
    for condition in (ALWAYS, holding("urn:2")):
        with pytest.raises(Locked, match=f"a lock on {path} forbids it") as caught:
            await CHANGES[change](furnished, condition)
        assert caught.value.paths == (path,)
    await CHANGES[change](furnished, holding("urn:1"))


IN_COLLECTION: dict[str, Any] = {
    "put": lambda front, condition: front.put("/c/new", C, condition),
    "admit": lambda front, condition: front.catalog.admit("/c/new", condition),
    "make": lambda front, condition: front.catalog.make_collection("/c/new", condition),
    "delete": lambda front, condition: front.catalog.delete("/c/f", condition),
    "move away": lambda front, condition: move(front, "/c/f", "/h", condition),
    "move into": lambda front, condition: move(front, "/g", "/c/new", condition),
    "copy into": lambda front, condition: copy(front, "/g", "/c/new", condition),
    "lock": lambda front, condition: lock(front, "/c/new", "urn:9", condition=condition),
}


@pytest.mark.parametrize("change", IN_COLLECTION)
@pytest_twisted.ensureDeferred
async def test_a_locked_collection_gets_no_member_and_loses_none(furnished: Front, change: str) -> None:
    await lock(furnished, "/c", "urn:1")
    await furnished.put("/c/f", "e" * 32)  # its members may change
    with pytest.raises(Locked):
        await IN_COLLECTION[change](furnished, ALWAYS)
    await IN_COLLECTION[change](furnished, holding("urn:1"))


@pytest_twisted.ensureDeferred
async def test_a_collection_is_not_deleted_moved_or_replaced_while_something_in_it_is_locked(furnished: Front) -> None:
    await lock(furnished, "/c/f", "urn:1")
    for change in (
        lambda condition: furnished.catalog.delete("/c", condition),
        lambda condition: move(furnished, "/c", "/e", condition),
        lambda condition: move(furnished, "/g", "/c", condition),
        lambda condition: copy(furnished, "/g", "/c", condition),
    ):
        with pytest.raises(Locked) as caught:
            await change(ALWAYS)
        assert caught.value.paths == ("/c/f",)
    await copy(furnished, "/c", "/e", ALWAYS)
    await move(furnished, "/c", "/f", holding("urn:1"))
    assert await furnished.namespace.details(["/c/f", "/f/f", "/e/f"]) == [Details({}, [])] * 3


@pytest_twisted.ensureDeferred
async def test_those_who_look_are_kept_from_nothing(furnished: Front) -> None:
    await lock(furnished, "/g", "urn:1")
    await furnished.locks.check("/g", ALWAYS, changing=False)
    with pytest.raises(PreconditionFailed):
        await furnished.locks.check("/g", Condition(match=('"other"',)), changing=False)


@pytest_twisted.ensureDeferred
async def test_a_lock_on_the_way_counts_at_the_commit(furnished: Front) -> None:
    await furnished.catalog.admit("/g", ALWAYS)
    await furnished.begin(C, "/g")
    furnished.place.hold()
    locked, put = lock(furnished, "/g", "urn:1"), furnished.commit("/g", manifest(C))
    furnished.place.release()
    await locked
    with pytest.raises(Locked):
        await put


@pytest_twisted.ensureDeferred
async def test_of_many_who_lock_one_thing_exactly_one_does(furnished: Front) -> None:
    furnished.place.hold()
    taken = [
        lock(furnished, "/c/f", "urn:1"),
        lock(furnished, "/c", "urn:2", deep=True),
        lock(furnished, "/c/f", "urn:3"),
    ]
    furnished.place.release()
    assert await taken[0] is False
    for lost in taken[1:]:
        with pytest.raises(LockConflict) as caught:
            await lost
        assert caught.value.paths == ("/c/f",)


@pytest_twisted.ensureDeferred
async def test_shared_locks_go_together_and_the_token_of_one_is_enough(furnished: Front) -> None:
    await lock(furnished, "/g", "urn:1", SHARED)
    await lock(furnished, "/g", "urn:2", SHARED)
    with pytest.raises(LockConflict):
        await lock(furnished, "/g", "urn:3")
    with pytest.raises(Locked):
        await furnished.put("/g", C)
    await furnished.put("/g", "d" * 32, holding("urn:2"))


@pytest_twisted.ensureDeferred
async def test_where_there_is_nothing_an_empty_file_is_locked(furnished: Front) -> None:
    assert await lock(furnished, "/new", "urn:1") is True
    assert await furnished.catalog.lookup("/new") == manifest("1" * 32, size=0, nodes=())
    with pytest.raises(Locked):
        await furnished.put("/new", C)
    with pytest.raises(ParentMissing):
        await lock(furnished, "/x/y", "urn:2")
    again = await furnished.restart()
    assert await again.put("/new", "d" * 32, holding("urn:1")) is False


@pytest_twisted.ensureDeferred
async def test_locks_survive_a_restart_and_end_by_themselves(furnished: Front) -> None:
    await lock(furnished, "/g", "urn:1")
    again = await furnished.restart()
    with pytest.raises(Locked):
        await again.put("/g", C)
    again.clock.advance(59.999)
    with pytest.raises(Locked):
        await again.catalog.delete("/g", ALWAYS)
    again.clock.advance(0.001)
    await again.catalog.delete("/g", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_a_lock_is_refreshed_by_those_who_have_its_token(furnished: Front) -> None:
    await lock(furnished, "/c", "urn:1", deep=True)
    furnished.clock.advance(50)
    [refreshed] = await furnished.locks.refresh("/c/f", 200_000, holding("urn:1"))
    assert (refreshed.path, refreshed.taken_ms, refreshed.expires_ms) == ("/c", 51_000, 200_000)
    again = await furnished.restart()
    again.clock.advance(100)
    with pytest.raises(Locked):
        await again.catalog.delete("/c", ALWAYS)
    for path, token in (("/g", "urn:1"), ("/c", "urn:2")):
        with pytest.raises(LockUnknown):
            await again.locks.refresh(path, 300_000, holding(token))


@pytest_twisted.ensureDeferred
async def test_a_lock_is_released_from_any_place_it_covers(furnished: Front) -> None:
    await lock(furnished, "/c", "urn:1", deep=True)
    for path, token in (("/g", "urn:1"), ("/c", "urn:2")):
        with pytest.raises(LockUnknown):
            await furnished.locks.unlock(path, token, ALWAYS)
    await furnished.locks.unlock("/c/f", "urn:1", ALWAYS)
    again = await furnished.restart()
    await again.catalog.delete("/c", ALWAYS)
    with pytest.raises(LockUnknown):
        await again.locks.unlock("/c", "urn:1", ALWAYS)


async def uploading(front: Front, path: str, token: str) -> Condition:
    """The condition for the end of an upload that begins under a lock, taken on /c."""
    await lock(front, "/c", token, deep=True)
    return (await front.catalog.admit(path, asking(token, "/c"))).condition


@pytest.mark.parametrize("path", ["/c/f", "/c/new"])
@pytest_twisted.ensureDeferred
async def test_an_upload_outlasts_the_lock_that_it_began_under(furnished: Front, path: str) -> None:
    condition = await uploading(furnished, path, "urn:1")
    furnished.clock.advance(61)
    with pytest.raises(PreconditionFailed):  # it is for those who begin now
        await furnished.catalog.admit(path, asking("urn:1", "/c"))
    await lock(furnished, "/c/d", "urn:2")  # elsewhere
    await furnished.put(path, C, condition)
    assert path in await furnished.names()


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(("path", "deep"), [("/c/f", False), ("/c", True), ("/", True)])
@pytest_twisted.ensureDeferred
async def test_a_lock_that_was_taken_since_wins_against_an_upload(
    furnished: Front, path: str, released: bool, asks: bool, deep: bool
) -> None:
    condition = await uploading(furnished, "/c/f", "urn:1")
    if not asks:  # its token is submitted, and may be of no lock any more
        condition = (await furnished.catalog.admit("/c/f", holding("urn:1", path="/c"))).condition
    furnished.clock.advance(61)
    await lock(furnished, path, "urn:2", deep=deep)
    if released:
        await furnished.locks.unlock(path, "urn:2", ALWAYS)
    with pytest.raises((Locked, PreconditionFailed)):
        await furnished.put("/c/f", C, condition)


@pytest_twisted.ensureDeferred
async def test_another_shared_lock_that_was_taken_since_wins_when_the_own_one_has_expired(furnished: Front) -> None:
    await lock(furnished, "/g", "urn:1", SHARED)
    condition = (await furnished.catalog.admit("/g", holding("urn:1", path="/g"))).condition
    furnished.clock.advance(30)
    await lock(furnished, "/g", "urn:2", SHARED)
    await furnished.put("/g", A[:-1] + "1", condition)  # the own one still stands
    furnished.clock.advance(31)
    with pytest.raises((Locked, PreconditionFailed)):
        await furnished.put("/g", C, condition)
