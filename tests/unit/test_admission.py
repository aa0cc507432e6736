"""Connections are accepted while there is room; idle ones make room, and the others wait."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from storaged.http.admission import IDLE_S, Admission, connection_waits
from storaged.http.idle import IdleConnections

LIMIT = 20


@attrs.define(eq=False)
class Connection:
    """A connection to the port."""

    desk: Desk
    address: str = "10.0.0.7"

    def evict(self) -> None:
        self.desk.leave(self)


class Port:
    """A listening port with connections waiting at it, as the reactor sees it."""

    connected = True
    disconnecting = False

    def __init__(self) -> None:
        self.numberAccepts = 100
        self.waiting = 0
        self.fails = False
        self.reading = True
        self.desk: Desk

    def doRead(self) -> None:
        taken = 0 if self.fails else min(self.waiting, self.numberAccepts)
        self.waiting -= taken
        for _ in range(taken):
            self.desk.take()

    def stopReading(self) -> None:
        self.reading = False

    def startReading(self) -> None:
        self.reading = True


def _waits(port: Port) -> bool:
    return port.waiting > 0


class Desk:
    """A port, its connections, and the reactor that calls while something waits."""

    def __init__(self, limit: int | None = LIMIT, waits: Callable[[Any], bool] = _waits) -> None:
        self.clock = Clock()
        self.connections: dict[Connection, None] = {}
        self.idle = IdleConnections(0, self.clock)
        self.admission = Admission(limit, lambda: len(self.connections), self.idle, self.clock, waits)
        self.port = Port()
        self.port.desk = self
        self.admission.guard(self.port)

    def take(self) -> None:
        connection = Connection(self)
        self.connections[connection] = None
        self.idle.add(connection)

    def leave(self, connection: Connection) -> None:
        self.idle.discard(connection)
        del self.connections[connection]
        self.admission.left()

    def work(self) -> None:
        """Make all connections busy."""
        for connection in self.connections:
            self.idle.discard(connection)

    def arrive(self, count: int) -> None:
        self.port.waiting += count
        self.react()

    def react(self) -> None:
        while self.port.reading and self.port.waiting:
            self.port.doRead()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)
            self.react()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.admission.stop()
    assert not desk.clock.getDelayedCalls()


def test_no_more_are_accepted_than_there_is_room_for(desk: Desk) -> None:
    desk.arrive(LIMIT - 1)
    assert (len(desk.connections), desk.admission.waiting) == (LIMIT - 1, False)
    desk.work()
    desk.arrive(50)
    assert (len(desk.connections), desk.port.waiting, desk.admission.waiting) == (LIMIT, 49, True)
    desk.work()
    desk.pass_time(100)
    assert (len(desk.connections), desk.port.waiting) == (LIMIT, 49)


def test_each_that_ends_makes_room_for_one(desk: Desk) -> None:
    desk.arrive(LIMIT + 3)
    desk.work()
    for left in (2, 1, 0):
        desk.leave(next(iter(desk.connections)))
        desk.react()
        desk.work()
        assert (len(desk.connections), desk.port.waiting) == (LIMIT, left)


def test_those_that_are_idle_for_long_make_room_and_the_longest_first(desk: Desk) -> None:
    desk.arrive(LIMIT)
    desk.work()
    busy = list(desk.connections)
    first, second = busy[3], busy[1]
    desk.idle.add(first)
    desk.pass_time(IDLE_S / 2)
    desk.idle.add(second)
    desk.arrive(2)
    assert desk.port.waiting == 2  # they may be about to ask for something
    desk.pass_time(IDLE_S * 0.8)
    desk.work()
    assert desk.port.waiting == 1
    assert set(busy) - set(desk.connections) == {first}
    desk.idle.add(second)
    desk.pass_time(IDLE_S * 1.5)
    assert desk.port.waiting == 0
    assert set(busy) - set(desk.connections) == {first, second}


def test_one_that_gets_a_request_in_time_is_not_ended(desk: Desk) -> None:
    desk.arrive(LIMIT + 1)
    before = set(desk.connections)
    desk.pass_time(IDLE_S / 2)
    desk.work()
    desk.pass_time(IDLE_S * 10)
    assert set(desk.connections) == before


def test_a_port_that_has_stopped_is_left_alone(desk: Desk) -> None:
    desk.arrive(LIMIT + 1)
    desk.work()
    desk.port.disconnecting = True
    desk.leave(next(iter(desk.connections)))
    assert not desk.port.reading


def test_an_accept_that_fails_is_not_repeated_at_once(desk: Desk) -> None:
    desk.port.fails = True
    desk.arrive(1)
    assert not desk.port.reading
    desk.port.fails = False
    desk.pass_time(1)
    assert desk.port.reading
    assert len(desk.connections) == 1


def test_one_that_another_process_has_taken_does_not_keep_the_next_one_waiting(desk: Desk) -> None:
    desk.port.doRead()  # nothing comes of it
    assert desk.port.reading
    desk.arrive(1)
    assert len(desk.connections) == 1


def test_the_kernel_tells_whether_a_connection_waits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        desk = Desk(waits=lambda _: connection_waits(listening))
        desk.port.doRead()
        assert desk.port.reading
        with socket.create_connection(listening.getsockname()):
            desk.port.doRead()
            assert not desk.port.reading
    desk.admission.stop()


def test_without_a_limit_all_are_taken() -> None:
    desk = Desk(None)
    desk.arrive(1000)
    assert len(desk.connections) == 1000
