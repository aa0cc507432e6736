"""The segments of a file: uploads of their own, one after the other.  Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from storaged.system.ranges import Span

MAX_SEGMENTS = 10_000
"""The most segments of one file, and the highest number of a segment."""
MAX_SIZE = 48 * 2**40
"""The most bytes of a file with segments."""
MAX_NOTE = 4096
"""The most characters of the note of a segment."""

_ENTRY = struct.Struct(">16sQI")
SIZE = _ENTRY.size
"""The bytes that each segment takes in the packed form."""


class SegmentRef(NamedTuple):
    """One segment, as its file names it.

    :param upload: the id of its upload, 32 hexadecimal digits.
    :param size: its bytes.
    :param number: the number under which it was uploaded.
    """

    upload: str
    size: int
    number: int


class Segments:
    """The segments of a file, in the order of the file's bytes: a view of their packed form.

    The packed form has 28 bytes for each segment: 16 of its upload's id, 8 of its size and 4 of its number, integers
    big-endian.  Nothing is unpacked before it is asked for: a listing shows many files of thousands of segments.
    """

    __slots__ = ("packed",)

    def __init__(self, packed: bytes) -> None:
        self.packed = packed

    def __len__(self) -> int:
        return len(self.packed) // _ENTRY.size

    def __getitem__(self, place: int) -> SegmentRef:
        if not 0 <= place < len(self):
            raise IndexError(place)
        upload, size, number = _ENTRY.unpack_from(self.packed, place * _ENTRY.size)
        return SegmentRef(upload.hex(), size, number)

    def __iter__(self) -> Iterator[SegmentRef]:
        return (SegmentRef(upload.hex(), size, number) for upload, size, number in _ENTRY.iter_unpack(self.packed))

    def ids(self) -> list[bytes]:
        """Return the ids of the uploads as 16 bytes each."""
        return [upload for upload, _, _ in _ENTRY.iter_unpack(self.packed)]

    def within(self, span: Span) -> Iterator[tuple[SegmentRef, Span]]:
        """Iterate over the segments that have a byte of a range of the file, each with its own part of the range."""
        start = 0
        for upload, size, number in _ENTRY.iter_unpack(self.packed):
            stop = start + size
            if size and start < span.stop and stop > span.start:
                part = Span(max(span.start, start) - start, min(span.stop, stop) - start)
                yield SegmentRef(upload.hex(), size, number), part
            if stop >= span.stop:
                return
            start = stop


def pack_segments(segments: Iterable[SegmentRef]) -> bytes:
    """Return the packed form of segments, for `Segments`.

    :raise ValueError: a size or a number is negative or too large, or an upload is not 32 hexadecimal digits.
    """
    try:
        return b"".join([_ENTRY.pack(bytes.fromhex(upload), size, number) for upload, size, number in segments])
    except struct.error as problem:
        raise ValueError(f"these are no segments: {problem}") from problem


def check_packed(packed: bytes) -> None:
    """Refuse bytes that are no packed form of segments.

    :raise ValueError: their length is not a multiple of that of one segment.
    """
    if len(packed) % _ENTRY.size:
        raise ValueError(f"{len(packed)} bytes name no segments: each takes {_ENTRY.size}")
