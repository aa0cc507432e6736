from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from storaged.parts.errors import PartMissing
from storaged.parts.removals import Removals

PARTS = [f"{number:032x}.0" for number in range(10_001)]


def test_a_part_that_was_removed_may_not_begin() -> None:
    removals = Removals(Clock().seconds)
    removals.note(PARTS[0])
    with pytest.raises(PartMissing, match=PARTS[0]):
        removals.check(PARTS[0])
    removals.check(PARTS[1])


def test_a_part_that_had_come_may() -> None:
    removals = Removals(Clock().seconds)
    removals.note(PARTS[0])
    removals.forget(PARTS[0])
    removals.forget(PARTS[1])
    removals.check(PARTS[0])


def test_the_last_ten_thousand_are_remembered() -> None:
    removals = Removals(Clock().seconds)
    for part in PARTS:
        removals.note(part)
    removals.check(PARTS[0])
    for part in PARTS[1:]:
        with pytest.raises(PartMissing):
            removals.check(part)


def test_a_part_may_come_once_nothing_that_was_on_its_way_can_arrive_any_more() -> None:
    clock = Clock()
    removals = Removals(clock.seconds)
    removals.note(PARTS[0])
    clock.advance(599)
    with pytest.raises(PartMissing):
        removals.check(PARTS[0])
    clock.advance(1)
    removals.check(PARTS[0])
