from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from storaged.system.periodic import Periodic

INTERVAL_S = 10.0


class Work:
    """Rounds that the test ends, and the time at which each began."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.began: list[float] = []
        self.rounds: list[Deferred[None]] = []
        self.periodic = Periodic(self, INTERVAL_S, self.clock, "the work")

    def __call__(self) -> Deferred[None]:
        self.began.append(self.clock.seconds())
        self.rounds.append(Deferred())
        return self.rounds[-1]


@pytest.mark.parametrize(("first_s", "first"), [(None, 10.0), (0, 0.0), (3, 3.0)])
def test_rounds_begin_an_interval_apart(first_s: float | None, first: float) -> None:
    work = Work()
    work.periodic.start(first_s)
    for _ in range(40):
        if work.rounds:
            work.rounds.pop().callback(None)
        work.clock.advance(1)
    assert work.began == [began for began in (first, first + 10, first + 20, first + 30, first + 40) if began <= 40]


def test_a_round_that_takes_longer_has_no_other_beside_it_and_those_it_missed_are_left_out() -> None:
    work = Work()
    work.periodic.start(0)
    work.clock.advance(25)
    assert work.began == [0]
    work.rounds[0].callback(None)
    work.clock.pump([1] * 5)
    assert work.began == [0, 30]


@pytest.mark.parametrize("problem", [ValueError("in the round"), CancelledError()])
def test_a_round_that_fails_is_logged_and_the_next_one_comes(problem: Exception) -> None:
    work = Work()
    work.periodic.start(0)
    with capturedLogs() as logs:
        work.rounds[0].errback(problem)
    assert [(event["log_failure"].value, event["name"]) for event in logs] == [(problem, "the work")]
    work.clock.advance(INTERVAL_S)
    assert len(work.began) == 2


def test_a_round_that_raises_at_once_is_logged_and_the_next_one_comes() -> None:
    clock, rounds = Clock(), []

    def work() -> Any:
        rounds.append(clock.seconds())
        raise ValueError("at once")

    with capturedLogs() as logs:
        Periodic(work, INTERVAL_S, clock, "the work").start()
        clock.pump([INTERVAL_S] * 3)
    assert rounds == [10, 20, 30]
    assert len(logs) == 3


def test_a_stop_between_two_rounds_leaves_nothing_to_come() -> None:
    work = Work()
    work.periodic.start()
    assert work.periodic.stop().called
    assert work.clock.getDelayedCalls() == []
    assert work.periodic.stop().called


@pytest.mark.parametrize("cancel", [False, True])
def test_a_stop_in_a_round_fires_when_that_has_ended(cancel: bool) -> None:
    work = Work()
    work.periodic.start(0)
    with capturedLogs() as logs:
        stopped = work.periodic.stop(cancel=cancel)
        if not cancel:
            assert not stopped.called
            work.rounds[0].callback(None)
    assert stopped.called
    assert logs == []
    assert work.clock.getDelayedCalls() == []


def test_a_start_after_a_stop_does_nothing() -> None:
    work = Work()
    work.periodic.stop()
    work.periodic.start(0)
    assert (work.began, work.clock.getDelayedCalls()) == ([], [])
