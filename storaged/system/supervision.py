"""Tells systemd how the daemon is (sd_notify(3)): that it serves, that it lives, that it stops or is replaced."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from storaged.system.os_errors import os_reason
from storaged.system.parallel import settled
from storaged.system.periodic import Periodic


class Supervision:
    """The service manager that has started this process; there may be none.

    :param environment: the process's; NOTIFY_SOCKET names the manager's socket, and WATCHDOG_USEC says how often it
        wants to hear that the event loop runs.
    :param clock: schedules calls.
    """

    _log = Logger()

    def __init__(self, environment: Mapping[str, str], clock: Any) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog: Periodic | None = None
        every_us = environment.get("WATCHDOG_USEC", "")
        meant = environment.get("WATCHDOG_PID", "")
        if self._address and every_us.isdecimal() and int(every_us) and meant in {"", str(os.getpid())}:
            # Half of the time, as systemd advises: one message may come late.
            self._watchdog = Periodic(self._alive, int(every_us) / 2e6, clock, "telling the service manager")

    def ready(self) -> None:
        """Tell that the daemon serves, and from now on that it lives."""
        self._tell("READY=1")
        if self._watchdog is not None:
            self._watchdog.start()

    def upgrading(self) -> None:
        """Tell that the daemon is replaced by its successor, which tells when it serves."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, *, quiet: bool = False) -> Deferred[None]:
        """Tell that the daemon stops, which may take as long as its settings allow.

        :param quiet: whether to tell nothing, because a successor goes on.
        :return: a Deferred that fires when no more messages are sent.
        """
        if not quiet:
            self._tell("STOPPING=1")
        return settled([]) if self._watchdog is None else self._watchdog.stop()

    def _alive(self) -> None:
        self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(message.encode(), address)
        except OSError as problem:  # the manager then acts as if it had heard nothing
            self._log.warn(
                "cannot tell the service manager {message}: {reason}", message=message, reason=os_reason(problem)
            )
