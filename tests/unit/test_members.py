"""The members of a collection are put in order in short steps, at bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from splitd.frontends.webdav.members import SORTED, Members
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection, Member
from storaged.system.budget import Budget


def collection(name: str) -> Member:
    return Member(name, Collection(1, 1))


def file(name: str, size: int = 10) -> Member:
    return Member(name, Manifest(f"{0:032x}", size, 1, 6, 0, 1024, ()))


class Store:
    """Lists its members in the order of their names, as a catalog does."""

    def __init__(self, members: list[Member]) -> None:
        self.members = sorted(members, key=lambda member: member.name)
        self.largest = 0

    def list_members(self, _path: str, after: str, limit: int) -> Deferred[list[Member]]:
        found = [member for member in self.members if member.name > after][:limit]
        self.largest = max(self.largest, len(found))
        return succeed(found)


def finish(clock: Clock, answer: Deferred[Any]) -> Any:
    """What a Deferred fires with."""
    found: list[Any] = []
    answer.addBoth(found.append)
    while not found:
        clock.advance(0)
    return found[0]


def opened(store: Any, budget: Budget, clock: Clock) -> Members:
    members = Members(store, "/c", budget, clock)  # type: ignore[arg-type]
    finish(clock, Deferred.fromCoroutine(members.open()))
    return members


def names(members: Members, clock: Clock) -> list[str]:
    found: list[str] = []
    while step := finish(clock, Deferred.fromCoroutine(members.read())):
        assert len(step) <= 200
        found += [member.name for member in step]
    return found


def test_collections_come_first_and_both_in_natural_order() -> None:
    clock = Clock()
    store = Store([file("a10"), file("a2", 7), collection("Z"), collection("b")])
    members = opened(store, Budget(10), clock)
    assert (members.is_sorted, members.collections, members.files, members.size) == (True, 2, 2, 17)
    assert names(members, clock) == ["b", "Z", "a2", "a10"]


def test_members_of_many_steps_are_one_order() -> None:
    clock = Clock()
    expected = [f"n{number}" for number in range(1000)]
    store = Store([file(name) for name in expected])
    members = opened(store, Budget(1000), clock)
    assert members.is_sorted
    assert names(members, clock) == expected
    assert store.largest == 200


@pytest.mark.parametrize(("count", "budget"), [(SORTED + 1, 10 * SORTED), (300, 299)], ids=["too many", "no room"])
def test_what_is_too_much_to_be_sorted_comes_in_the_order_of_the_catalog(count: int, budget: int) -> None:
    clock, shared = Clock(), Budget(budget)
    store = Store([collection(f"n{number}") for number in range(count)])
    members = opened(store, shared, clock)
    assert (members.is_sorted, members.collections, members.files, members.size) == (False, 0, 0, 0)
    assert names(members, clock) == [member.name for member in store.members]
    assert shared.take(budget), "nothing is held"


def test_what_waits_is_counted_until_it_is_closed() -> None:
    clock, shared = Clock(), Budget(500)
    store = Store([file(f"n{number}") for number in range(400)])
    first = opened(store, shared, clock)
    assert not opened(store, shared, clock).is_sorted
    first.close()
    first.close()
    again = opened(store, shared, clock)
    assert again.is_sorted
    again.close()
    assert shared.take(500)


def test_an_empty_collection_has_no_members() -> None:
    clock = Clock()
    members = opened(Store([]), Budget(0), clock)
    assert (members.is_sorted, names(members, clock)) == (True, [])


def test_other_requests_have_a_turn_between_the_steps() -> None:
    clock = Clock()
    turns: list[str] = []

    def another() -> None:
        turns.append("another")
        if turns.count("another") < 20:
            clock.callLater(0, another)

    class Noting(Store):
        def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
            turns.append("list")
            return super().list_members(path, after, limit)

    clock.callLater(0, another)
    members = opened(Noting([file(f"n{number}") for number in range(1000)]), Budget(1000), clock)
    turns.append("reading")
    assert turns[:10] == ["another", "list"] * 5
    assert len(names(members, clock)) == 1000
