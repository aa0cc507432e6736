"""The MD5 that is computed in a thread: right in any order of events, and bounded in what waits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from splitd.frontends.s3.payload.hashing import HELD, ThreadedMD5
from tests.fired import fired

PIECE = b"0123456789abcdef" * 8192


class Threads:
    """Threads that run when the test says so; never two calls of one hash at the same time."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, call: Callable[[], Any]) -> Deferred[Any]:
        assert not self.waiting, "two threads would compute one hash"
        self.waiting.append((call, Deferred()))
        return self.waiting[-1][1]

    def run(self) -> None:
        if self.waiting:
            call, answer = self.waiting.pop()
            answer.callback(call())


@given(st.lists(st.one_of(st.integers(0, 200_000), st.just("run")), max_size=60))
def test_it_is_right_however_the_threads_run(events: list[int | str]) -> None:
    threads, whole = Threads(), hashlib.md5()
    md5 = ThreadedMD5(threads, lambda _: None)
    for event in events:
        if isinstance(event, int):
            data = (PIECE * 2)[:event]
            md5.update(data)
            whole.update(data)
        else:
            threads.run()
    digest = md5.digest()
    while threads.waiting:
        threads.run()
    assert fired(digest) == whole.digest()


def test_bytes_that_come_as_soon_as_they_may_are_hashed_in_order() -> None:
    threads, whole = Threads(), hashlib.md5()
    full = False
    left = 100

    def feed(is_full: bool) -> None:
        nonlocal full, left
        full = is_full
        while not full and left:
            left -= 1
            data = bytes([left]) * len(PIECE)
            whole.update(data)
            md5.update(data)

    md5 = ThreadedMD5(threads, feed)
    feed(False)
    assert full
    assert (100 - left) * len(PIECE) <= HELD + len(PIECE)
    while threads.waiting:
        threads.run()
    assert not left
    assert fired(md5.digest()) == whole.digest()
