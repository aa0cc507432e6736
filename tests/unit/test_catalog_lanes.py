"""A lane tells the results of what was done, whatever fails afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Queue
from typing import Any

import psycopg

from splitd.catalog.sql.lanes import Job, Lane


class AtOnce:
    """A reactor that calls in the thread that asks for it."""

    def callFromThread(self, call: Callable[..., object], *args: Any) -> None:
        call(*args)


class Departing:
    """Loses its connection when it has done a batch."""

    def open(self) -> None:
        raise psycopg.OperationalError("the connection is lost")

    def work(self, batch: Sequence[Job]) -> Sequence[Any]:
        return ["done" for _ in batch]

    def settle(self) -> None:
        """Nothing is left."""

    def idle(self) -> float:
        raise psycopg.OperationalError("the connection is lost")

    def close(self) -> None:
        """Nothing is open."""


def test_a_change_that_was_made_is_told_though_the_lease_cannot_be_renewed_then() -> None:
    lane = Lane("lane", AtOnce(), Departing(), 64)
    outcomes: Queue[Any] = Queue()
    lane.submit([Job(outcomes.put)])
    lane.start()
    ended = threading.Event()
    try:
        assert outcomes.get(timeout=60) == "done"
    finally:
        lane.stop().addCallback(lambda _: ended.set())
        assert ended.wait(60)
