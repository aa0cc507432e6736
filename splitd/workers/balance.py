"""Spreads connections over the workers: one that has more than another leaves new ones to it, for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from splitd.workers.counters import Counters

_LEFT_S = 0.002
"""For how long a new connection is left to the others; one that is busy, or hangs, does not take it in that time."""


class Balance:
    """How many connections each worker has, in memory that they share.

    :param number: of this worker.
    :param count: returns how many connections it has.
    """

    def __init__(self, counters: Counters, number: int, workers: int, count: Callable[[], int], reactor: Any) -> None:
        self._counts = counters.connections
        self._number = number
        self._workers = workers
        self._count = count
        self._reactor = reactor
        self._counts[number] = 0

    def guard(self, port: Any) -> None:
        """Accept at a port one connection in each turn of the reactor, and none where others have fewer.

        :param port: a listening port, as of `twisted.internet.tcp`.
        """
        accept: Callable[[], object] = port.doRead
        waited = False

        def again() -> None:
            if port.connected and not port.disconnecting:
                port.startReading()

        def in_turn() -> None:
            nonlocal waited
            mine = self._counts[self._number] = self._count()
            if not waited and mine > min(self._counts[: self._workers]):
                waited = True
                port.stopReading()
                self._reactor.callLater(_LEFT_S, again)
                return
            waited = False
            port.numberAccepts = 1
            accept()
            self._counts[self._number] = self._count()

        port.doRead = in_turn

    def leave(self) -> None:
        """Leave all new connections to the others."""
        self._counts[self._number] = (1 << 64) - 1
