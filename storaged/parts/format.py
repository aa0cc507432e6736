"""The part format: the bytes of a part on the disk of a node, and on the way there.  Its page is docs/part-format.md.

Pure.  All numbers are little endian, all checksums CRC32C (RFC 3720 appendix B.4).

    header, 64 bytes
        0   8   magic "SPLITPRT"
        8   2   version, 1
        10  2   flags, 0
        12  4   unit: payload bytes of a full unit
        16  16  upload: the upload that made the part
        32  2   index: which part of that upload
        34  26  zeros
        60  4   checksum of bytes 0..60
    units, each
            n   payload; n = unit, in the last unit 1..unit
            4   checksum of the payload, begun with the unit's seed
    footer, 32 bytes
        0   8   magic "SPLITEND"
        8   8   size: payload bytes of the part
        16  4   checksum of all unit checksums in order
        20  8   zeros
        28  4   checksum of bytes 0..28, begun with the header's checksum

A unit's seed is the checksum of (upload, index, number of the unit).  So the checksum also detects a unit that is whole
but lies in the wrong place, or belongs to a different part.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

import attrs
import google_crc32c
import msgspec

from storaged.parts.checksums import extend, value
from storaged.parts.errors import BadPart, BadSpan
from storaged.system.buffers import Piece
from storaged.system.ranges import Span

VERSION = 1
HEADER_SIZE = 64
FOOTER_SIZE = 32
CHECKSUM_SIZE = 4
MAX_UNIT = 16 * 1024 * 1024
MAX_INDEX = 255

SMALL_PART = 256 * 1024
"""A part of at most this many stored bytes is small: it travels whole, and shares a file with others."""

HEADER = struct.Struct("<8sHHI16sH26x")
FOOTER = struct.Struct("<8sQI8x")
CHECKSUM = struct.Struct("<I")
_SEED = struct.Struct("<16sHQ")
_INDEX_AT = 32
"""Where the index stands in a header."""

_HEADER_MAGIC = b"SPLITPRT"
FOOTER_MAGIC = b"SPLITEND"
_PART_ID = re.compile(r"\A([0-9a-f]{32})\.(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])\Z")
"""An upload and an index from 0 to `MAX_INDEX`."""


class PartId(msgspec.Struct, frozen=True, gc=False):
    """The id of a part: the upload that made it, and its index among the parts of that upload."""

    upload: str
    index: int

    def __str__(self) -> str:
        return f"{self.upload}.{self.index}"


def parse_part_id(text: str) -> PartId:
    """Read a part id, `UPLOAD.INDEX`: 32 lower-case hexadecimal digits and a number up to 255.

    :raise ValueError: the text is not a part id.
    """
    match = _PART_ID.match(text)
    if match is None:
        raise ValueError(f"not a part id: {text!r}")
    return PartId(match[1], int(match[2]))


def is_part_id(text: str) -> bool:
    """Return whether a text is a part id, as `parse_part_id` reads it."""
    return _PART_ID.match(text) is not None


def stored_size(size: int, unit: int) -> int:
    """Return the stored bytes of a part of `size` payload bytes: with header, checksums and footer."""
    units = -(-size // unit)
    return HEADER_SIZE + size + units * CHECKSUM_SIZE + FOOTER_SIZE


def payload_size(length: int, unit: int) -> int:
    """Return the payload bytes of a part of `length` stored bytes.

    :raise BadPart: no part with this unit has this many stored bytes.
    """
    body = length - HEADER_SIZE - FOOTER_SIZE
    units = -(-body // (unit + CHECKSUM_SIZE))
    size = body - units * CHECKSUM_SIZE
    if body < 0 or stored_size(max(size, 0), unit) != length:
        raise BadPart(f"no part with units of {unit} bytes takes {length} bytes")
    return size


def stored_span(size: int, unit: int, span: Span) -> Span:
    """Return the span of a stored part that holds, in whole units, a span of its payload.

    :param size: the payload bytes of the part.
    :raise BadSpan: the span is empty, or does not lie inside the payload.
    """
    if not 0 <= span.start < span.stop <= size:
        raise BadSpan(f"bytes {span.start} to {span.stop} of a part of {size} bytes")
    first = span.start // unit
    last = (span.stop - 1) // unit
    stop = HEADER_SIZE + min((last + 1) * unit, size) + (last + 1) * CHECKSUM_SIZE
    return Span(HEADER_SIZE + first * (unit + CHECKSUM_SIZE), stop)


@attrs.frozen
class Header:
    """The header of a part: its first 64 bytes."""

    part: PartId
    unit: int
    checksum: int


def encode_header(part: PartId, unit: int) -> bytes:
    """Encode the header of a part.

    :raise ValueError: `unit` is not in 1..MAX_UNIT.
    """
    if not 0 < unit <= MAX_UNIT:
        raise ValueError(f"a unit of {unit} bytes: must be 1 to {MAX_UNIT}")
    body = HEADER.pack(_HEADER_MAGIC, VERSION, 0, unit, bytes.fromhex(part.upload), part.index)
    return body + CHECKSUM.pack(value(body))


def decode_header(data: bytes) -> Header:
    """Decode the header of a part.

    :raise BadPart: the bytes are not a header, or the version of the header is not known here.
    """
    if len(data) != HEADER_SIZE:
        raise BadPart(f"a header of {len(data)} bytes, expected {HEADER_SIZE}")
    body = data[:-CHECKSUM_SIZE]
    checksum = value(body)
    magic, version, flags, unit, upload, index = HEADER.unpack(body)
    if magic != _HEADER_MAGIC:
        raise BadPart(f"does not begin like a part: {magic!r}")
    if CHECKSUM.unpack(data[-CHECKSUM_SIZE:])[0] != checksum:
        raise BadPart("the header's checksum is wrong")
    if version != VERSION or flags != 0:
        raise BadPart(f"part format version {version}, flags {flags}: this program knows version {VERSION}, flags 0")
    if (
        not 0 < unit <= MAX_UNIT
        or index > MAX_INDEX
        or body != encode_header(PartId(upload.hex(), index), unit)[:-CHECKSUM_SIZE]
    ):
        raise BadPart(f"a header that no part has: unit {unit}, index {index}")
    return Header(PartId(upload.hex(), index), unit, checksum)


def unit_seed(upload: bytes, index: int, number: int) -> int:
    """Return the checksum with which that of a unit begins.

    :param upload: the id of the upload, as 16 bytes.
    """
    seed: int = google_crc32c.value(_SEED.pack(upload, index, number))
    return seed


def _steps() -> Iterator[tuple[bytes, int, int]]:
    """Yield for each index: its bytes, and what it changes of the checksums of a header and of a seed with index 0.

    The checksum of a sum (XOR) of bytes is the sum of their checksums and of a constant.  So what a field changes does
    not depend on the others.
    """
    nobody = bytes(16)

    def header(index: int) -> int:
        return value(HEADER.pack(_HEADER_MAGIC, VERSION, 0, 1, nobody, index))

    for index in range(MAX_INDEX + 1):
        seed_step = unit_seed(nobody, index, 0) ^ unit_seed(nobody, 0, 0)
        yield index.to_bytes(2, "little"), header(index) ^ header(0), seed_step


_STEPS = tuple(_steps())


class Checksums:
    """The running checksums of one part, from unit `number` on."""

    def __init__(self, part: PartId, number: int) -> None:
        self._upload = bytes.fromhex(part.upload)
        self._index = part.index
        self.number = number
        self.all_units = 0
        self.unit = unit_seed(self._upload, self._index, number)

    def end_unit(self) -> bytes:
        """End the unit, and begin the next one.

        :return: the checksum of the unit, as it is stored.
        """
        checksum = CHECKSUM.pack(self.unit)
        self.all_units = extend(self.all_units, checksum)
        self.number += 1
        self.unit = unit_seed(self._upload, self._index, self.number)
        return checksum


class PartEncoder:
    """Encodes the payload of one part, piece by piece.

    :param part: the part's id.
    :param unit: payload bytes of a full unit.
    """

    def __init__(self, part: PartId, unit: int) -> None:
        self.part = part
        self._unit = unit
        self._header = encode_header(part, unit)
        self._begun = False
        self._room = unit
        self._checksums = Checksums(part, 0)
        self.size = 0

    def encode(self, payload: Piece) -> list[Piece]:
        """Encode the next bytes of the payload.

        :return: the next pieces of the part, in order.  The payload is not copied.
        """
        out: list[Piece] = [*self._begin()]
        self.size += len(payload)
        offset = 0
        while offset < len(payload):
            whole = offset == 0 and len(payload) <= self._room
            piece = payload if whole else memoryview(payload)[offset : offset + self._room]
            offset += len(piece)
            self._room -= len(piece)
            self._checksums.unit = extend(self._checksums.unit, piece)
            out.append(piece)
            if self._room == 0:
                out.append(self._checksums.end_unit())
                self._room = self._unit
        return out

    def finish(self) -> list[bytes]:
        """Return the last pieces of the part.  Nothing may be encoded afterwards."""
        out = self._begin()
        if self._room < self._unit:
            out.append(self._checksums.end_unit())
        body = FOOTER.pack(FOOTER_MAGIC, self.size, self._checksums.all_units)
        header_checksum = CHECKSUM.unpack(self._header[-CHECKSUM_SIZE:])[0]
        out.append(body + CHECKSUM.pack(extend(header_checksum, body)))
        return out

    def _begin(self) -> list[bytes]:
        if self._begun:
            return []
        self._begun = True
        return [self._header]


def encode_part(part: PartId, unit: int, payload: Piece) -> bytes:
    """Encode a whole part, header to footer."""
    if 0 < len(payload) <= unit <= MAX_UNIT:
        return _encode_unit(bytes.fromhex(part.upload), part.index, unit, payload)
    encoder = PartEncoder(part, unit)
    return b"".join([*encoder.encode(payload), *encoder.finish()])


def encode_parts(upload: str, unit: int, payloads: Sequence[Piece]) -> list[bytes]:
    """Encode all parts of an upload.

    :param payloads: the payloads of the parts, by their index.
    """
    sizes = list(map(len, payloads))
    if not 0 < unit <= MAX_UNIT or min(sizes, default=0) == 0 or max(sizes) > unit:
        return [encode_part(PartId(upload, index), unit, payload) for index, payload in enumerate(payloads)]
    # As `_encode_unit`, but for what the parts have in common, which is computed once.
    identity = bytes.fromhex(upload)
    header = HEADER.pack(_HEADER_MAGIC, VERSION, 0, unit, identity, 0)
    before, behind = header[:_INDEX_AT], header[_INDEX_AT + 2 :]
    first_header, first_seed = value(header), unit_seed(identity, 0, 0)
    parts = []
    for payload, size, (index, header_step, seed_step) in zip(payloads, sizes, _STEPS, strict=False):
        header_checksum = first_header ^ header_step
        checksum = CHECKSUM.pack(extend(first_seed ^ seed_step, payload))
        footer = FOOTER.pack(FOOTER_MAGIC, size, google_crc32c.value(checksum))
        last = CHECKSUM.pack(google_crc32c.extend(header_checksum, footer))
        parts.append(b"".join((before, index, behind, CHECKSUM.pack(header_checksum), payload, checksum, footer, last)))
    return parts


def _encode_unit(upload: bytes, index: int, unit: int, payload: Piece) -> bytes:
    """Encode a part that has one unit, as most small parts have: without the running sums that more units need."""
    # The library itself is called where `value` and `extend` would only pass few bytes on: this is done for each part
    # of each small file, in front and nodes.
    header = HEADER.pack(_HEADER_MAGIC, VERSION, 0, unit, upload, index)
    header_checksum = google_crc32c.value(header)
    checksum = CHECKSUM.pack(extend(google_crc32c.value(_SEED.pack(upload, index, 0)), payload))
    footer = FOOTER.pack(FOOTER_MAGIC, len(payload), google_crc32c.value(checksum))
    last = CHECKSUM.pack(google_crc32c.extend(header_checksum, footer))
    return b"".join((header, CHECKSUM.pack(header_checksum), payload, checksum, footer, last))
