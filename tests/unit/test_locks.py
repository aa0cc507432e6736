"""Locks compared with a plain list of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.locks import EXCLUSIVE, SHARED, Lock, Locks

PATHS = ["/", "/a", "/a/b", "/a/b/c", "/a.b", "/ab", "/b", "/a/", "/a/b/", "//", "/a//", "/a//b", "//a"]
TOKENS = ["urn:1", "urn:2", "urn:3", "urn:4"]

paths = st.sampled_from(PATHS)
locks = st.builds(
    lambda path, token, scope, deep, taken_ms, last_ms: Lock(
        path, token, scope, deep, "", taken_ms, taken_ms + last_ms
    ),
    paths,
    st.sampled_from(TOKENS),
    st.sampled_from([EXCLUSIVE, SHARED]),
    st.booleans(),
    st.integers(0, 50),
    st.integers(1, 50),
)
steps = st.one_of(
    st.tuples(st.just("take"), locks),
    st.tuples(st.just("release"), st.sampled_from(TOKENS)),
    st.tuples(st.just("drop_at"), paths),
    st.tuples(st.just("drop_below"), paths),
)


def place(path: str) -> list[str]:
    """The names on the way, whether the last one is that of a collection or not."""
    names = path.split("/")[1:]
    return names if names[-1] else names[:-1]


def lies_in(path: str, other: str) -> bool:
    return place(path) != place(other) and place(path)[: len(place(other))] == place(other)


class PlainLocks:
    """The oracle: a list that is searched completely for every question."""

    def __init__(self) -> None:
        self.all: list[Lock] = []

    def _keep(self, holds: Callable[[Lock], bool]) -> None:
        self.all = [lock for lock in self.all if holds(lock)]

    def take(self, lock: Lock) -> None:
        self._keep(lambda other: other.expires_ms > lock.taken_ms and other.token != lock.token)
        self.all.append(lock)

    def release(self, token: str) -> None:
        self._keep(lambda lock: lock.token != token)

    def drop_at(self, path: str) -> None:
        self._keep(lambda lock: place(lock.path) != place(path))

    def drop_below(self, path: str) -> None:
        self._keep(lambda lock: not lies_in(lock.path, path))

    def covering(self, path: str, now_ms: int) -> list[Lock]:
        return [
            lock
            for lock in self.all
            if now_ms < lock.expires_ms
            and (place(lock.path) == place(path) or (lock.deep and lies_in(path, lock.path)))
        ]

    def below(self, path: str, now_ms: int) -> list[Lock]:
        return [lock for lock in self.all if now_ms < lock.expires_ms and lies_in(lock.path, path)]


def in_order(found: list[Lock]) -> list[Lock]:
    return sorted(found, key=lambda lock: lock.token)


@given(st.lists(steps, max_size=20), st.integers(0, 100), st.sets(st.sampled_from(TOKENS)))
def test_they_are_what_a_list_of_them_is(found: list[tuple[str, Any]], now_ms: int, tokens: set[str]) -> None:
    locks, plain = Locks(), PlainLocks()
    for step, argument in found:
        getattr(locks, step)(argument)
        getattr(plain, step)(argument)
    assert list(locks) == plain.all
    assert len(locks) == len(plain.all)
    for token in TOKENS:
        there = [lock for lock in plain.all if lock.token == token and now_ms < lock.expires_ms]
        assert locks.find(token, now_ms) == (there[0] if there else None)
    for path in PATHS:
        covering = plain.covering(path, now_ms)
        assert in_order(locks.covering(path, now_ms)) == in_order(covering)
        assert in_order(locks.below(path, now_ms)) == in_order(plain.below(path, now_ms))
        held = any(lock.token in tokens for lock in covering)
        assert in_order(locks.barring(path, tokens, now_ms)) == ([] if held else in_order(covering))


def lock(path: str, token: str = "urn:1", scope: str = EXCLUSIVE, *, deep: bool = False) -> Lock:
    return Lock(path, token, scope, deep, "", 0, 1000)


@pytest.mark.parametrize(
    ("there", "path", "scope", "deep", "conflicts"),
    [
        (lock("/a"), "/a", EXCLUSIVE, False, True),
        (lock("/a"), "/a", SHARED, False, True),
        (lock("/a", scope=SHARED), "/a", SHARED, False, False),
        (lock("/a", scope=SHARED), "/a", EXCLUSIVE, False, True),
        (lock("/a"), "/a/b", EXCLUSIVE, False, False),
        (lock("/a", deep=True), "/a/b", EXCLUSIVE, False, True),
        (lock("/a", scope=SHARED, deep=True), "/a/b", SHARED, True, False),
        (lock("/a/b"), "/a", EXCLUSIVE, False, False),
        (lock("/a/b"), "/a", EXCLUSIVE, True, True),
        (lock("/a/b", scope=SHARED), "/a", SHARED, True, False),
        (lock("/ab"), "/a", EXCLUSIVE, True, False),
        (lock("/", deep=True), "/a", SHARED, False, True),
        (lock("/a"), "/a/", EXCLUSIVE, False, True),
        (lock("/a/"), "/a", EXCLUSIVE, False, True),
        (lock("/a/", deep=True), "/a/b", EXCLUSIVE, False, True),
        (lock("/a", deep=True), "/a/../b", EXCLUSIVE, False, True),
        (lock("/a", deep=True), "/a//", EXCLUSIVE, False, True),
        (lock("/a/", deep=True), "/ab", EXCLUSIVE, False, False),
        (lock("//", deep=True), "/a", EXCLUSIVE, False, False),
        (lock("/b", deep=True), "/a/../b", EXCLUSIVE, False, False),
    ],
)
def test_two_locks_go_together_or_do_not(there: Lock, path: str, scope: str, deep: bool, conflicts: bool) -> None:
    locks = Locks()
    locks.take(there)
    assert locks.conflicting(path, scope, deep=deep, now_ms=10) == ([there] if conflicts else [])
    assert locks.conflicting(path, scope, deep=deep, now_ms=1000) == []


def test_a_lock_that_is_refreshed_outlives_its_first_end() -> None:
    locks = Locks()
    first = lock("/a")
    locks.take(first)
    refreshed = attrs.evolve(first, taken_ms=900, expires_ms=2000)
    locks.take(refreshed)
    locks.take(attrs.evolve(lock("/b", "urn:2"), taken_ms=1500, expires_ms=1600))
    assert locks.covering("/a", 1500) == [refreshed]
    locks.take(attrs.evolve(lock("/b", "urn:3"), taken_ms=2000, expires_ms=3000))
    assert [each.token for each in locks] == ["urn:3"]


def test_locks_that_were_released_take_no_memory() -> None:
    locks = Locks()
    locks.take(lock("/kept", "urn:kept"))
    for number in range(1000):
        locks.take(lock("/a", f"urn:{number}"))
        locks.release(f"urn:{number}")
    assert len(locks._expiries) < 100
    locks.take(attrs.evolve(lock("/b"), taken_ms=1000, expires_ms=2000))
    assert [each.path for each in locks] == ["/b"]


@pytest.mark.parametrize(
    ("path", "deep", "covers"),
    [("/a/b", False, True), ("/a", True, True), ("/", True, True), ("/a", False, False), ("/a/b/c", True, False)],
)
def test_it_is_remembered_where_locks_were_taken(path: str, deep: bool, covers: bool) -> None:
    locks = Locks()
    locks.take(lock("/a/b"))
    since = locks.taken
    assert not locks.was_taken("/a/b", since)
    locks.take(attrs.evolve(lock("/a/b"), taken_ms=5))  # a refresh
    locks.take(lock("/z", "urn:z"))
    assert not locks.was_taken("/a/b", since)
    locks.take(lock(path, "urn:2", deep=deep))
    locks.release("urn:2")
    assert locks.was_taken("/a/b", since) is covers
    assert not locks.was_taken("/a/b", locks.taken)


def test_what_is_not_remembered_counts_as_taken() -> None:
    locks = Locks(most_remembered=2)
    locks.take(lock("/a", "urn:0"))
    since = locks.taken
    for number in range(2):
        locks.take(lock(f"/b{number}", f"urn:b{number}"))
    assert not locks.was_taken("/a", since)
    for number in range(2, 4):
        locks.take(lock(f"/b{number}", f"urn:b{number}"))
    assert locks.was_taken("/a", since)
    assert not locks.was_taken("/a", locks.taken)
