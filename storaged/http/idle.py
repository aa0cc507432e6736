"""A bound on the connections that one address keeps without a request under way."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Protocol


class IdleConnection(Protocol):
    """A connection that waits for a request, or for the rest of a request's head."""

    transport: Any

    def evict(self) -> None:
        """End the connection."""


class IdleConnections:
    """The connections without a request under way, by their addresses.

    When an address has too many, the one that has waited longest is evicted: an honest client opens another when it
    needs one, and new connections are always taken.

    :param limit: how many connections an address may keep idle; 0 for no limit.  Connections without an address, as
        those of a Unix socket, have no limit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_address: dict[str, dict[IdleConnection, None]] = {}

    def add(self, connection: IdleConnection) -> None:
        """Note that a connection waits for its next request."""
        address = _address(connection)
        if not self._limit or address is None:
            return
        idle = self._by_address.setdefault(address, {})
        idle[connection] = None
        if len(idle) > self._limit:
            oldest = next(iter(idle))
            self._discard(address, oldest)
            oldest.evict()

    def discard(self, connection: IdleConnection) -> None:
        """Note that a connection has a request under way, or has ended."""
        address = _address(connection)
        if address is not None:
            self._discard(address, connection)

    def _discard(self, address: str, connection: IdleConnection) -> None:
        idle = self._by_address.get(address)
        if idle is not None:
            idle.pop(connection, None)
            if not idle:
                del self._by_address[address]


def _address(connection: IdleConnection) -> str | None:
    """The address of the other side.  IPv6: its network of 64 bits, for one client has all addresses of that."""
    host = getattr(connection.transport.getPeer(), "host", None)
    if host is None or ":" not in host:
        return host
    try:
        return str(ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return str(host)
