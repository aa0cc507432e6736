"""A shared limit of memory."""

from __future__ import annotations


class Budget:
    """Limits the bytes that are held at the same time.

    The holder of a share must release all of it when the memory is freed.

    :param limit: the bytes of all shares together.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Acquire a share of `size` bytes.

        :return: whether there was room for it; if not, nothing is acquired.
        """
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Release a share of `size` bytes that `take` has acquired."""
        self._left += size
