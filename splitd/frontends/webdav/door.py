"""What the front door's methods work with."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from splitd.interfaces.names import ILocks, INamespace
from splitd.interfaces.store import IObjectStore


@attrs.frozen
class Quota:
    """How full the store is (RFC 4331), in bytes of files.

    :param used: what all files have.
    :param available: what still fits, about.
    """

    used: int
    available: int


@attrs.frozen
class Door:
    """What a method needs of the rest of the front.

    :param store: the files.
    :param namespace: moves, copies and properties.
    :param locks: who may change what.
    :param quota: how full the store is now.
    :param clock: tells the time since 1970, and calls later.
    """

    store: IObjectStore
    namespace: INamespace
    locks: ILocks
    quota: Callable[[], Quota]
    clock: IReactorTime

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.clock.seconds() * 1000)
