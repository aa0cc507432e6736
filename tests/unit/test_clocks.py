from __future__ import annotations

import time

import pytest
from twisted.internet.task import Clock

from storaged.system.clocks import WallClock, measure_monotonically


def test_a_reactor_measures_spans_by_the_monotonic_clock() -> None:
    reactor = Clock()
    measure_monotonically(reactor)
    before = time.monotonic()
    assert before <= reactor.seconds() <= time.monotonic()


def test_a_reactor_that_has_scheduled_calls_is_left_as_it_is() -> None:
    reactor = Clock()
    reactor.callLater(1, lambda: None)
    with pytest.raises(RuntimeError, match="scheduled"):
        measure_monotonically(reactor)
    reactor.advance(5)
    assert reactor.seconds() == 5


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_the_steady_time_of_day_goes_on_where_the_clock_is_set(step_s: int) -> None:
    seconds, monotonic = Clock(), Clock()
    seconds.advance(1_700_000_000)
    wall = WallClock(seconds.seconds, monotonic.seconds)
    assert wall.now_ms() == wall.steady_ms() == 1_700_000_000_000
    monotonic.advance(1)
    seconds.advance(1 + step_s)
    assert wall.now_ms() == 1_700_000_001_000 + step_s * 1000
    assert wall.steady_ms() == 1_700_000_001_000
