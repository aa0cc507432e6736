"""The lanes of an upload, of which some fail or are slow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from splitd.errors import NotEnoughSpace, SplitdError, UploadFailed
from splitd.model.conditions import ALWAYS
from splitd.model.striping import Layout
from splitd.uploads.lanes import Intent, Lane
from splitd.uploads.open_lanes import OpenLanes
from storaged.parts.errors import NodeUnavailable, NoSpace
from storaged.parts.format import PartEncoder, PartId
from storaged.system.once import Once
from tests.catalogs import A

SLOW_S = 5.0
NODES = tuple("abcdefgh")


class Writer:
    """A part writer that does what the test says."""

    def __init__(self) -> None:
        self.source: Any = None
        self.broken: Once[Exception] = Once()
        self.stored: Deferred[None] = Deferred()
        self.written = b""
        self.aborted = False

    def registerProducer(self, source: Any, streaming: bool) -> None:
        assert streaming
        self.source = source

    def write(self, data: bytes) -> None:
        self.written += data

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.written += b"".join(data)

    def when_broken(self) -> Deferred[Exception]:
        return self.broken.wait()

    def finish(self) -> Deferred[None]:
        return self.stored

    def abort(self) -> Deferred[None]:
        self.aborted = True
        return succeed(None)


class Bench:
    """Eight lanes, and what they report."""

    def __init__(self, may_miss: int = 2, opened: tuple[int, ...] = tuple(range(8))) -> None:
        self.clock = Clock()
        self.writers = {index: Writer() for index in opened}
        self.full: list[bool] = []
        self.errors: list[SplitdError] = []
        self.slow: list[str] = []
        self.released: list[str] = []
        self.intent = Intent(A, "/f", None, None, "", ALWAYS, Layout(6, 2, 4), may_miss)
        lanes = {
            index: Lane(NODES[index], writer, PartEncoder(PartId(A, index), 4))
            for index, writer in self.writers.items()
        }
        report, broke = self.full.append, self.errors.append
        self.lanes = OpenLanes(self.intent, lanes, self, self.clock, SLOW_S, report, broke)
        self.lanes.watch()

    def failed(self, node: str, _: str) -> None:
        self.slow.append(node)

    def release(self, node: str, _: int) -> None:
        self.released.append(node)

    def without(self, *indexes: int) -> tuple[str, ...]:
        return tuple("" if index in indexes else node for index, node in enumerate(NODES))

    def fail(self, *indexes: int, problem: Exception | None = None) -> None:
        for index in indexes:
            self.writers[index].broken.fire(problem or NodeUnavailable("its disk is broken"))

    def pause(self, *indexes: int) -> None:
        for index in indexes:
            self.writers[index].source.pauseProducing()

    def resume(self, *indexes: int) -> None:
        for index in indexes:
            self.writers[index].source.resumeProducing()

    def finish(self) -> list[Any]:
        """End all parts; the list gets the outcome."""
        outcome: list[Any] = []
        self.lanes.finish().addBoth(outcome.append)
        return outcome

    def store(self, *indexes: int) -> None:
        for index in indexes:
            self.writers[index].stored.callback(None)


def test_a_lane_that_fails_is_dropped_as_long_as_enough_are_left() -> None:
    bench = Bench()
    bench.fail(3, 7)
    assert (bench.lanes.nodes(), bench.errors) == (bench.without(3, 7), [])
    assert [index for index, writer in bench.writers.items() if writer.aborted] == [3, 7]
    bench.lanes.write(3, b"for nobody")
    bench.lanes.write(4, b"some")
    assert (bench.writers[3].written, bool(bench.writers[4].written)) == (b"", True)
    bench.fail(5)
    [error] = bench.errors
    assert isinstance(error, UploadFailed)
    assert [f"node {node}: its disk is broken" in str(error) for node in "dhf"] == [True] * 3


def test_a_lane_that_was_never_opened_counts_as_failed() -> None:
    bench = Bench(opened=(0, 1, 2, 3, 4, 5, 7))
    assert bench.lanes.nodes() == bench.without(6)
    bench.fail(0)
    assert (bench.lanes.nodes(), bench.errors) == (bench.without(0, 6), [])
    bench.fail(1)
    assert len(bench.errors) == 1


def test_an_upload_that_may_miss_nothing_ends_with_its_first_failure() -> None:
    bench = Bench(may_miss=0)
    bench.fail(2, problem=NoSpace("it is full"))
    [error] = bench.errors
    assert isinstance(error, NotEnoughSpace)
    bench.pause(4)
    assert bench.clock.getDelayedCalls() == []


def test_a_lane_that_takes_nothing_while_the_others_wait_is_dropped() -> None:
    bench = Bench()
    bench.pause(2)
    bench.clock.advance(SLOW_S - 0.1)
    assert (bench.full, bench.slow) == ([True], [])
    bench.clock.advance(0.1)
    assert (bench.full[-1], bench.slow, bench.lanes.nodes()) == (False, ["c"], bench.without(2))
    assert bench.clock.getDelayedCalls() == []


def test_a_lane_that_takes_something_now_and_then_is_not_dropped() -> None:
    bench = Bench()
    for _ in range(10):
        bench.pause(2)
        bench.clock.advance(SLOW_S - 0.1)
        bench.resume(2)
    assert bench.lanes.nodes() == NODES
    assert bench.clock.getDelayedCalls() == []


def test_each_lane_is_full_since_its_own_beginning() -> None:
    bench = Bench()
    bench.pause(2)
    bench.clock.advance(SLOW_S - 1)
    bench.pause(4)
    bench.resume(2)
    bench.clock.advance(1)
    assert bench.lanes.nodes() == NODES
    bench.clock.pump([1] * 4)
    assert bench.lanes.nodes() == bench.without(4)


def test_lanes_are_not_dropped_while_too_many_are_full_at_the_same_time() -> None:
    bench = Bench()
    bench.pause(2, 3, 4)
    bench.clock.pump([1] * 60)
    assert bench.lanes.nodes() == NODES, "the network, or this process, is to blame"
    bench.resume(3)
    bench.clock.advance(1)
    assert bench.lanes.nodes() == bench.without(2, 4)


def test_all_parts_that_are_stored_soon_are_waited_for() -> None:
    bench = Bench()
    outcome = bench.finish()
    bench.store(0, 1, 2, 3, 4, 5)
    bench.clock.advance(SLOW_S - 0.1)
    bench.store(6)
    assert outcome == []
    bench.store(7)
    assert (outcome, bench.lanes.nodes(), bench.clock.getDelayedCalls()) == ([None], NODES, [])


def test_a_part_that_is_not_stored_soon_after_enough_others_is_not_waited_for() -> None:
    bench = Bench()
    outcome = bench.finish()
    bench.store(0, 1, 2, 3, 4)
    bench.clock.advance(10 * SLOW_S)
    bench.store(5)
    bench.clock.advance(SLOW_S)
    assert (outcome, bench.lanes.nodes(), bench.slow) == ([None], bench.without(6, 7), ["g", "h"])
    assert bench.writers[6].aborted


def test_parts_that_fail_at_the_end_are_missed_as_long_as_enough_are_stored() -> None:
    bench = Bench()
    outcome = bench.finish()
    bench.store(0, 1, 2, 3, 4)
    for index in (5, 6):
        bench.writers[index].stored.errback(Failure(NodeUnavailable("its disk is broken")))
    assert outcome == []
    bench.store(7)
    assert (outcome, bench.lanes.nodes()) == ([None], bench.without(5, 6))


def test_too_many_that_fail_at_the_end_fail_the_upload() -> None:
    bench = Bench(may_miss=1)
    outcome = bench.finish()
    for index in (5, 6):
        bench.writers[index].stored.errback(Failure(NodeUnavailable("its disk is broken")))
    [failure] = outcome
    with pytest.raises(UploadFailed, match="node f: its disk is broken; node g: its disk is broken"):
        failure.raiseException()
    assert bench.errors == [], "it is said once"


def test_room_is_released_on_every_node_that_had_a_lane() -> None:
    bench = Bench()
    bench.fail(3)
    bench.lanes.abort()
    bench.lanes.release()
    assert sorted(bench.released) == list(NODES)
    assert all(writer.aborted for writer in bench.writers.values())
    bench.fail(4, 5, 6, 7)
    assert bench.errors == []
