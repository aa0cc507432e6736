"""A number of bytes in memory that many transfers share."""

from __future__ import annotations

from collections.abc import Callable

_LEAST = 32 * 1024


class SharedWindow:
    """Shares a number of bytes among all transfers in progress: if there are few, each gets much; if many, little.

    :param total: the bytes that all transfers together may hold, as long as none of them gets less than 32 KiB.
    :param most: the most bytes that one transfer may hold.
    :param changed: called with each new size: `most`, a half of it, a quarter, and so on.
    :param few: so many transfers get `most` each, even if that is more than `total`.
    """

    def __init__(self, total: int, most: int, changed: Callable[[int], None], *, few: int = 1) -> None:
        self._total = total
        self._most = most
        self._few = few
        self._changed = changed
        self._users = 0
        self.size = most
        """The bytes that each transfer may hold now."""

    def enter(self) -> None:
        """Count one more transfer."""
        self._share(1)

    def leave(self) -> None:
        """Count one transfer less."""
        self._share(-1)

    def _share(self, change: int) -> None:
        self._users += change
        size = self._most
        while size > _LEAST and self._users > self._few and size * self._users > self._total:
            size //= 2
        if size != self.size:
            self.size = size
            self._changed(size)
