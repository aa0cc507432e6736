"""The records of a ZIP archive whose members are stored without compression, so that its length is known before it is
made (APPNOTE.TXT 6.3.10).  Pure.

A member is its local header, its bytes, and a data descriptor, because its CRC-32 is known only then.  A member gets
the fields of ZIP64 where its size or its place need them, and the end of the archive where the archive does.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import attrs

_FOUR, _TWO = 0xFFFFFFFF, 0xFFFF
_FLAGS = 1 << 3 | 1 << 11  # a data descriptor follows; the name is UTF-8
_UNIX, _FILE, _FOLDER = 3 << 8, 0o100644 << 16, 0o40755 << 16 | 0x10
_PLAIN, _ZIP64 = 20, 45
_FIRST, _LAST = 315_532_800, 4_354_819_198
"""What a time of MS-DOS can say: from 1980 to 2107, in seconds since 1970."""

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_TIME = struct.Struct("<2HBi")


@attrs.frozen
class Entry:
    """A member of an archive.

    :param name: its path in the archive, in UTF-8; with a slash at its end for a folder.
    :param size: its bytes.
    :param modified_ms: when it was modified, milliseconds since 1970.
    """

    name: bytes
    size: int
    modified_ms: int

    @property
    def is_large(self) -> bool:
        """Whether its size needs the fields of ZIP64."""
        return self.size >= _FOUR


def local_header(entry: Entry) -> bytes:
    """Return what comes before the bytes of a member."""
    more = struct.pack("<2H2Q", 1, 16, entry.size, entry.size) if entry.is_large else b""
    more += _modified(entry)
    size = _FOUR if entry.is_large else entry.size
    needed = _ZIP64 if entry.is_large else _PLAIN
    head = _LOCAL.pack(b"PK\3\4", needed, _FLAGS, 0, *_dos(entry), 0, size, size, len(entry.name), len(more))
    return head + entry.name + more


def descriptor(entry: Entry, crc: int) -> bytes:
    """Return what comes after the bytes of a member."""
    return struct.pack("<4sI2Q" if entry.is_large else "<4s3I", b"PK\7\x08", crc, entry.size, entry.size)


def central_header(entry: Entry, crc: int, offset: int) -> bytes:
    """Return the entry of a member in the directory at the end.

    :param offset: where its local header begins.
    """
    large = [entry.size, entry.size] if entry.is_large else []
    large += [offset] if offset >= _FOUR else []
    more = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    more += _modified(entry)
    needed = _ZIP64 if large else _PLAIN
    size = _FOUR if entry.is_large else entry.size
    attributes = _FOLDER if entry.name.endswith(b"/") else _FILE
    head = _CENTRAL.pack(
        b"PK\1\2",
        _UNIX | needed,
        needed,
        _FLAGS,
        0,
        *_dos(entry),
        crc,
        size,
        size,
        len(entry.name),
        len(more),
        0,
        0,
        0,
        attributes,
        min(offset, _FOUR),
    )
    return head + entry.name + more


def end_of_archive(count: int, start: int, size: int) -> bytes:
    """Return what comes after the directory.

    :param count: how many members there are.
    :param start: where the directory begins.
    :param size: its bytes.
    """
    end = _END.pack(b"PK\5\6", 0, 0, min(count, _TWO), min(count, _TWO), min(size, _FOUR), min(start, _FOUR), 0)
    if count < _TWO and start < _FOUR and size < _FOUR:
        return end
    end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, start)
    return end64 + _LOCATOR.pack(b"PK\6\7", 0, start + size, 1) + end


class Length:
    """The bytes of an archive whose members are known one by one.

    :ivar members: how many there are.
    """

    def __init__(self) -> None:
        self.members = 0
        self._offset = 0
        self._directory = 0

    def add(self, entry: Entry) -> None:
        """Count a member more."""
        name, large = len(entry.name), entry.is_large
        self.members += 1
        fields = 8 * (2 * large + (self._offset >= _FOUR))
        self._directory += _CENTRAL.size + name + _TIME.size + (4 + fields if fields else 0)
        self._offset += _LOCAL.size + name + _TIME.size + 20 * large + entry.size + (24 if large else 16)

    def total(self) -> int:
        """Return the bytes of the archive."""
        return self._offset + self._directory + len(end_of_archive(self.members, self._offset, self._directory))


def _dos(entry: Entry) -> tuple[int, int]:
    seconds = min(max(entry.modified_ms // 1000, _FIRST), _LAST)
    at = datetime.fromtimestamp(seconds, UTC)
    return at.hour << 11 | at.minute << 5 | at.second // 2, (at.year - 1980) << 9 | at.month << 5 | at.day


def _modified(entry: Entry) -> bytes:
    """Return the extra field with the time in seconds, as Unix has it."""
    return _TIME.pack(0x5455, 5, 1, min(max(entry.modified_ms // 1000, -(2**31)), 2**31 - 1))
