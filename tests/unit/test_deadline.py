from __future__ import annotations

from twisted.internet.task import Clock

from storaged.http.deadline import Deadline


class Passing:
    """A deadline, and when it has passed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.passed: list[float] = []
        self.deadline = Deadline(self.clock, lambda: self.passed.append(self.clock.seconds()))

    def wait(self, seconds: int) -> list[float]:
        for _ in range(seconds):
            self.clock.advance(1)
        return self.passed


def test_it_passes_once() -> None:
    passing = Passing()
    passing.deadline.set(3)
    assert passing.wait(2) == []
    assert passing.wait(10) == [3]


def test_it_is_set_anew() -> None:
    passing = Passing()
    passing.deadline.set(3)
    passing.wait(2)
    passing.deadline.set(4)
    assert passing.wait(10) == [6]


def test_it_is_set_earlier() -> None:
    passing = Passing()
    passing.deadline.set(30)
    passing.deadline.set(2)
    assert passing.wait(10) == [2]


def test_it_is_set_to_never_and_then_again() -> None:
    passing = Passing()
    passing.deadline.set(3)
    passing.deadline.set(None)
    assert passing.wait(10) == []
    passing.deadline.set(5)
    assert passing.wait(10) == [15]


def test_it_counts_anew_only_while_time_runs() -> None:
    passing = Passing()
    passing.deadline.extend()
    assert passing.wait(10) == []
    passing.deadline.set(3)
    passing.wait(2)
    passing.deadline.extend()
    assert passing.wait(10) == [15]


def test_stopped_it_leaves_no_call() -> None:
    passing = Passing()
    passing.deadline.set(3)
    passing.deadline.stop()
    assert passing.clock.getDelayedCalls() == []
    assert passing.wait(10) == []


def test_what_has_arrived_while_this_process_stood_still_counts() -> None:
    passing = Passing()
    passing.deadline.set(3)
    passing.clock.advance(60)
    assert passing.passed == []
    passing.deadline.extend()
    assert passing.wait(10) == [63]


def test_it_passes_if_nothing_has_arrived_while_this_process_stood_still() -> None:
    passing = Passing()
    passing.deadline.set(3)
    passing.clock.advance(60)
    passing.clock.advance(60)
    assert passing.passed == [120]
