"""Memory that many share."""

from __future__ import annotations


class Budget:
    """Bytes that may be held at the same time.

    :param limit: how many.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Hold some more, where there is room for them."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Hold them no more."""
        self._left += size
