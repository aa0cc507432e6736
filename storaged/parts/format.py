"""The part format: what a part looks like on the disk of a node and on the way there.

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

A unit's seed is the checksum of (upload, index, number of the unit).  So a unit that is whole but lies in the
wrong place, or belongs to another part, is found out like one with a flipped bit.
"""

from __future__ import annotations

import re
import struct

import attrs
from google_crc32c import extend, value

from storaged.parts.errors import BadPart, BadSpan, PartDamaged
from storaged.parts.pieces import Pieces
from storaged.system.ranges import Span

VERSION = 1
HEADER_SIZE = 64
FOOTER_SIZE = 32
CHECKSUM_SIZE = 4
MAX_UNIT = 16 * 1024 * 1024
MAX_INDEX = 255

SMALL_PART = 256 * 1024
"""A part that takes at most this many stored bytes is a small one: it travels whole, and many share a file."""

_HEADER = struct.Struct("<8sHHI16sH26x")
_FOOTER = struct.Struct("<8sQI8x")
_CHECKSUM = struct.Struct("<I")
_SEED = struct.Struct("<16sHQ")
_HEADER_MAGIC = b"SPLITPRT"
_FOOTER_MAGIC = b"SPLITEND"
_PART_ID = re.compile(r"\A([0-9a-f]{32})\.(0|[1-9][0-9]{0,2})\Z")


@attrs.frozen
class PartId:
    """Names a part: the upload that made it, and which of that upload's parts it is."""

    upload: str
    index: int

    def __str__(self) -> str:
        return f"{self.upload}.{self.index}"


def parse_part_id(text: str) -> PartId:
    """Read a part id, `UPLOAD.INDEX`: 32 lower-case hexadecimal digits and a number up to 255.

    :raise ValueError: the text is not a part id.
    """
    if not is_part_id(text):
        raise ValueError(f"not a part id: {text!r}")
    upload, _, index = text.partition(".")
    return PartId(upload, int(index))


def is_part_id(text: str) -> bool:
    """Whether a text is a part id, as `parse_part_id` reads it."""
    match = _PART_ID.match(text)
    return match is not None and int(match[2]) <= MAX_INDEX


