"""Time limits for others do not count how long this process stood still itself."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as AskedTooLong
from twisted.internet.task import Clock

from storaged.parts.client.patience import Patience
from storaged.system.stalls import limit
from tests.fired import failed, fired


def waited(seconds: float) -> tuple[Clock, Deferred[str], Deferred[str]]:
    clock, answer = Clock(), Deferred[str]()
    return clock, answer, limit(answer, seconds, clock)


def test_a_wait_ends_at_its_limit() -> None:
    clock, _, waiting = waited(3)
    clock.advance(2.9)
    assert not waiting.called
    clock.advance(0.1)
    assert isinstance(failed(waiting), AskedTooLong)
    assert clock.getDelayedCalls() == []


def test_what_has_arrived_while_this_process_stood_still_is_read_before_a_wait_ends() -> None:
    clock, answer, waiting = waited(3)
    clock.advance(60)
    answer.callback("here")
    assert fired(waiting) == "here"
    assert clock.getDelayedCalls() == []
    clock, _, waiting = waited(3)
    clock.advance(60)
    clock.advance(60)
    assert isinstance(failed(waiting), AskedTooLong)


def test_a_wait_that_has_ended_leaves_nothing_behind() -> None:
    clock, answer, waiting = waited(3)
    answer.callback("here")
    assert fired(waiting) == "here"
    assert clock.getDelayedCalls() == []


def test_a_node_that_has_answered_while_this_process_stood_still_is_not_late() -> None:
    async def ask() -> Any:
        return await answer

    clock, answer = Clock(), Deferred[str]()
    waiting = Patience(clock, 10).limit(ask(), "late")
    clock.advance(60)
    answer.callback("here")
    assert fired(waiting) == "here"
    assert clock.getDelayedCalls() == []
    answer = Deferred[str]()
    waiting = Patience(clock, 10).limit(ask(), "late")
    clock.advance(60)
    assert not waiting.called
    clock.advance(1)
    assert str(failed(waiting)) == "late"
