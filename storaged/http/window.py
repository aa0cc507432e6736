"""A number of bytes in memory that many transfers share."""

from __future__ import annotations

from collections.abc import Callable

_LEAST = 32 * 1024


class SharedWindow:
    """Shares a number of bytes among all transfers under way: a few get much each, many get little.

    :param total: bytes that all transfers together may hold, as long as none of them gets less than 32 KiB.
    :param most: bytes that one may hold, however few there are.
    :param changed: called with the new size when it has changed; sizes are `most`, or halves of it.
    """

    def __init__(self, total: int, most: int, changed: Callable[[int], None]) -> None:
        self._total = total
        self._most = most
        self._changed = changed
        self._users = 0
        self.size = most
        """The bytes that each may hold now."""

    def enter(self) -> None:
        """Count one more transfer."""
        self._share(1)

    def leave(self) -> None:
        """Count one transfer less."""
        self._share(-1)

    def _share(self, change: int) -> None:
        self._users += change
        size = self._most
        while size > _LEAST and size * self._users > self._total:
            size //= 2
        if size != self.size:
            self.size = size
            self._changed(size)
