from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storaged.disk.aging import Aging

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_700_000_000_000
ROUNDING_MS = 1000
"""Clock steps of less than a second may pass unnoticed."""

spans = st.integers(0, DAY_MS)
steps = st.one_of(st.just(0), st.integers(-10 * DAY_MS, 10 * DAY_MS))


class Time:
    """Two clocks, one of which can be set, and the true age of events."""

    def __init__(self) -> None:
        self.wall, self.monotonic = START_MS, 0
        self.aging = Aging(self.wall, self.monotonic)
        self.noted: list[tuple[int, int]] = []

    def go_on(self, span: int, step: int) -> None:
        self.monotonic += span
        self.wall += span + step

    def note(self) -> None:
        self.aging.look(self.wall, self.monotonic)
        self.noted.append((self.wall, self.monotonic))


@given(st.lists(st.tuples(spans, steps, st.booleans()), max_size=30), st.integers(HOUR_MS, 2 * DAY_MS))
def test_nothing_seems_older_than_it_is(events: list[tuple[int, int, bool]], age: int) -> None:
    at = Time()
    for span, step, noting in events:
        at.go_on(span, step)
        if noting:
            at.note()
        is_old = at.aging.judge(at.wall, at.monotonic, age)
        for wall, monotonic in at.noted:
            assert not is_old(wall) or at.monotonic - monotonic > age - ROUNDING_MS


@given(st.lists(spans, max_size=10), spans)
def test_where_nobody_sets_the_clock_an_age_is_what_the_clock_says(events: list[int], age: int) -> None:
    at = Time()
    earlier = START_MS - DAY_MS  # from before the start
    for span in events:
        at.note()
        at.go_on(span, 0)
    is_old = at.aging.judge(at.wall, at.monotonic, age)
    for noted in [earlier, *(wall for wall, _ in at.noted)]:
        assert is_old(noted) == (at.wall - noted > age)


@given(steps)
def test_in_the_end_everything_is_old(step: int) -> None:
    at = Time()
    at.note()
    at.go_on(HOUR_MS, step)
    at.aging.judge(at.wall, at.monotonic, DAY_MS)
    at.go_on(DAY_MS + max(0, -step), 0)
    assert at.aging.judge(at.wall, at.monotonic, DAY_MS)(START_MS)


def test_a_small_error_that_is_repeated_adds_up_to_a_step() -> None:
    at = Time()
    at.note()
    for _ in range(20):
        at.go_on(HOUR_MS, 600)
        is_old = at.aging.judge(at.wall, at.monotonic, DAY_MS)
    at.go_on(4 * HOUR_MS - 600, 0)  # 600 ms less than a day
    is_old = at.aging.judge(at.wall, at.monotonic, DAY_MS)
    assert at.wall - START_MS > DAY_MS
    assert not is_old(START_MS)
