"""The lines of the journal that were appended last, encoded for the holders, in memory."""

from __future__ import annotations

from collections import deque

import attrs

from storaged.parts.client.journal import encode_append
from storaged.parts.journals import Append

_KEPT = 4 * 1024 * 1024
"""The most bytes of lines that are kept once they are in the journal's files."""

_OPEN = 256 * 1024
"""The bytes of lines for which nobody waits, at which they are sent."""


@attrs.frozen
class Entry:
    """Lines that were appended together.

    :param next: the number after that of the last one.
    :param message: the message that carries them.
    """

    first: int
    next: int
    size: int
    message: list[bytes]


class Recent:
    """The newest entries; those that are not in the journal's files yet are always among them."""

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._open_size = 0
        self._entries: deque[Entry] = deque()
        self._by_first: dict[int, Entry] = {}
        self._size = 0

    def collect(self, lines: list[bytes]) -> bool:
        """Add lines that follow the last ones to the entry that `seal` makes.

        :return: whether they are so many that it should be made now.
        """
        self._open += lines
        self._open_size += sum(map(len, lines))
        return self._open_size >= _OPEN

    def seal(self, epoch: int, first: int) -> Entry | None:
        """Make an entry of the collected lines; None if there are none.

        :param first: the number of the first of them.
        """
        lines, self._open, self._open_size = self._open, [], 0
        if not lines:
            return None
        joined = lines[0] if len(lines) == 1 else b"".join(lines)
        message = encode_append(Append(first, epoch, first, len(lines), joined))
        entry = Entry(first, first + len(lines), len(joined), message)
        self._entries.append(entry)
        self._by_first[first] = entry
        self._size += entry.size
        return entry

    def drop(self, written: int) -> None:
        """Drop the oldest entries, if they are too many.

        :param written: all records before this number are in the journal's files.
        """
        while self._size > _KEPT and self._entries and self._entries[0].next <= written:
            entry = self._entries.popleft()
            del self._by_first[entry.first]
            self._size -= entry.size

    def find(self, first: int) -> Entry | None:
        """Return the entry that begins with a record; None if none does."""
        return self._by_first.get(first)
