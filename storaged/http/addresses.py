"""How many connections each client has, by its address."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from storaged.http.admission import IDLE_S
from storaged.http.idle import IdleConnections, address_of
from storaged.http.names import OwnNames

_LEAVING = 16
"""How many connections an address may have beyond its limit, which are only told so, or about to end.  Each of them
takes the time that the client needs to read an answer.
"""

_QUIET_S = 60.0
"""The least seconds between two lines in the log."""


class Verdict(Enum):
    """What becomes of a new connection."""

    SERVE = "serve"
    REFUSE = "say that the client has too many, and close"
    CLOSE = "close at once"


class Unserved(Protocol):
    """A connection that is closed at once."""

    transport: Any

    def connectionMade(self) -> None:
        """Close it."""
        self.transport.abortConnection()


class AddressLimit:
    """Limits the connections that an address has at the same time, with and without a request in progress.

    Beyond the limit, the connection of the address that has been idle longest makes room for the new one.  If none is
    idle, the new one is refused.  The addresses of trusted proxies have no limit: all clients behind them share those.

    :param names: tells which addresses are those of trusted proxies.
    :param idle: the connections that may be closed.
    :param clock: measures time.
    :ivar limit: how many connections an address may have; None for no limit.
    :ivar refused: how many connections were refused or closed at once.
    """

    _log = Logger()

    def __init__(self, limit: int | None, names: OwnNames, idle: IdleConnections, clock: IReactorTime) -> None:
        self.limit = limit
        self.refused = 0
        self._names = names
        self._idle = idle
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._told_at: float | None = None

    def enter(self, peer: Any) -> Verdict:
        """Judge a new connection, and count it unless it is closed at once.

        :param peer: its other side (`IAddress`).
        """
        address = address_of(peer)
        if address is None:
            return Verdict.SERVE
        verdict = self._judge(address, self._counts[address], peer.host)
        if verdict is not Verdict.CLOSE:
            self._counts[address] += 1
        elif not self._counts[address]:
            del self._counts[address]
        return verdict

    def _judge(self, address: str, count: int, host: str) -> Verdict:
        limit = self.limit
        if limit is None or count < limit or self._names.trusts(host):
            return Verdict.SERVE
        if count < limit + _LEAVING and self._idle.evict_of(address, IDLE_S):
            return Verdict.SERVE
        self.refused += 1
        now = self._clock.seconds()
        if self._told_at is None or now - self._told_at >= _QUIET_S:
            self._told_at = now
            self._log.warn(
                "{address} has {count} connections and may have {limit}: further ones are refused",
                address=address,
                count=count,
                limit=limit,
            )
        return Verdict.REFUSE if count < limit + _LEAVING else Verdict.CLOSE

    def leave(self, peer: Any) -> None:
        """Count a connection less, which has ended."""
        address = address_of(peer)
        if address is not None:
            self._counts[address] -= 1
            if self._counts[address] <= 0:
                del self._counts[address]
