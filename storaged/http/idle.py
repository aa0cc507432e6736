"""The connections without a request in progress: limits them for each address, and closes the oldest first."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from storaged.http.names import network_of

_HEAD_BYTES = 32 * 1024 * 1024


class IdleConnection(Protocol):
    """A connection that waits for a request, or for the rest of a request's head."""

    address: str | None
    """What stands for the client; see `address_of`."""

    def evict(self) -> None:
        """End the connection."""


class IdleConnections:
    """The connections without a request in progress, by their addresses, and the incomplete heads that they hold.

    If an address has too many, the one that has waited longest is evicted.  An honest client opens a new connection
    when it needs one, and new connections are always accepted.

    :param limit: how many idle connections an address may keep; 0 for no limit.  Connections without an address, as
        those of a Unix socket, have no limit.
    :param clock: measures how long connections wait.
    :param head_bytes: the bytes of incomplete heads that all connections together may hold; if they are more, the
        connection that has held some for longest is evicted.
    """

    def __init__(self, limit: int, clock: IReactorTime, head_bytes: int = _HEAD_BYTES) -> None:
        self._limit = limit
        self._clock = clock
        self._since: dict[IdleConnection, float] = {}
        self._by_address: dict[str, dict[IdleConnection, None]] = {}
        self._head_bytes = head_bytes
        self._heads: dict[IdleConnection, int] = {}
        self._held = 0

    def add(self, connection: IdleConnection) -> None:
        """Note that a connection waits for its next request."""
        self._since[connection] = self._clock.seconds()
        address = connection.address
        if address is None:
            return
        idle = self._by_address.setdefault(address, {})
        idle[connection] = None
        if len(idle) > self._limit > 0:
            oldest = next(iter(idle))
            self.discard(oldest)
            oldest.evict()

    def discard(self, connection: IdleConnection) -> None:
        """Note that a connection has a request in progress, or has ended."""
        self._since.pop(connection, None)
        self._held -= self._heads.pop(connection, 0)
        address = connection.address
        idle = None if address is None else self._by_address.get(address)
        if address is not None and idle is not None:
            idle.pop(connection, None)
            if not idle:
                del self._by_address[address]

    def hold(self, connection: IdleConnection, size: int) -> None:
        """Note how much of an incomplete head a connection holds.

        :param size: the bytes in memory; 0 if it holds none any more.
        """
        if not size:
            self._held -= self._heads.pop(connection, 0)
            return
        self._held += size - self._heads.get(connection, 0)
        self._heads[connection] = size
        while self._held > self._head_bytes:
            oldest = next(iter(self._heads))
            self.discard(oldest)
            oldest.evict()

    def evict_of(self, address: str, idle_s: float) -> bool:
        """End the connection of an address that has waited longest, if that is at least `idle_s` seconds.

        :param address: as of `address_of`.
        :return: whether a connection was ended.
        """
        oldest = next(iter(self._by_address.get(address, ())), None)
        if oldest is None or self._since[oldest] > self._clock.seconds() - idle_s:
            return False
        self.discard(oldest)
        oldest.evict()
        return True

    def evict(self, count: int, idle_s: float) -> int:
        """End connections that have waited for at least `idle_s` seconds, beginning with the longest wait.

        :param count: how many to end at most.
        :return: the number of ended connections.
        """
        latest = self._clock.seconds() - idle_s
        waiting = takewhile(lambda connection: self._since[connection] <= latest, self._since)
        oldest = list(islice(waiting, count))
        for connection in oldest:
            self.discard(connection)
            connection.evict()
        return len(oldest)


def address_of(peer: Any) -> str | None:
    """Return what stands for the client at the other side of a connection (`IAddress`); see `network_of`.

    :return: None if it has no address, as with a Unix socket.
    """
    host = getattr(peer, "host", None)
    return None if host is None else network_of(host)
