"""An operation that runs only once."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from storaged.system.once import Once


def test_all_who_wait_hear_it_before_and_after() -> None:
    once: Once[int] = Once()
    heard: list[int] = []
    once.wait().addCallback(heard.append)
    once.wait().addCallback(heard.append)
    assert (once.fired, heard) == (False, [])
    once.fire(1)
    once.wait().addCallback(heard.append)
    assert (once.fired, heard) == (True, [1, 1, 1])


def test_it_happens_once() -> None:
    once: Once[int] = Once()
    once.fire(1)
    once.fire(2)
    heard: list[int] = []
    once.wait().addCallback(heard.append)
    assert heard == [1]


def test_a_failure_is_heard_as_one() -> None:
    once: Once[int] = Once()
    heard: list[Failure] = []
    once.wait().addErrback(heard.append)
    failure = Failure(ValueError("no"))
    once.fire(failure)
    once.wait().addErrback(heard.append)
    assert heard == [failure, failure]


@pytest.mark.parametrize("outcome", [1, Failure(ValueError("no"))])
def test_one_who_no_longer_waits_is_not_told(outcome: int | Failure) -> None:
    once: Once[int] = Once()
    heard: list[object] = []
    waiting = once.wait().addBoth(heard.append)
    once.wait().addCallbacks(heard.append, heard.append)
    waiting.cancel()
    once.fire(outcome)
    assert isinstance(heard[0], Failure)
    assert heard[0].check(CancelledError)
    assert heard[1:] == [outcome]


def test_one_who_hears_it_may_stop_another_from_waiting() -> None:
    once: Once[int] = Once()
    heard: list[object] = []
    first = once.wait()
    second = once.wait().addBoth(heard.append)
    first.addCallback(lambda _: second.cancel())
    once.fire(1)
    assert len(heard) == 1
    assert isinstance(heard[0], Failure)
