"""Secrets of keys are sealed anew until that has succeeded, and those that are lost are named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from splitd.access.resealing import LOST_S, RETRY_S, Resealing


class Rounds:
    """Rounds that end as a test says."""

    def __init__(self) -> None:
        self.begun: list[Deferred[Sequence[str]]] = []
        self.clock = Clock()
        self.resealing = Resealing(self._begin, self.clock)

    def _begin(self) -> Deferred[Sequence[str]]:
        self.begun.append(Deferred())
        return self.begun[-1]

    def end(self, *lost: str) -> None:
        self.begun[-1].callback(lost)

    def fail(self) -> None:
        self.begun[-1].errback(OSError("the catalog cannot be written"))


@pytest.fixture
def rounds() -> Rounds:
    made = Rounds()
    made.resealing.start()
    return made


def test_a_round_that_fails_is_tried_again_until_one_succeeds(rounds: Rounds) -> None:
    for count in (1, 2, 3):
        assert len(rounds.begun) == count
        with capturedLogs() as logged:
            rounds.fail()
        assert [event["log_level"] for event in logged] == [LogLevel.critical]
        assert "the catalog cannot be written" in rounds.resealing.problem
        assert "keep the other cluster keys" in rounds.resealing.problem
        rounds.clock.advance(RETRY_S)
    rounds.end()
    assert rounds.resealing.problem == ""
    assert not rounds.clock.getDelayedCalls()


def test_keys_that_change_during_a_round_have_another_one(rounds: Rounds) -> None:
    rounds.resealing.begin()
    rounds.resealing.begin()
    assert len(rounds.begun) == 1
    rounds.end()
    assert len(rounds.begun) == 2
    rounds.end()
    assert len(rounds.begun) == 2


def test_keys_that_change_before_a_retry_are_sealed_at_once(rounds: Rounds) -> None:
    with capturedLogs():
        rounds.fail()
    rounds.resealing.begin()
    assert len(rounds.begun) == 2
    rounds.end()
    assert not rounds.clock.getDelayedCalls()


def test_lost_secrets_are_named_in_the_log_once_and_to_operators_until_they_are_gone(rounds: Rounds) -> None:
    lost = [f"SPLOWN{number}" for number in range(7)]
    with capturedLogs() as logged:
        rounds.end(*lost)
        rounds.clock.advance(LOST_S)
        rounds.end(*lost)
    assert [event["key"] for event in logged] == lost
    assert "SPLOWN0, SPLOWN1, SPLOWN2, SPLOWN3, SPLOWN4 and 2 more" in rounds.resealing.problem
    rounds.clock.advance(LOST_S)
    rounds.end()  # their users have taken them back
    assert rounds.resealing.problem == ""
    assert not rounds.clock.getDelayedCalls()


def test_it_stops_at_any_time() -> None:
    never = Rounds()
    assert never.resealing.stop().called
    never.resealing.begin()
    assert never.begun == []
    during = Rounds()
    during.resealing.start()
    during.resealing.begin()
    with capturedLogs() as logged:
        assert during.resealing.stop().called
    assert (len(during.begun), logged) == (1, [])
    waits = Rounds()
    waits.resealing.start()
    with capturedLogs():
        waits.fail()
    assert waits.resealing.stop().called
    assert not waits.clock.getDelayedCalls()
