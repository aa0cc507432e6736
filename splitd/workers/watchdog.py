"""Notices that a process hangs, as a service manager does (sd_notify(3)): for the processes that the head starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import DatagramProtocol


def patience_of(environment: Mapping[str, str]) -> float:
    """Return how many seconds the service manager lets this process be silent; 0 if it does not watch it."""
    every_us, meant = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    return int(every_us) / 1e6 if every_us.isdecimal() and meant in {"", str(os.getpid())} else 0.0


class Notices(DatagramProtocol):
    """What one process tells.

    :param told: called with each message.
    """

    def __init__(self, told: Callable[[bytes], object]) -> None:
        self._told = told

    def datagramReceived(self, datagram: bytes, _: object) -> None:
        """Take a message."""
        self._told(datagram)


class Watchdog:
    """Watches one process after the other: from the moment that it serves until it stops or ends.

    :param patience_s: for how many seconds it may tell nothing; 0 for ever.
    :param silent: called once when a process has told nothing for so long.
    """

    def __init__(self, patience_s: float, silent: Callable[[], object], clock: IReactorTime) -> None:
        self._patience_s = patience_s
        self._silent = silent
        self._clock = clock
        self._due: IDelayedCall | None = None

    def heard(self, message: bytes) -> None:
        """Take note of what the process tells."""
        if b"STOPPING=1" in message:
            self.end()
        elif self._patience_s and (self._due is not None or b"READY=1" in message):
            self.end()
            self._due = self._clock.callLater(self._patience_s, self._expired)

    def end(self) -> None:
        """Watch no more until another process serves."""
        due, self._due = self._due, None
        if due is not None:
            due.cancel()

    def _expired(self) -> None:
        self._due = None
        self._silent()
