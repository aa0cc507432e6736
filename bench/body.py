"""What files are made of: random bytes in memory, and in front of them a mark of each file's own."""

from __future__ import annotations

import hashlib
import os

MIB = 1024 * 1024
GIB = 1024 * MIB
MARK = 64
PERIOD = 61 * MIB  # no multiple of a stripe: a piece in a wrong place is found out


class Body:
    """The contents of any number of files of any size.

    Byte `n` of a file is byte `n` of its mark, which its path gives, and further on byte `n % PERIOD` of a block of
    random bytes: so no two files are alike, and what is read back can be compared without having been kept.

    :ivar fileno: a file in memory that holds the block, for sendfile.
    """

    def __init__(self) -> None:
        self._block = os.urandom(PERIOD)
        self.fileno = os.memfd_create("body")
        os.truncate(self.fileno, PERIOD)
        position = 0
        while position < PERIOD:
            position += os.pwrite(self.fileno, memoryview(self._block)[position:], position)

    @staticmethod
    def mark(path: str) -> bytes:
        """How the file of this path begins."""
        return hashlib.blake2b(path.encode(), digest_size=MARK).digest()

    def piece(self, path: str, start: int, stop: int) -> bytes:
        """The bytes of a file from `start` to `stop`."""
        pieces = [self.mark(path)[start:stop]]
        position = max(start, MARK)
        while position < stop:
            offset = position % PERIOD
            pieces.append(self._block[offset : offset + stop - position])
            position += len(pieces[-1])
        return b"".join(pieces)
