"""Limits the connections that a site has at once.  Further ones wait in the kernel's queue of the listening port."""

from __future__ import annotations

import select
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from storaged.http.idle import IdleConnections

IDLE_S = 1.0
"""Seconds without a request after which a connection may be closed to make room for a new one.  A client that sends one
request after the other is not idle for so long.
"""

_LOOK_S = 0.2
"""Seconds between two searches for idle connections to close."""

_AT_ONCE = 16
"""The most connections that one search closes."""

_QUIET_S = 60.0
"""The least seconds between two lines in the log."""


def connection_waits(port: Any) -> bool:
    """Return whether a connection waits at a listening port now."""
    poll = select.poll()
    poll.register(port.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Admission:
    """Accepts connections at a port as long as there is room for them.

    If there is no room, idle connections are closed, those that have waited longest first; a connection with a request
    in progress is never cut.  No connection is accepted until there is room.

    :param limit: how many connections there may be at once; None for no limit.
    :param count: returns the number of open connections.
    :param idle: the connections that may be closed.
    :param clock: schedules calls.
    :param waits: returns whether a connection waits at a port now.
    """

    _log = Logger()

    def __init__(
        self,
        limit: int | None,
        count: Callable[[], int],
        idle: IdleConnections,
        clock: IReactorTime,
        waits: Callable[[Any], bool] = connection_waits,
    ) -> None:
        self.limit = limit
        self._count = count
        self._idle = idle
        self._clock = clock
        self._waits = waits
        self._ports: list[Any] = []
        self._look: IDelayedCall | None = None
        self._told_at: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether new connections have to wait, because there is no room for them."""
        return self._look is not None and self._room() <= 0

    def _room(self) -> int:
        assert self.limit is not None
        return self.limit - self._count()

    def guard(self, port: Any) -> None:
        """Accept only connections for which there is room, from now on.  To be called for each port of the site.

        :param port: a listening port, as of `twisted.internet.tcp`.
        """
        if self.limit is not None:
            self._ports.append(port)
            # The reactor calls it by this name (interfaces.IReadDescriptor).
            port.doRead = partial(self._accept, port)

    def _accept(self, port: Any) -> None:
        room = self._room()
        if room <= 0:
            self._tell()
            self._pause()
            self._idle.evict(_AT_ONCE, IDLE_S)
            return
        before = self._count()
        # The number that the port accepts in one turn of the reactor (tcp.Port.doRead).
        port.numberAccepts = min(port.numberAccepts, room)
        type(port).doRead(port)
        if self._count() == before and self._waits(port):
            # The kernel lacks a resource: the reactor would call this again at once, for ever.  If no connection waits,
            # another process that listens at the same socket has taken it, and the next one may be for this process.
            self._pause()

    def _pause(self) -> None:
        for port in self._ports:
            port.stopReading()
        if self._look is None:
            self._look = self._clock.callLater(_LOOK_S, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        if self._room() > 0:
            self._go_on()
        else:
            self._idle.evict(_AT_ONCE, IDLE_S)
            self._look = self._clock.callLater(_LOOK_S, self._look_again)

    def left(self) -> None:
        """Use the room of a connection that has ended."""
        if self._look is not None and self._room() > 0:
            self.stop()
            self._go_on()

    def _go_on(self) -> None:
        for port in self._ports:
            if port.connected and not port.disconnecting:
                port.startReading()

    def stop(self) -> None:
        """Stop searching for room."""
        look, self._look = self._look, None
        if look is not None and look.active():
            look.cancel()

    def _tell(self) -> None:
        now = self._clock.seconds()
        if self._told_at is None or now - self._told_at >= _QUIET_S:
            self._told_at = now
            self._log.warn(
                "{count} connections, as many as the limit on file descriptors allows: new ones wait",
                count=self._count(),
            )
