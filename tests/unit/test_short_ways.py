"""A short way that leads nowhere is tried seldom; one that leads somewhere, each time."""

from __future__ import annotations

from splitd.catalog.sql.short_ways import ShortWay


def test_a_way_that_has_led_nowhere_is_left_out_seven_times() -> None:
    way = ShortWay()
    assert way.is_open()
    way.tried(in_vain=True)
    assert [way.is_open() for _ in range(8)] == [False] * 7 + [True]
    way.tried(in_vain=False)
    assert [way.is_open() for _ in range(3)] == [True] * 3
