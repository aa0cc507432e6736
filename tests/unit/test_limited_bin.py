"""The bin as one user sees it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from splitd.access.grants import READ, RIGHTS, WRITE, Grants, Principal
from splitd.access.judge import Judge
from splitd.access.limited_bin import LimitedBin
from splitd.errors import Forbidden
from splitd.model.binned import Binned, make_key
from splitd.model.conditions import ALWAYS, Condition
from tests.unit.catalogs import TurningClock

OWN_EVERY = 1000


class Bin:
    """A bin of 5,000 things, of which few are anna's.

    :ivar looked_at: how many things were asked for.
    """

    def __init__(self) -> None:
        paths = [f"/{'anna' if number % OWN_EVERY == 0 else 'other'}/{number}" for number in range(5000)]
        self.things = [Binned(make_key(10_000 - number, "u"), path) for number, path in enumerate(paths)]
        self.looked_at = 0

    def put(self, path: str, condition: Condition, user: str) -> Deferred[Binned]:  # noqa: ARG002 - it always holds
        return succeed(Binned(make_key(1, "u"), path, user, True, 7, 2))

    def find(self, key: str) -> Deferred[Binned | None]:
        return succeed(next((each for each in self.things if each.key == key), None))

    def restore(self, binned: Binned, target: str) -> Deferred[None]:  # noqa: ARG002 - it is not looked at
        return succeed(None)

    def page(self, after: str, limit: int) -> Deferred[list[Binned]]:
        found = [each for each in self.things if each.key > after][:limit]
        self.looked_at += len(found)
        return succeed(found)


def test_others_have_a_turn_while_one_s_own_things_are_sought() -> None:
    clock, kept = TurningClock(), Bin()
    as_bin: Any = kept
    anna = Judge(Principal("anna", Grants([("/anna", frozenset({READ, WRITE}))])))
    found: list[list[Binned]] = []
    LimitedBin(as_bin, anna, clock).page("", 3).addCallback(found.append)
    before = kept.looked_at
    while not found:
        clock.turn()
        assert 0 < kept.looked_at - before <= 200
        before = kept.looked_at
    assert [[each.path for each in page] for page in found] == [["/anna/0", "/anna/1000", "/anna/2000"]]


def test_an_admin_restores_and_purges_nothing_that_is_hidden_from_them() -> None:
    kept = Bin()
    as_bin: Any = kept
    thing = kept.things[0]
    every = frozenset(RIGHTS)
    for rules, code in (({f"{thing.path}/secret": frozenset[str]()}, Forbidden), ({}, None)):
        grants = Grants([("/", every), *rules.items()])
        limited = LimitedBin(as_bin, Judge(Principal("anna", grants)), TurningClock())
        refused: list[Failure] = []
        limited.restore(thing, "/elsewhere").addErrback(refused.append)
        assert [each.type for each in refused] == ([code] if code else [])
        assert limited.may_purge(thing) is (code is None)


def test_the_size_of_a_tree_is_told_only_to_those_who_see_all_of_it() -> None:
    kept = Bin()
    kept.things = [Binned(make_key(1, "u"), "/tree", "anna", True, 7, 2)]
    as_bin: Any = kept
    for rights, hidden, told in (
        ({READ, WRITE}, {"/tree/secret": frozenset[str]()}, (0, 0, True)),
        ({READ, WRITE}, {"/tree/secret": frozenset({WRITE})}, (0, 0, True)),
        ({READ, WRITE}, {"/tree/other": frozenset({READ})}, (7, 2, False)),
        (set(RIGHTS), {}, (7, 2, False)),
        ({READ, WRITE}, {"/treehouse": frozenset[str]()}, (7, 2, False)),
    ):
        grants = Grants([("/tree", frozenset(rights)), *hidden.items()])
        limited = LimitedBin(as_bin, Judge(Principal("anna", grants)), TurningClock())
        seen: list[Any] = []
        limited.find(kept.things[0].key).addCallback(seen.append)
        limited.page("", 5).addCallback(seen.extend)
        if grants.everywhere("/tree", WRITE):
            limited.put("/tree", ALWAYS, "").addCallback(seen.append)
            assert len(seen) == 3
        assert {(each.bytes, each.files, each.is_size_hidden) for each in seen} == {told}
        assert len(seen) >= 2
