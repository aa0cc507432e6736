"""Connections that have no request under way: a bound for each address, and one for the heads that they hold."""

from __future__ import annotations

import attrs
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock

from storaged.http.idle import IdleConnections, address_of


@attrs.define(eq=False)
class Connection:
    """A connection that notes whether it was evicted."""

    host: str | None = "10.0.0.7"
    evicted: bool = False
    address: str | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.address = address_of(UNIXAddress(None) if self.host is None else IPv4Address("TCP", self.host, 1))

    def evict(self) -> None:
        self.evicted = True


def evicted(connections: list[Connection]) -> list[int]:
    return [number for number, each in enumerate(connections) if each.evicted]


def test_an_address_has_a_bound_and_others_are_left_alone() -> None:
    idle = IdleConnections(2, Clock())
    others, local = Connection("10.0.0.8"), Connection(None)
    connections = [Connection() for _ in range(4)]
    for each in (others, local, *connections):
        idle.add(each)
    assert evicted(connections) == [0, 1]
    assert not others.evicted
    assert not local.evicted


def test_those_that_have_waited_longest_are_ended_first() -> None:
    clock = Clock()
    idle = IdleConnections(0, clock)
    connections = [Connection() for _ in range(5)]
    for each in connections:
        idle.add(each)
        clock.advance(1)
    idle.discard(connections[0])
    idle.add(connections[0])
    assert idle.evict(10, 6) == 0
    assert idle.evict(1, 2) == 1
    assert evicted(connections) == [1]
    assert idle.evict(10, 2) == 2
    assert evicted(connections) == [1, 2, 3]


def test_heads_that_are_not_whole_have_a_bound_together() -> None:
    idle = IdleConnections(0, Clock(), head_bytes=100)
    connections = [Connection() for _ in range(5)]
    for each in connections:
        idle.add(each)
    for each in connections[1:]:
        idle.hold(each, 10)
    idle.hold(connections[2], 60)
    assert evicted(connections) == []
    idle.hold(connections[0], 20)  # the newest of them
    assert evicted(connections) == [1]
    idle.hold(connections[4], 11)
    assert evicted(connections) == [1, 2]
    idle.discard(connections[3])
    idle.hold(connections[4], 80)
    assert evicted(connections) == [1, 2]
    idle.hold(connections[4], 81)
    assert evicted(connections) == [1, 2, 4]
    idle.hold(connections[0], 101)
    assert evicted(connections) == [0, 1, 2, 4]


def test_a_connection_that_holds_nothing_any_more_makes_no_room_by_its_end() -> None:
    idle = IdleConnections(0, Clock(), head_bytes=100)
    connections = [Connection() for _ in range(2)]
    for each in connections:
        idle.add(each)
    idle.hold(connections[0], 10)
    idle.hold(connections[0], 0)  # it was half of an empty line
    idle.hold(connections[1], 101)
    assert evicted(connections) == [1]


def test_clients_of_ipv4_at_a_port_for_both_are_told_apart() -> None:
    """A port that listens at `::` sees `192.0.2.1` as `::ffff:192.0.2.1`."""
    idle = IdleConnections(1, Clock())
    connections = [Connection(f"::ffff:192.0.2.{number}") for number in range(5)]
    for each in (*connections, Connection("2001:db8::1"), Connection("2001:db8:0:1::1")):
        idle.add(each)
    assert evicted(connections) == []
    again = Connection("192.0.2.0")
    idle.add(again)
    assert evicted(connections) == [0]


def test_one_address_makes_room_for_its_own() -> None:
    clock = Clock()
    idle = IdleConnections(0, clock)
    connections = [Connection() for _ in range(3)]
    others = [Connection("10.0.0.8"), Connection(None)]
    for each in (*others, *connections):
        idle.add(each)
        clock.advance(1)
    assert idle.evict_of("10.0.0.7", 3)
    assert not idle.evict_of("10.0.0.7", 3)
    assert idle.evict_of("10.0.0.7", 1)
    idle.discard(connections[2])
    assert not idle.evict_of("10.0.0.7", 0)
    assert not idle.evict_of("192.0.2.1", 0)
    assert (evicted(connections), evicted(others)) == ([0, 1], [])
