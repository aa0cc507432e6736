"""The contents of test files: a mark that depends on the path, and after it random bytes from memory."""

from __future__ import annotations

import hashlib
import os

MIB = 1024 * 1024
GIB = 1024 * MIB
MARK = 64
PERIOD = 61 * MIB  # not a multiple of a stripe, so a piece in a wrong place is detected


class Body:
    """The contents of any number of files of any size.

    Byte `n` of a file is byte `n` of its mark, which is computed from its path.  After the mark it is byte `n % PERIOD`
    of a block of random bytes.  So no two files are equal, and what is read back can be compared without having been
    kept.

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
        """Return the first bytes of the file of this path."""
        return hashlib.blake2b(path.encode(), digest_size=MARK).digest()

    def piece(self, path: str, start: int, stop: int) -> bytes:
        """Return the bytes of a file from `start` up to, not including, `stop`."""
        pieces = [self.mark(path)[start:stop]]
        position = max(start, MARK)
        while position < stop:
            offset = position % PERIOD
            pieces.append(self._block[offset : offset + stop - position])
            position += len(pieces[-1])
        return b"".join(pieces)
