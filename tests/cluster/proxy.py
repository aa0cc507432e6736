"""A network with faults, between a client and a server."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

LATENCY_S = 0.02
_NARROW = 20_000
"""Bytes that a narrow line passes in `LATENCY_S`: one MB per second."""

_DRIPS = 500
"""Bytes that come one by one, each in its own packet; those after them come unchanged."""

SLOW = ("latency", "one byte at a time", "narrow")
BREAKING = ("cut", "reset", "silence")


@attrs.frozen
class Fault:
    """A fault of the network.

    :param kind: one of `SLOW` or `BREAKING`.
    :param to_server: whether it affects the direction to the server, or the other one.
    :param after: how many bytes pass before it begins.
    """

    kind: str
    to_server: bool
    after: int


class _End(Protocol):
    """One end of a connection; what it receives is passed on to the other end."""

    transport: Any

    def __init__(self, proxy: FaultyNetwork, *, from_client: bool) -> None:
        self._proxy = proxy
        self._from_client = from_client
        self.other: _End | None = None
        self._early: list[bytes] = []
        self._waiting: deque[bytes] = deque()
        self._drips = _DRIPS
        self._timer: Any = None
        self._lost: Failure | None = None

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._proxy.ends.add(self)

    def join(self, other: _End) -> None:
        self.other = other
        early, self._early = self._early, []
        for data in early:
            self.dataReceived(data)
        if self._lost is not None:
            self._end_other()

    def dataReceived(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
            return
        fault = self._proxy.fault
        if fault is None or fault.to_server is not self._from_client:
            self._send(data)
            return
        passing = max(0, fault.after - self._proxy.passed)
        self._proxy.passed += len(data)
        if data[:passing]:
            self._send(data[:passing])
        if len(data) > passing or self._proxy.passed >= fault.after:
            self._meet(fault.kind, data[passing:])

    def _meet(self, kind: str, data: bytes) -> None:
        self._proxy.met = True
        if kind == "reset":
            self._proxy.reset()
        elif kind == "cut":
            self._proxy.cut()
        elif kind == "latency":
            self._later(data)
        elif kind == "narrow":
            for start in range(0, len(data), _NARROW):
                self._later(data[start : start + _NARROW])
        elif kind == "one byte at a time":
            drips, self._drips = data[: self._drips], max(0, self._drips - len(data))
            for position in range(len(drips)):
                self._later(drips[position : position + 1])
            self._later(data[len(drips) :])

    def _send(self, data: bytes) -> None:
        if self._waiting:
            self._later(data)
        elif self.other is not None:
            self.other.transport.write(data)

    def _later(self, data: bytes) -> None:
        if data:
            self._waiting.append(data)
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None and self._waiting:
            pause_s = 0 if len(self._waiting[0]) == 1 else LATENCY_S
            self._timer = self._proxy.reactor.callLater(pause_s, self._let_one_go)
            self.transport.pauseProducing()

    def _let_one_go(self) -> None:
        self._timer = None
        if self.other is not None:
            self.other.transport.write(self._waiting.popleft())
        self._set_timer()
        if not self._waiting:
            self.transport.resumeProducing()
            if self._lost is not None:
                self._end_other()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._proxy.ends.discard(self)
        self._lost = reason or Failure(ConnectionError())
        if not self._waiting:
            self._end_other()

    def _end_other(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.loseConnection()

    def forget(self) -> None:
        """Pass nothing more on."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class FaultyNetwork(Factory):
    """Listens in place of a server, and passes everything on to it.

    :param target: the server's port.
    :ivar met: whether the fault has taken effect.
    """

    noisy = False

    def __init__(self, target: int, reactor: Any) -> None:
        self.reactor = reactor
        self.ends: set[_End] = set()
        self.fault: Fault | None = None
        self.passed = 0
        self.met = False
        self._target = target
        self._port: IListeningPort = reactor.listenTCP(0, self, interface="127.0.0.1")

    @property
    def port(self) -> int:
        return int(self._port.getHost().port)

    def begin(self, fault: Fault) -> None:
        """Begin a fault."""
        self.fault, self.passed, self.met = fault, 0, False

    def mend(self) -> None:
        """End the fault, and cut all connections."""
        self.fault = None
        self.reset()

    def buildProtocol(self, _: Any) -> Protocol:
        end = _End(self, from_client=True)
        Deferred.fromCoroutine(self._connect(end))
        return end

    async def _connect(self, end: _End) -> None:
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self._target)
        try:
            other = await connectProtocol(endpoint, _End(self, from_client=False))
        except Exception:
            end.transport.abortConnection()
            return
        other.join(end)
        end.join(other)

    def reset(self) -> None:
        for end in list(self.ends):
            end.forget()
            end.transport.abortConnection()

    def cut(self) -> None:
        for end in list(self.ends):
            end.forget()
            end.transport.loseConnection()

    async def refuse(self) -> None:
        """Accept no more connections; existing ones stay."""
        await self._port.stopListening()

    async def stop(self) -> None:
        self.reset()
        await self.refuse()
