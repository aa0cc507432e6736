"""Rates: all who share a bucket get its rate together, in either direction, and nobody gets an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http import BodyBroken, Bucket, Buckets, Pace, RequestBody
from storaged.http.pace import MOST_KEPT

RATE = 1000


class Line:
    """The connection of a body: whether it is read from."""

    def __init__(self) -> None:
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def send_continue(self) -> None:
        """Nobody waits for it here."""


@implementer(IConsumer)
class Taker:
    """A consumer that a test makes full and empty."""

    def __init__(self) -> None:
        self.taken = 0
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: ARG002
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.taken += len(data)


def pace_of(clock: Clock, *received: Bucket, sent: Sequence[Bucket] = ()) -> Pace:
    return Pace(received, sent, RATE, clock)


def test_a_bucket_lets_a_second_pass_at_once_and_then_its_rate() -> None:
    clock = Clock()
    bucket = Bucket(RATE, clock.seconds)
    bucket.spend(RATE)
    assert bucket.wait_s() == 0
    bucket.spend(500)
    bucket.spend(1500)
    assert bucket.wait_s() == 2.0
    clock.advance(1.5)
    assert bucket.wait_s() == 0.5
    assert not bucket.is_full
    clock.advance(100)
    assert bucket.is_full
    bucket.spend(RATE + 1)
    assert bucket.wait_s() == 0.001  # what was not used in a hundred seconds is not kept


def test_of_several_buckets_the_slowest_counts() -> None:
    clock = Clock()
    slow, fast = Bucket(RATE, clock.seconds), Bucket(2 * RATE, clock.seconds)
    pace = pace_of(clock, fast, slow, sent=[fast])
    pace.count_received(3 * RATE)
    assert pace.receiving_wait_s() == 2.0
    assert pace.sending_wait_s() == 0.5


def test_buckets_that_say_nothing_are_dropped() -> None:
    clock = Clock()
    buckets = Buckets(RATE, clock.seconds)
    for number in range(MOST_KEPT):
        buckets.of(str(number)).spend(1)
    buckets.of("busy").spend(RATE * 10)
    clock.advance(5)
    for number in range(MOST_KEPT):
        buckets.of(f"more {number}")
    assert len(buckets) <= MOST_KEPT + 1
    assert buckets.of("busy").wait_s() == 4.0


def test_a_body_is_read_as_fast_as_its_pace_allows() -> None:
    clock, line, taker = Clock(), Line(), Taker()
    body = RequestBody(line, 10 * RATE, expects_continue=False)
    body.pace = pace_of(clock, Bucket(RATE, clock.seconds))
    done = body.deliver(taker)
    body.received(bytes(RATE))
    assert line.reading
    for _ in range(8):
        body.received(bytes(RATE))
        assert not line.reading
        clock.advance(0.5)
        assert not line.reading
        clock.advance(0.5)
        assert line.reading
    body.received(bytes(RATE))
    body.ended()
    assert done.called
    assert (taker.taken, clock.getDelayedCalls()) == (10 * RATE, [])


def test_a_body_waits_for_its_consumer_and_its_pace() -> None:
    clock, line, taker = Clock(), Line(), Taker()
    body = RequestBody(line, None, expects_continue=False)
    body.pace = pace_of(clock, Bucket(RATE, clock.seconds))
    body.deliver(taker).addErrback(lambda failure: failure.trap(BodyBroken))
    body.received(bytes(2 * RATE))
    taker.producer.pauseProducing()
    clock.advance(1)
    assert not line.reading
    taker.producer.resumeProducing()
    assert line.reading
    body.received(bytes(RATE))
    taker.producer.pauseProducing()
    taker.producer.resumeProducing()
    assert not line.reading
    clock.advance(1)
    assert line.reading
    body.received(bytes(RATE))
    body.broke(Failure(ConnectionError("gone")))
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("others", [1, 3])
def test_several_bodies_share_a_bucket(others: int) -> None:
    clock, bucket = Clock(), None
    bucket = Bucket(RATE, clock.seconds)
    lines, bodies = [Line() for _ in range(others + 1)], []
    for line in lines:
        bodies.append(RequestBody(line, None, expects_continue=False))
        bodies[-1].pace = pace_of(clock, bucket)
        done: Deferred[None] = bodies[-1].deliver(Taker())
        done.addErrback(lambda failure: failure.trap(BodyBroken))
    for _ in range(100):
        for line, body in zip(lines, bodies, strict=True):
            if line.reading:
                body.received(bytes(100))
        clock.advance(0.1)
    total = sum(body.size for body in bodies)
    assert total <= RATE + 10 * RATE + 100 * len(bodies)
    assert total >= 10 * RATE
    for body in bodies:
        body.broke(Failure(ConnectionError("gone")))
    assert clock.getDelayedCalls() == []
