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
    :ivar size: the bytes in it, without the zeros.
    """

    def __init__(self, file: IFile, size: int, ahead: int = AHEAD) -> None:
        self._file = file
        self._ahead = ahead
        self._room = size
        self.size = size

    def append(self, pieces: Sequence[bytes]) -> None:
        """Append all the pieces.

        :raise OSError: the write failed; any part of the pieces may be in the file.
        """
        self._file.write_at(self.size, pieces)
        self.size += sum(map(len, pieces))
        if self.size > self._room:
            self._room = self.size + self._ahead
            if self._ahead:
                with suppress(OSError):  # on a full disk the file grows with each append, as long as it can
                    self._file.write_at(self.size, [bytes(self._ahead)])

    def sync(self) -> None:
        """Make the appended bytes durable.

        :raise OSError: the sync failed.
        """
        self._file.sync()

    def finish(self) -> None:
        """Cut off the zeros, and make that and all appended bytes durable.

        :raise OSError: this failed; the file may still end with zeros.
        """
        if self._file.size > self.size:
            self._room = self.size
            self._file.truncate(self.size)
        self._file.sync()

    def close(self) -> None:
        """Close the file.  May be called again."""
        self._file.close()
