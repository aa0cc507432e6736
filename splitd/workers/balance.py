"""Spreads connections over the workers: one that has more than another leaves new ones to it, for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from splitd.workers.counters import Counters

_LOOK_S = 0.002
"""How often one that has left a new connection to the others looks whether they have taken some."""

_LOOKS = 8
"""How often it looks at most: one that serves others, or waits for a core, takes the connection in that time."""


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
        patience = _LOOKS

        def take() -> int:
            before, port.numberAccepts = self._count(), 1
            accept()
            self._counts[self._number] = after = self._count()
            return after - before

        def again(looks: int) -> None:
            nonlocal patience
            if not port.connected or port.disconnecting:
                return
            if looks and self._others_have_fewer():
                self._reactor.callLater(_LOOK_S, again, looks - 1)
                return
            port.startReading()
            # One that nobody else has taken shows that they are busy, or hang: the next ones wait less.
            patience = 1 if take() else _LOOKS

        def in_turn() -> None:
            if self._others_have_fewer():
                port.stopReading()
                self._reactor.callLater(_LOOK_S, again, patience - 1)
            else:
                take()

        port.doRead = in_turn

    def _others_have_fewer(self) -> bool:
        mine = self._counts[self._number] = self._count()
        return mine > min(self._counts[: self._workers])

    def leave(self) -> None:
        """Leave all new connections to the others."""
        self._counts[self._number] = (1 << 64) - 1
