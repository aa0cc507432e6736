"""Files that grow by small appends, each of which is synced."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from storaged.system.interfaces import IFile

AHEAD = 256 * 1024
"""How many zeros are written at a time."""


class AllocatedFile:
    """Appends to a file in whose room there are zeros already, so that a sync writes only the appended bytes.

    A sync of a file that grows must also write its size and where its blocks lie, which waits for the journal of the
    file system, and so for whatever else is in that.  Zeros are written along with an append that has no room left.
    Until `finish`, the file may end with them; after a crash it may end with any part of them.

    After an `OSError` it must not be used again, except to close it.

    :param file: the file, open for "create" or "update".
    :param size: the bytes in it, but for zeros at its end; appends follow these.
    :param ahead: how many zeros are written at a time; 0 for none.
    :param small: no zeros are written along with an append of more bytes, which takes its time anyhow: each byte of a
        file that grows by large appends would be written twice.  None for no limit.
    :ivar size: the bytes in it, without the zeros.
    """

    def __init__(self, file: IFile, size: int, ahead: int = AHEAD, small: int | None = None) -> None:
        self._file = file
        self._ahead = ahead
        self._small = small
        self._room = size
        self.size = size

    def append(self, pieces: Sequence[bytes]) -> None:
        """Append all the pieces.

        :raise OSError: the write failed; any part of the pieces may be in the file.
        """
        self._file.write_at(self.size, pieces)
        size = sum(map(len, pieces))
        self.size += size
        if self.size > self._room:
            ahead = self._ahead if self._small is None or size <= self._small else 0
            self._room = self.size + ahead
            if ahead:
                with suppress(OSError):  # on a full disk the file grows with each append, as long as it can
                    self._file.write_at(self.size, [bytes(ahead)])

    def sync(self) -> None:
        """Make the appended bytes durable.

        :raise OSError: the sync failed.
        """
        self._file.sync()

    def finish(self, size: int | None = None) -> None:
        """Cut off the zeros, and make that and all appended bytes durable.

        :param size: how many bytes to keep; None for all that were appended.  With it, it may be called after an
            `OSError`, too, so that nothing of an append that failed is left.
        :raise OSError: this failed; the file may still end with zeros.
        """
        if size is not None:
            self.size = size
        if self._file.size > self.size:
            self._room = self.size
            self._file.truncate(self.size)
        self._file.sync()

    def close(self) -> None:
        """Close the file.  May be called again."""
        self._file.close()
