"""Workers take turns to accept connections."""

from __future__ import annotations

from twisted.internet.task import Clock

from splitd.workers.balance import Balance
from splitd.workers.counters import Counters
from tests.workers import shared_counters


class Port:
    """A port at which connections wait."""

    def __init__(self) -> None:
        self.connected, self.disconnecting = True, False
        self.reading, self.waiting, self.accepted, self.numberAccepts = True, 0, 0, 100

    def doRead(self) -> None:
        count = min(self.waiting, self.numberAccepts)
        self.waiting -= count
        self.accepted += count

    def connect(self) -> None:
        """Another connection waits."""
        self.waiting += 1
        self.doRead()

    def stopReading(self) -> None:
        self.reading = False

    def startReading(self) -> None:
        self.reading = True


def balanced() -> tuple[Counters, Clock, Port]:
    """The port of worker 0 of two, the other of which has no connection."""
    counters, clock, port = shared_counters(), Clock(), Port()
    Balance(counters, 1, 2, lambda: 0, clock)
    Balance(counters, 0, 2, lambda: port.accepted, clock).guard(port)
    return counters, clock, port


def test_a_worker_with_more_connections_leaves_the_next_one_to_others() -> None:
    counters, clock, port = balanced()
    port.connect()
    assert port.accepted == 1  # as many as the other: one at a time
    port.connect()
    assert (port.accepted, port.reading) == (1, False)
    clock.advance(0.002)
    assert not port.reading
    port.waiting, counters.connections[1] = 0, 1  # the other has taken it
    clock.advance(0.002)
    assert (port.accepted, port.reading) == (1, True)
    port.connect()
    assert port.accepted == 2


def test_a_worker_takes_what_others_leave_for_long_and_then_waits_less() -> None:
    counters, clock, port = balanced()
    port.connect()
    port.connect()
    clock.pump([0.002] * 7)
    assert port.accepted == 1
    clock.advance(0.002)
    assert (port.accepted, port.reading) == (2, True)
    port.connect()
    clock.advance(0.002)
    assert port.accepted == 3
    port.connect()
    port.waiting, counters.connections[1] = 0, 3  # the other one is there again
    clock.advance(0.002)
    counters.connections[1] = 2
    port.connect()
    clock.advance(0.002)
    assert (port.accepted, port.reading) == (3, False)
    port.connected = False
    clock.advance(0.02)
    assert not port.reading
    assert not clock.getDelayedCalls()


def test_one_that_stops_leaves_all_connections_to_others() -> None:
    counters, clock, port = shared_counters(), Clock(), Port()
    stopping = Balance(counters, 1, 2, lambda: 0, clock)
    stopping.leave()
    Balance(counters, 0, 2, lambda: port.accepted, clock).guard(port)
    for _ in range(3):
        port.connect()
    assert port.accepted == 3
