"""What a client sends before it got its answer."""

from __future__ import annotations

_MOST_AHEAD = 16 * 1024
"""Bytes of memory for what a client sends ahead, until reading from it is paused."""

_PIECE_COST = 64
"""Bytes that a piece takes in memory in addition to its own, approximately."""


class Ahead:
    """The bytes of the next requests, in the order in which they came."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def is_much(self) -> bool:
        """Whether no more should be read."""
        return self._size > _MOST_AHEAD

    def add(self, data: bytes) -> None:
        """Keep the next bytes."""
        self._pieces.append(data)
        self._size += len(data) + _PIECE_COST

    def take(self) -> bytes:
        """Return all bytes, and keep none."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        return b"".join(pieces)
