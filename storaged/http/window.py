"""How much of what is read may wait in memory."""

from __future__ import annotations

from collections.abc import Callable

_LEAST = 32 * 1024


class ReadWindow:
    """Shares a number of bytes among all answers that are being read: few get much, many get little.

    :param total: the bytes that all together may keep, about.
    :param most: the bytes that one may keep, however few there are.
    :param changed: called with the new size when it has changed; sizes are `most`, or halves of it.
    """

    def __init__(self, total: int, most: int, changed: Callable[[int], None]) -> None:
        self._total = total
        self._most = most
        self._changed = changed
        self._readers = 0
        self.size = most
        """The bytes that each may keep now."""

    def enter(self) -> None:
        """One more answer is to be read."""
        self._share(1)

    def leave(self) -> None:
        """One answer less is read."""
        self._share(-1)

    def _share(self, change: int) -> None:
        self._readers += change
        size = self._most
        while size > _LEAST and size * self._readers > self._total:
            size //= 2
        if size != self.size:
            self.size = size
            self._changed(size)
