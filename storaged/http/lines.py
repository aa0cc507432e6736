"""A buffer of the bytes that a connection received, from which lines are taken.  Pure."""

from __future__ import annotations


class LineBuffer:
    """Keeps received bytes until they are taken.  Each byte is searched once and copied a few times, whatever the size
    and number of the lines, and of the pieces in which they arrive.

    :ivar has_bare_feed: whether the bytes since the last line contain a LF without a CR.
    """

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._start = 0  # of the bytes that are not taken
        self._searched = 0  # no line ends before this
        self.has_bare_feed = False

    def __len__(self) -> int:
        """The number of bytes in the buffer."""
        return len(self._data) - self._start

    def add(self, data: bytes) -> None:
        """Add the next bytes."""
        if self._start == len(self._data):
            self._data, self._start, self._searched = data, 0, 0
            return
        if not isinstance(self._data, bytearray) or self._start:
            self._data = bytearray(memoryview(self._data)[self._start :])
            self._searched -= self._start
            self._start = 0
        self._data += data

    def take_line(self) -> bytes | None:
        """Take the next line, without the CR and LF at its end; None if there is no whole line."""
        data = self._data
        end = data.find(b"\r\n", self._searched)
        if end < 0:
            self.has_bare_feed = data.find(b"\n", self._searched) >= 0
            self._searched = max(self._start, len(data) - 1)
            return None
        line = data[self._start : end]
        if end + 2 == len(data):
            self._data, self._start, self._searched = b"", 0, 0  # an idle connection keeps nothing
        else:
            self._start = self._searched = end + 2
        return line if isinstance(line, bytes) else bytes(line)

    def take_all(self) -> bytes:
        """Take all bytes in the buffer."""
        data, start = self._data, self._start
        self._data, self._start, self._searched, self.has_bare_feed = b"", 0, 0, False
        return data if not start and isinstance(data, bytes) else bytes(memoryview(data)[start:])
