"""The bin as one user sees it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from splitd.access.grants import READ, WRITE, Grants, Principal
from splitd.access.judge import Judge
from splitd.access.limited_bin import LimitedBin
from splitd.model.binned import Binned, make_key
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
