"""The parity of an upload: every stripe is encoded, in order, and few are in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from splitd.model.erasure import cut_whole
from splitd.model.striping import Cutter, Layout
from splitd.uploads.parity import ParityFeed
from tests.fired import fired

LAYOUT = Layout(3, 2, 4)


class Threads:
    """Runs a computation when the test says so."""

    def __init__(self) -> None:
        self.pending: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.most = 0

    def run(self, call: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.pending.append((call, done))
        self.most = max(self.most, len(self.pending))
        return done

    def work(self) -> None:
        call, done = self.pending.pop(0)
        done.callback(call())


class Feed:
    def __init__(self) -> None:
        self.threads = Threads()
        self.written: dict[int, bytes] = {3: b"", 4: b""}
        self.full = False
        self.problems: list[Exception] = []
        self.feed = ParityFeed(LAYOUT, self.threads.run, self.write, self.set_full, self.problems.append)

    def write(self, index: int, data: bytes) -> None:
        self.written[index] += data

    def set_full(self, full: bool) -> None:
        self.full = full


@given(st.lists(st.binary(max_size=30), max_size=12), st.randoms(use_true_random=False))
def test_parity_is_that_of_the_whole_file_however_its_bytes_come(pieces: list[bytes], random: Any) -> None:
    feed, data = Feed(), b"".join(pieces)
    cutter = Cutter(LAYOUT, len(data))
    for piece in pieces:
        feed.feed.add(cutter.cut(piece))
        while feed.threads.pending and random.random() < 0.5:
            feed.threads.work()
    feed.feed.add(cutter.finish())
    finished = feed.feed.finish()
    while feed.threads.pending:
        feed.threads.work()
    assert fired(finished) is None
    assert feed.threads.most <= 1
    assert list(feed.written.values()) == cut_whole(LAYOUT, data)[3:]


def test_no_more_bytes_should_come_while_a_stripe_waits() -> None:
    feed, cutter = Feed(), Cutter(LAYOUT, 48)
    feed.feed.add(cutter.cut(bytes(12)))
    assert not feed.full
    feed.feed.add(cutter.cut(bytes(12)))
    assert feed.full
    feed.threads.work()
    assert not feed.full


def test_a_computation_that_fails_breaks_the_upload_at_once_or_at_its_end() -> None:
    feed, cutter = Feed(), Cutter(LAYOUT, 18)
    feed.feed.add(cutter.cut(bytes(12)))
    feed.threads.pending.pop()[1].errback(MemoryError())
    assert [type(problem) for problem in feed.problems] == [MemoryError]
    feed = Feed()
    feed.feed.add(Cutter(LAYOUT, 6).cut(bytes(6)))
    finished = feed.feed.finish()
    feed.threads.pending.pop()[1].errback(MemoryError())
    assert isinstance(fired(finished.addErrback(lambda failure: failure.value)), MemoryError)
    assert feed.problems == []


def test_after_a_stop_nothing_is_written() -> None:
    feed, cutter = Feed(), Cutter(LAYOUT, 24)
    feed.feed.add(cutter.cut(bytes(24)))
    feed.feed.stop()
    feed.threads.work()
    assert feed.threads.pending == []
    assert feed.written == {3: b"", 4: b""}