def stored_size(size: int, unit: int) -> int:
    """The bytes a part of `size` payload bytes takes, header, checksums and footer included."""
    units = -(-size // unit)
    return HEADER_SIZE + size + units * CHECKSUM_SIZE + FOOTER_SIZE


def payload_size(length: int, unit: int) -> int:
    """The payload bytes in a part that takes `length` bytes.

    :raise BadPart: no part takes that many bytes.
    """
    body = length - HEADER_SIZE - FOOTER_SIZE
    units = -(-body // (unit + CHECKSUM_SIZE))
    size = body - units * CHECKSUM_SIZE
    if body < 0 or stored_size(max(size, 0), unit) != length:
        raise BadPart(f"no part with units of {unit} bytes takes {length} bytes")
    return size


def stored_span(size: int, unit: int, span: Span) -> Span:
    """Where in a stored part the whole units lie that hold a span of its payload.

    :param size: the payload bytes of the part.
    :raise BadSpan: the span is empty or not inside the payload.
    """
    if not 0 <= span.start < span.stop <= size:
        raise BadSpan(f"bytes {span.start} to {span.stop} of a part of {size} bytes")
    first = span.start // unit
    last = (span.stop - 1) // unit
    stop = HEADER_SIZE + min((last + 1) * unit, size) + (last + 1) * CHECKSUM_SIZE
    return Span(HEADER_SIZE + first * (unit + CHECKSUM_SIZE), stop)


@attrs.frozen
class Header:
    """What a part says of itself in its first 64 bytes."""

    part: PartId
    unit: int
    checksum: int


def encode_header(part: PartId, unit: int) -> bytes:
    """The first 64 bytes of a part.

    :raise ValueError: `unit` is not in 1..MAX_UNIT.
    """
    if not 0 < unit <= MAX_UNIT:
        raise ValueError(f"a unit of {unit} bytes: must be 1 to {MAX_UNIT}")
    body = _HEADER.pack(_HEADER_MAGIC, VERSION, 0, unit, bytes.fromhex(part.upload), part.index)
    return body + _CHECKSUM.pack(value(body))


def decode_header(data: bytes) -> Header:
    """Read the first 64 bytes of a part.

    :raise BadPart: they are not a header, or one of a version not known here.
    """
    if len(data) != HEADER_SIZE:
        raise BadPart(f"a header of {len(data)} bytes, expected {HEADER_SIZE}")
    body = data[:-CHECKSUM_SIZE]
    checksum = value(body)
    magic, version, flags, unit, upload, index = _HEADER.unpack(body)
    if magic != _HEADER_MAGIC:
        raise BadPart(f"does not begin like a part: {magic!r}")
    if _CHECKSUM.unpack(data[-CHECKSUM_SIZE:])[0] != checksum:
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


class _Checksums:
    """The running checksums of one part, from a unit on."""

    def __init__(self, part: PartId, number: int) -> None:
        self._upload = bytes.fromhex(part.upload)
        self._index = part.index
        self.number = number
        self.all_units = 0
        self.unit = self._seed()

    def _seed(self) -> int:
        seed: int = value(_SEED.pack(self._upload, self._index, self.number))
        return seed

    def end_unit(self) -> bytes:
        """End the unit: its checksum as it is stored; the next unit begins."""
        checksum = _CHECKSUM.pack(self.unit)
        self.all_units = extend(self.all_units, checksum)
        self.number += 1
        self.unit = self._seed()
        return checksum


class PartEncoder:
    """Turns the payload of one part into the part format, piece by piece, without copying full pieces.

    :param part: the part's id.
    :param unit: payload bytes of a full unit.
    """

    def __init__(self, part: PartId, unit: int) -> None:
        self.part = part
        self._unit = unit
        self._header = encode_header(part, unit)
        self._begun = False
        self._room = unit
        self._checksums = _Checksums(part, 0)
        self.size = 0

    def encode(self, payload: bytes) -> list[bytes]:
        """The next pieces of the part, in order.  A piece that crosses no unit's end is passed on as it is."""
        out = self._begin()
        self.size += len(payload)
        offset = 0
        while offset < len(payload):
            whole = offset == 0 and len(payload) <= self._room
            piece = payload if whole else payload[offset : offset + self._room]
            offset += len(piece)
            self._room -= len(piece)
            self._checksums.unit = extend(self._checksums.unit, piece)
            out.append(piece)
            if self._room == 0:
                out.append(self._checksums.end_unit())
                self._room = self._unit
        return out

    def finish(self) -> list[bytes]:
        """The last pieces of the part.  Nothing may be encoded afterwards."""
        out = self._begin()
        if self._room < self._unit:
            out.append(self._checksums.end_unit())
        body = _FOOTER.pack(_FOOTER_MAGIC, self.size, self._checksums.all_units)
        header_checksum = _CHECKSUM.unpack(self._header[-CHECKSUM_SIZE:])[0]
        out.append(body + _CHECKSUM.pack(extend(header_checksum, body)))
        return out

    def _begin(self) -> list[bytes]:
        if self._begun:
            return []
        self._begun = True
        return [self._header]


class PartChecker:
    """Reads a whole part as it goes by and finds out whether it is a good one.

    Feed it everything, then call `finish`.  It keeps no piece longer than it must: only the last few bytes cannot be
    judged yet.

    :param part: the id the part must have.
    :param stored_size: the bytes the part takes, where known in advance.
    """

    def __init__(self, part: PartId, stored_size: int | None = None) -> None:
        self._part = part
        self._stored_size = stored_size
        self._pieces = Pieces()
        self._fed = 0
        self._header: Header | None = None
        self._checksums = _Checksums(part, 0)
        self._room = 0
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        :raise BadPart: they cannot be the next bytes of this part.
        """
        self._pieces.add(data)
        self._fed += len(data)
        if self._stored_size is not None and self._fed > self._stored_size:
            raise BadPart(f"part {self._part}: got more than the {self._stored_size} bytes announced")
        if self._header is None:
            if self._pieces.available < HEADER_SIZE:
                return
            self._header = self._read_header()
            if self._header.part != self._part:
                raise BadPart(f"part {self._part}: the bytes are those of part {self._header.part}")
            self._room = self._header.unit
        # What comes last may be the footer, and before it the checksum of a short unit.
        self._read_units(self._header.unit, FOOTER_SIZE + CHECKSUM_SIZE)
        # Otherwise a part that waits for its next bytes would keep the last read, up to 256 KiB, for these few.
        self._pieces.trim()

    def _read_header(self) -> Header:
        try:
            return decode_header(self._pieces.take(HEADER_SIZE))
        except BadPart as problem:
            raise BadPart(f"part {self._part}: {problem}") from problem

    def _read_units(self, unit: int, hold_back: int) -> None:
        pieces = self._pieces
        while pieces.available > hold_back:
            if self._room:
                piece = pieces.take_some(min(self._room, pieces.available - hold_back))
                self._checksums.unit = extend(self._checksums.unit, piece)
                self._room -= len(piece)
                self.size += len(piece)
            else:
                self._end_unit()
                self._room = unit

    def _end_unit(self) -> None:
        number = self._checksums.number
        if self._pieces.take(CHECKSUM_SIZE) != self._checksums.end_unit():
            raise BadPart(f"part {self._part}: the checksum of unit {number} is wrong")

    def finish(self) -> int:
        """Judge the part, now that all of it was fed.

        :return: its payload bytes.
        :raise BadPart: it is torn, too long or damaged.
        """
        if self._header is None:
            raise BadPart(f"part {self._part}: broke off after {self._fed} bytes, inside the header")
        if self._pieces.available == FOOTER_SIZE + CHECKSUM_SIZE and (
            self._room == 0 or self._room < self._header.unit
        ):
            self._end_unit()
        footer = self._pieces.take(self._pieces.available)
        body = footer[:-CHECKSUM_SIZE]
        if len(footer) != FOOTER_SIZE or not footer.startswith(_FOOTER_MAGIC):
            raise BadPart(f"part {self._part}: broke off after {self._fed} bytes, without a footer")
        if _CHECKSUM.unpack(footer[-CHECKSUM_SIZE:])[0] != extend(self._header.checksum, body):
            raise BadPart(f"part {self._part}: the footer's checksum is wrong")
        _, size, all_units = _FOOTER.unpack(body)
        if size != self.size or all_units != self._checksums.all_units:
            raise BadPart(f"part {self._part}: the footer tells of {size} bytes, there are {self.size}")
        if body != _FOOTER.pack(_FOOTER_MAGIC, size, all_units):
            raise BadPart(f"part {self._part}: a footer that no part has")
        if self._stored_size is not None and self._fed != self._stored_size:
            raise BadPart(f"part {self._part}: got {self._fed} bytes, {self._stored_size} were announced")
        return self.size


class UnitDecoder:
    """Reads whole units of one part from stored bytes and checks each before it passes it on.

    :param part: the part's id.
    :param unit: payload bytes of a full unit.
    :param size: payload bytes of the part.
    :param span: the span of the payload wanted.  The bytes fed must be those of `stored_span`.
    """

    def __init__(self, part: PartId, unit: int, size: int, span: Span) -> None:
        self.stored_span = stored_span(size, unit, span)
        self._part = part
        self._unit = unit
        self._size = size
        self._span = span
        self._checksums = _Checksums(part, span.start // unit)
        self._pieces = Pieces()
        self._unit_pieces: list[bytes] = []
        self._position = span.start // unit * unit
        self._room = self._unit_size()

    def _unit_size(self) -> int:
        return min(self._unit, self._size - self._position)

    @property
    def complete(self) -> bool:
        """Whether the whole span was given out."""
        return self._position >= self._span.stop

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Take the next stored bytes.

        :return: the units that are complete now and proved good, in order, each as the pieces of its payload
            that lie in the span.
        :raise PartDamaged: a unit's checksum is wrong.  Nothing of that unit is given out.
        """
        units = []
        pieces = self._pieces
        pieces.add(data)
        while pieces.available:
            if self.complete:
                raise PartDamaged(f"part {self._part}: more bytes came than bytes {self.stored_span} of it")
            if self._room:
                piece = pieces.take_some(self._room)
                self._checksums.unit = extend(self._checksums.unit, piece)
                self._room -= len(piece)
                self._unit_pieces.append(piece)
            elif pieces.available >= CHECKSUM_SIZE:
                units.append(self._end_unit())
            else:
                break
        return units

    def _end_unit(self) -> list[bytes]:
        number = self._checksums.number
        if self._pieces.take(CHECKSUM_SIZE) != self._checksums.end_unit():
            raise PartDamaged(f"part {self._part}: the checksum of unit {number} is wrong")
        payload, self._unit_pieces = self._unit_pieces, []
        start = self._position
        self._position += self._unit_size()
        cut_front = max(0, self._span.start - start)
        cut_back = max(0, self._position - self._span.stop)
        self._room = self._unit_size()
        if cut_front or cut_back:
            whole = b"".join(payload)
            payload = [whole[cut_front : len(whole) - cut_back]]
        return payload


def encode_part(part: PartId, unit: int, payload: bytes) -> bytes:
    """A whole part, header to footer."""
    encoder = PartEncoder(part, unit)
    return b"".join(encoder.encode(payload) + encoder.finish())


def check_part(part: PartId, data: bytes) -> int:
    """Judge a part that is in memory.

    :param data: its stored bytes, header to footer.
    :return: its payload bytes.
    :raise BadPart: they are not one whole, good part of this id.
    """
    # Most have one unit: such a part is good where encoding its payload anew comes to the same bytes.
    payload = data[HEADER_SIZE : -FOOTER_SIZE - CHECKSUM_SIZE]
    unit = _HEADER.unpack_from(data)[3] if len(data) >= _HEADER.size else 0
    if 0 < len(payload) <= unit <= MAX_UNIT and encode_part(part, unit, payload) == data:
        return len(payload)
    checker = PartChecker(part, len(data))
    checker.feed(data)
    return checker.finish()
