"""The pack format: how small parts lie one after the other in a file.  Its page is docs/pack-format.md.

Pure.  All numbers are little endian, all checksums CRC32C.

    file header, 16 bytes
        0   8   magic "SPLTPACK"
        8   4   version, 1
        12  4   checksum of bytes 0..12
    entries, each at a multiple of 16
        0   4   magic "ENTR"
        4   2   kind: 1 a part, 2 a removal
        6   2   index: which part of the upload
        8   4   length: bytes of the part after this header; 0 for a removal
        12  16  upload
        28  8   time, milliseconds since 1970
        36  8   pack: the pack that holds the removed part; 0 for a part
        44  4   checksum of bytes 0..44
            n   the part, in the part format, which carries its own checksums
                zeros up to a multiple of 16

Entries are only ever appended.  The last entry of an id is the one that counts.  While a pack is written to, it ends
with zeros, in whose place the next entries come.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import attrs
from google_crc32c import value

from storaged.parts.decoding import check_part
from storaged.parts.errors import BadPart
from storaged.parts.format import SMALL_PART, PartId

VERSION = 1
HEADER_SIZE = 16
ENTRY_SIZE = 48
ALIGNMENT = 16

_FILE = struct.Struct("<8sI")
_ENTRY = struct.Struct("<4sHHI16sQQ")
_CHECKSUM = struct.Struct("<I")
_FILE_MAGIC = b"SPLTPACK"
_ENTRY_MAGIC = b"ENTR"
_PART, _REMOVAL = 1, 2
_PADDING = [bytes(count) for count in range(ALIGNMENT)]
_READ_SIZE = 1024 * 1024


@attrs.frozen
class Entry:
    """One entry of a pack.

    :param part_id: the id of its part, as text.
    :param offset: the offset of the part in the pack, after the entry's header.
    :param length: the number of the part's stored bytes; 0 for a removal.
    :param time_ms: when the entry was written, milliseconds since 1970.
    :param removed_from: for a removal, the pack that holds the removed part; otherwise None.
    """

    part_id: str
    offset: int
    length: int
    time_ms: int
    removed_from: int | None

    @property
    def stop(self) -> int:
        """The offset at which the next entry begins."""
        return self.offset + padded(self.length)


@attrs.frozen
class Gap:
    """Bytes of a pack that form no valid entry: a torn write, or damage."""

    start: int
    stop: int


def padded(length: int) -> int:
    """Return the size of `length` bytes with their padding."""
    return -(-length // ALIGNMENT) * ALIGNMENT


def entry_size(length: int) -> int:
    """Return the size in bytes of an entry that holds a part of `length` stored bytes."""
    return ENTRY_SIZE + padded(length)


def encode_file_header() -> bytes:
    """Encode the file header, the first bytes of a pack."""
    body = _FILE.pack(_FILE_MAGIC, VERSION)
    return body + _CHECKSUM.pack(value(body))


def encode_part_entry(part: PartId, data: bytes, time_ms: int) -> list[bytes]:
    """Encode an entry that holds a part, in pieces."""
    head = _ENTRY.pack(_ENTRY_MAGIC, _PART, part.index, len(data), bytes.fromhex(part.upload), time_ms, 0)
    return [head + _CHECKSUM.pack(value(head)), data, _PADDING[-len(data) % ALIGNMENT]]


def encode_removal(part: PartId, removed_from: int, time_ms: int) -> list[bytes]:
    """Encode an entry that removes a part, in pieces."""
    head = _ENTRY.pack(_ENTRY_MAGIC, _REMOVAL, part.index, 0, bytes.fromhex(part.upload), time_ms, removed_from)
    return [head + _CHECKSUM.pack(value(head))]


def scan(read: Callable[[int, int], bytes], start: int, size: int) -> Iterator[Entry | Gap]:
    """Yield the entries of a pack in order, and a `Gap` for each row of bytes that form no valid entry.

    :param read: called as `read(offset, count)`; returns `count` bytes from `offset`.
    :param start: the offset to begin at; 0 for the beginning.
    :param size: the size of the pack in bytes.
    """
    window = _Window(read, size)
    position = start
    if start == 0:
        position = HEADER_SIZE
        if window.get(0, HEADER_SIZE) != encode_file_header():
            yield Gap(0, min(HEADER_SIZE, size))
    bad: int | None = None
    while position < size:
        entry = _decode(window, position)
        if entry is None:
            bad = position if bad is None else bad
            position = window.find(_ENTRY_MAGIC, position + ALIGNMENT)
            continue
        if bad is not None:
            yield Gap(bad, position)
            bad = None
        yield entry
        position = entry.stop
    if bad is not None:
        yield Gap(bad, size)


def is_room(read: Callable[[int, int], bytes], gap: Gap) -> bool:
    """Return whether the bytes of a gap are all zeros, as behind the last entry of a pack that is written to.

    :param read: as in `scan`.
    """
    places = range(gap.start, gap.stop, _READ_SIZE)
    return not any(read(at, min(_READ_SIZE, gap.stop - at)).strip(b"\0") for at in places)


def _decode(window: _Window, position: int) -> Entry | None:
    head = window.get(position, ENTRY_SIZE)
    if len(head) != ENTRY_SIZE or not head.startswith(_ENTRY_MAGIC):
        return None
    body = head[:-4]
    if _CHECKSUM.unpack(head[-4:])[0] != value(body):
        return None
    _, kind, index, length, upload, time_ms, pack = _ENTRY.unpack(body)
    part = PartId(upload.hex(), index)
    if kind == _REMOVAL and length == 0:
        return Entry(str(part), position + ENTRY_SIZE, 0, time_ms, pack)
    if kind != _PART or length > SMALL_PART:
        return None
    try:
        check_part(part, window.get(position + ENTRY_SIZE, length))
    except BadPart:
        return None
    return Entry(str(part), position + ENTRY_SIZE, length, time_ms, None)


class _Window:
    """A section of a pack in memory, which moves forward."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read = read
        self._size = size
        self._start = 0
        self._data = b""

    def get(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`, fewer only at the pack's end."""
        count = max(0, min(count, self._size - offset))
        at = offset - self._start
        if at < 0 or at + count > len(self._data):
            self._start = offset
            self._data = self._read(offset, max(count, min(_READ_SIZE, self._size - offset)))
            at = 0
        return self._data[at : at + count]

    def find(self, magic: bytes, position: int) -> int:
        """Return the first multiple of 16 from `position` on that has `magic`; the pack's size if there is none."""
        while position < self._size:
            block = self.get(position, min(_READ_SIZE, self._size - position))
            at = block.find(magic)
            if at < 0:
                position += max(ALIGNMENT, len(block) // ALIGNMENT * ALIGNMENT)
            elif at % ALIGNMENT == 0:
                return position + at
            else:
                position += padded(at)
        return self._size
