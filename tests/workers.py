"""What the tests of workers are written with: a catalog that is reached by a socket, within one process."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol

from splitd.workers.answering import Answering
from splitd.workers.calls import Calls, CallsProtocol
from splitd.workers.catalog import (
    SocketBin,
    SocketCatalog,
    SocketContinuedUploads,
    SocketDocuments,
    SocketKeys,
    SocketLocks,
    SocketQuotas,
)
from splitd.workers.counters import SIZE, Counters, make_shared
from splitd.workers.ledger import OwnedLedger, SocketLedger
from splitd.workers.look_ups import LookUps
from splitd.workers.methods import PING
from splitd.workers.report import Family, Report


def shared_counters() -> Counters:
    """Counters in memory of their own."""
    descriptor = make_shared("tests", SIZE)
    try:
        return Counters(descriptor)
    finally:
        os.close(descriptor)


def report_of(count: float) -> Report:
    """What a worker reports that has counted so many of everything."""
    counter = CounterMetricFamily("splitd_x", "Things.", labels=["method"])
    counter.add_metric(["GET"], count)
    gauge = GaugeMetricFamily("splitd_y", "Things now.", value=count)
    number = int(count)
    traffic = {"bytes_in": number, "uploads_under_way": number}
    return Report(
        traffic, (number, number), (number, number, number), (number, number), False, number, {"a": number}, number,
        number, number, (number, number, {"n1": "slow"}), [Family.of(counter), Family.of(gauge)],
    )  # fmt: skip


class _Session:
    def ping(self) -> Deferred[None]:
        return succeed(None)


def serving(catalog: Any, **more: object) -> dict[str, Any]:
    """What the catalog's process serves to a worker.

    :param catalog: has the seams as attributes.
    """
    names = "catalog", "namespace", "locks", "keys", "continued", "versions", "documents", "bin"
    seams = {name: getattr(catalog, name) for name in names}
    return {**seams, "ledger": OwnedLedger(catalog.ledger), "session": _Session(), **more}


class SocketWorker:
    """A worker, as far as it calls the catalog.

    :param seams: what it is served.
    :param counters: shared with the catalog.
    """

    def __init__(self, seams: Mapping[str, Any], counters: Counters) -> None:
        from twisted.internet import reactor

        self.lost: Deferred[None] = Deferred()
        self.calls = Calls(reactor)
        self.counters = counters
        self.look_ups = LookUps(self.calls, counters)
        self.served = seams
        self._answering = Answering(seams, reactor, lambda: self.lost.callback(None))
        here, there = socket.socketpair()
        with here, there:
            for end, protocol in ((here, CallsProtocol(self.calls)), (there, self._answering)):
                end.setblocking(False)
                reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, _Once(protocol))

    def seams(self) -> dict[str, Any]:
        calls = self.calls
        catalog = SocketCatalog(calls, self.look_ups)
        return {
            "catalog": catalog,
            "statistics": catalog,
            "namespace": catalog,
            "versions": catalog,
            "locks": SocketLocks(calls),
            "keys": SocketKeys(calls, self.look_ups),
            "continued": SocketContinuedUploads(calls),
            "documents": SocketDocuments(calls, self.counters),
            "bin": SocketBin(calls),
            "ledger": SocketLedger(calls),
        }

    def quotas(self) -> SocketQuotas:
        return SocketQuotas(self.calls)

    def ping(self) -> Deferred[None]:
        """Wait until all that was called before has arrived."""
        return self.calls.call(PING)

    def die(self) -> None:
        """End the connection at once, as a worker that is killed does."""
        self.calls.abort()

    async def close(self) -> None:
        self.calls.stop()
        await self.lost


class _Once(Factory):
    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, _: object) -> Protocol:
        return self._protocol
