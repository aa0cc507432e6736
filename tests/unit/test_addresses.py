"""How many connections an address has: one client cannot have them all, and is told so."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock

from storaged.http.addresses import AddressLimit, Verdict
from storaged.http.admission import IDLE_S
from storaged.http.idle import IdleConnections, address_of
from storaged.http.names import OwnNames, parse_networks

LIMIT = 3
SURPLUS = 16
PROXIES = OwnNames(proxies=parse_networks(["10.0.0.0/8"]))


@attrs.define(eq=False)
class Connection:
    """A connection that ends as soon as it is evicted."""

    desk: Desk
    peer: Any

    @property
    def address(self) -> str | None:
        return address_of(self.peer)

    def evict(self) -> None:
        self.desk.leave(self)


class Desk:
    """Where connections come and go."""

    def __init__(self, limit: int | None = LIMIT) -> None:
        self.clock = Clock()
        self.idle = IdleConnections(0, self.clock)
        self.addresses = AddressLimit(limit, PROXIES, self.idle, self.clock)
        self.open: dict[Connection, None] = {}

    def arrive(self, host: str) -> Verdict:
        """A connection comes, and has no request yet."""
        peer = IPv6Address("TCP", host, 1) if ":" in host else IPv4Address("TCP", host, 1)
        verdict = self.addresses.enter(peer)
        if verdict is not Verdict.CLOSE:
            connection = Connection(self, peer)
            self.open[connection] = None
            if verdict is Verdict.SERVE:
                self.idle.add(connection)
        return verdict

    def work(self) -> None:
        for connection in self.open:
            self.idle.discard(connection)

    def leave(self, connection: Connection) -> None:
        self.idle.discard(connection)
        del self.open[connection]
        self.addresses.leave(connection.peer)

    def of(self, host: str) -> int:
        return sum(each.peer.host == host for each in self.open)


def test_beyond_the_limit_a_client_is_told_so_and_then_not_even_that() -> None:
    desk = Desk()
    for _ in range(LIMIT):
        assert desk.arrive("192.0.2.1") is Verdict.SERVE
    desk.work()
    desk.clock.advance(100)
    assert [desk.arrive("192.0.2.1") for _ in range(SURPLUS)] == [Verdict.REFUSE] * SURPLUS
    assert [desk.arrive("192.0.2.1") for _ in range(100)] == [Verdict.CLOSE] * 100
    assert desk.addresses.refused == SURPLUS + 100
    assert desk.arrive("192.0.2.2") is Verdict.SERVE
    for connection in list(desk.open)[: SURPLUS + 1]:  # all that were told so, and one that was served
        desk.leave(connection)
    assert [desk.arrive("192.0.2.1") for _ in range(2)] == [Verdict.SERVE, Verdict.REFUSE]


def test_idle_connections_of_the_same_address_make_room() -> None:
    desk = Desk()
    first = [desk.arrive("192.0.2.1") for _ in range(LIMIT)]
    assert desk.arrive("192.0.2.1") is Verdict.REFUSE  # nobody knows yet whether they are idle
    desk.clock.advance(IDLE_S)
    assert desk.arrive("192.0.2.2") is Verdict.SERVE
    again = [desk.arrive("192.0.2.1") for _ in range(LIMIT)]
    assert first + again[:-1] == [Verdict.SERVE] * (2 * LIMIT - 1)
    assert desk.of("192.0.2.2") == 1


def test_proxies_and_local_sockets_have_no_limit() -> None:
    desk = Desk()
    for _ in range(100):
        assert desk.arrive("10.1.2.3") is Verdict.SERVE
        assert desk.arrive("::ffff:10.1.2.3") is Verdict.SERVE
        assert desk.addresses.enter(UNIXAddress("client")) is Verdict.SERVE
        desk.addresses.leave(UNIXAddress("client"))
    unlimited = Desk(None)
    assert [unlimited.arrive("192.0.2.1") for _ in range(100)] == [Verdict.SERVE] * 100


def test_all_addresses_of_a_client_with_ipv6_are_one() -> None:
    desk = Desk()
    for number in range(LIMIT):
        assert desk.arrive(f"2001:db8::{number}") is Verdict.SERVE
    assert desk.arrive("2001:db8::ffff") is Verdict.REFUSE
    assert desk.arrive("2001:db8:0:1::1") is Verdict.SERVE


@given(st.lists(st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2"]), st.sampled_from("alws"))))
def test_what_is_counted_is_what_is_open(steps: list[tuple[str, str]]) -> None:
    desk = Desk()
    for host, step in steps:
        if step == "a":
            desk.arrive(host)
        elif step == "l" and desk.of(host):
            desk.leave(next(each for each in desk.open if each.peer.host == host))
        elif step == "w":
            desk.work()
        else:
            desk.clock.advance(IDLE_S)
        assert desk.of(host) <= LIMIT + SURPLUS
    for connection in list(desk.open):
        desk.leave(connection)
    for host in ("192.0.2.1", "192.0.2.2"):
        assert [desk.arrive(host) for _ in range(LIMIT + 1)] == [Verdict.SERVE] * LIMIT + [Verdict.REFUSE]
