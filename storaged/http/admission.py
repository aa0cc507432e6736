"""How many connections a site takes at once.  The others wait in the kernel's queue of the listening port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from storaged.http.idle import IdleConnections

IDLE_S = 1.0
"""How long a connection has no request under way before it has to make room for another.  A client that asks for one
thing after the other is not idle for so long.
"""

_LOOK_S = 0.2
"""How often connections are looked for that can make room."""

_AT_ONCE = 16
"""Connections that make room in one look."""

_QUIET_S = 60.0
"""Between two lines in the log."""


class Admission:
    """Accepts connections at a port as long as there is room for them.

    Where there is none, connections without a request under way make room, those that have waited longest first; one
    whose request is under way is never cut.  Until there is room nothing is accepted.

    :param limit: how many connections there may be at once; None for no limit.
    :param count: tells how many there are.
    :param clock: calls later.
    """

    _log = Logger()

    def __init__(self, limit: int | None, count: Callable[[], int], idle: IdleConnections, clock: IReactorTime) -> None:
        self.limit = limit
        self._count = count
        self._idle = idle
        self._clock = clock
        self._port: Any = None
        self._look: IDelayedCall | None = None
        self._told_at: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether connections wait, for there is no room for them."""
        return self._look is not None and self._room() <= 0

    def _room(self) -> int:
        assert self.limit is not None
        return self.limit - self._count()

    def guard(self, port: Any) -> None:
        """Accept only what there is room for, from now on.

        :param port: a listening port, as of `twisted.internet.tcp`.
        """
        if self.limit is not None:
            self._port = port
            # The reactor calls it by this name (interfaces.IReadDescriptor).
            port.doRead = self._accept

    def _accept(self) -> None:
        room = self._room()
        if room <= 0:
            self._tell()
            self._pause()
            self._idle.evict(_AT_ONCE, IDLE_S)
            return
        port, before = self._port, self._count()
        # How many it accepts before others have their turn (tcp.Port.doRead).
        port.numberAccepts = min(port.numberAccepts, room)
        type(port).doRead(port)
        if self._count() == before:
            # Nothing was there any more; or the kernel lacks something, and would call again at once for ever.
            self._pause()

    def _pause(self) -> None:
        self._port.stopReading()
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
        """Take note that a connection has ended."""
        if self._look is not None and self._room() > 0:
            self.stop()
            self._go_on()

    def _go_on(self) -> None:
        if self._port.connected and not self._port.disconnecting:
            self._port.startReading()

    def stop(self) -> None:
        """Look for no room any more."""
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
