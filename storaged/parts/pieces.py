"""A queue of bytes that is filled and emptied in pieces of different sizes.  Pure."""

from __future__ import annotations

from collections import deque

from storaged.system.buffers import Piece


class Pieces:
    """Bytes that are added in pieces, and taken in other pieces, or in views of them."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._taken = 0  # of the first piece: to cut off its rest each time takes quadratic time with small units
        self.available = 0

    def add(self, piece: Piece) -> None:
        """Append a piece."""
        if piece:
            self._pieces.append(piece)
            self.available += len(piece)

    def take_some(self, most: int) -> Piece:
        """Take the next bytes of the first piece, at least one, at most `most`, without copying them."""
        piece = self._pieces[0]
        stop = self._taken + most
        if stop < len(piece):
            piece = memoryview(piece)[self._taken : stop]
            self._taken = stop
        else:
            self._pieces.popleft()
            if self._taken:
                piece = memoryview(piece)[self._taken :]
                self._taken = 0
        self.available -= len(piece)
        return piece

    def trim(self) -> None:
        """Copy the rest of the first piece if most of it was taken, so that the piece itself can be freed."""
        if self._taken and 2 * self._taken > len(self._pieces[0]):
            self._pieces[0] = bytes(memoryview(self._pieces[0])[self._taken :])
            self._taken = 0

    def take(self, count: int) -> bytes:
        """Take the next `count` bytes, joined."""
        out: list[Piece] = []
        while count:
            out.append(self.take_some(count))
            count -= len(out[-1])
        return b"".join(out)
