"""Decodes and checks parts: a whole part as it passes, units of a part, or a part in memory.  Pure.

The format itself is in `storaged.parts.format`.
"""

from __future__ import annotations

from storaged.parts.checksums import extend
from storaged.parts.errors import BadPart, PartDamaged
from storaged.parts.format import (
    CHECKSUM,
    CHECKSUM_SIZE,
    FOOTER,
    FOOTER_MAGIC,
    FOOTER_SIZE,
    HEADER,
    HEADER_SIZE,
    MAX_UNIT,
    Checksums,
    Header,
    PartId,
    decode_header,
    encode_part,
    payload_size,
    stored_size,
    stored_span,
    unit_seed,
)
from storaged.parts.pieces import Pieces
from storaged.parts.values import PartLook
from storaged.system.buffers import Piece
from storaged.system.ranges import Span


class PartChecker:
    """Checks whether a whole part is valid, as it passes.

    Feed it all stored bytes, then call `finish`.  It keeps only the last few bytes, which it cannot check yet.

    :param part: the id that the part must have.
    :param stored_size: the number of stored bytes, or None if not known in advance.
    """

    def __init__(self, part: PartId, stored_size: int | None = None) -> None:
        self._part = part
        self._stored_size = stored_size
        self._pieces = Pieces()
        self._fed = 0
        self._header: Header | None = None
        self._checksums = Checksums(part, 0)
        self._room = 0
        self.size = 0

    def feed(self, data: Piece) -> None:
        """Take the next bytes.

        :raise BadPart: the bytes cannot be the next ones of this part.
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
        # The last bytes may be the footer, and before it the checksum of a short unit.
        self._read_units(self._header.unit, FOOTER_SIZE + CHECKSUM_SIZE)
        # Otherwise these few bytes would keep the whole last read, up to 1 MiB, in memory until the next bytes.
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
        """Check the part, after all of it was fed.

        :return: the number of its payload bytes.
        :raise BadPart: the part is torn, too long or damaged.
        """
        if self._header is None:
            raise BadPart(f"part {self._part}: broke off after {self._fed} bytes, inside the header")
        if self._pieces.available == FOOTER_SIZE + CHECKSUM_SIZE and (
            self._room == 0 or self._room < self._header.unit
        ):
            self._end_unit()
        footer = self._pieces.take(self._pieces.available)
        body = footer[:-CHECKSUM_SIZE]
        if len(footer) != FOOTER_SIZE or not footer.startswith(FOOTER_MAGIC):
            raise BadPart(f"part {self._part}: broke off after {self._fed} bytes, without a footer")
        if CHECKSUM.unpack(footer[-CHECKSUM_SIZE:])[0] != extend(self._header.checksum, body):
            raise BadPart(f"part {self._part}: the footer's checksum is wrong")
        _, size, all_units = FOOTER.unpack(body)
        if size != self.size or all_units != self._checksums.all_units:
            raise BadPart(f"part {self._part}: the footer tells of {size} bytes, there are {self.size}")
        if body != FOOTER.pack(FOOTER_MAGIC, size, all_units):
            raise BadPart(f"part {self._part}: a footer that no part has")
        if self._stored_size is not None and self._fed != self._stored_size:
            raise BadPart(f"part {self._part}: got {self._fed} bytes, {self._stored_size} were announced")
        return self.size


class UnitDecoder:
    """Decodes whole units of one part, and checks each before any byte of it is returned.

    :param part: the part's id.
    :param unit: payload bytes of a full unit.
    :param size: payload bytes of the part.
    :param span: the span of the payload to return.  The bytes fed must be those of `stored_span`.
    """

    def __init__(self, part: PartId, unit: int, size: int, span: Span) -> None:
        self.stored_span = stored_span(size, unit, span)
        self._part = part
        self._unit = unit
        self._size = size
        self._span = span
        self._checksums = Checksums(part, span.start // unit)
        self._pieces = Pieces()
        self._unit_pieces: list[Piece] = []
        self._position = span.start // unit * unit
        self._room = self._unit_size()

    def _unit_size(self) -> int:
        return min(self._unit, self._size - self._position)

    @property
    def complete(self) -> bool:
        """Whether the whole span was returned."""
        return self._position >= self._span.stop

    def feed(self, data: Piece) -> list[list[Piece]]:
        """Take the next stored bytes.

        :return: the units that are complete and proven valid now, in order, each as the pieces of its payload that lie
            in the span.
        :raise PartDamaged: the checksum of a unit is wrong, or there are more bytes than the span has.  Nothing of that
            unit is returned.
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

    def _end_unit(self) -> list[Piece]:
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


def decode_part(part: PartId, unit: int, size: int, data: bytes) -> bytes:
    """Return the payload of a part that is in memory, every unit of it checked.

    :param unit: payload bytes of a full unit.
    :param size: payload bytes of the part, at least 1.
    :param data: its stored bytes, header to footer.
    :raise PartDamaged: the part does not take as many bytes as it should, or the checksum of a unit is wrong.
    """
    expected = stored_size(size, unit)
    if len(data) != expected:
        raise PartDamaged(f"part {part}: takes {len(data)} bytes, expected {expected}")
    if size <= unit:  # a unit is checked at once, without the pieces and running sums that more of them need
        payload = decode_unit(bytes.fromhex(part.upload), part.index, size, data)
        if payload is None:
            raise PartDamaged(f"part {part}: the checksum of unit 0 is wrong")
        return payload
    decoder = UnitDecoder(part, unit, size, Span(0, size))
    units = decoder.feed(data[decoder.stored_span.start : decoder.stored_span.stop])
    return b"".join([piece for pieces in units for piece in pieces])


def decode_unit(upload: bytes, index: int, size: int, data: bytes) -> bytes | None:
    """Return the payload of a part of one unit that is in memory; None if its size or its checksum is wrong.

    :param upload: the id of the upload, as 16 bytes.
    :param index: which part of that upload.
    :param size: payload bytes of the part, at least 1.
    :param data: its stored bytes, header to footer.
    """
    stop = HEADER_SIZE + size
    payload = data[HEADER_SIZE:stop]
    if len(data) != stop + CHECKSUM_SIZE + FOOTER_SIZE:
        return None
    checksum: int = CHECKSUM.unpack_from(data, stop)[0]
    return payload if extend(unit_seed(upload, index, 0), payload) == checksum else None


def check_part(part: PartId, data: bytes) -> int:
    """Check a part that is in memory.

    :param data: its stored bytes, header to footer.
    :return: the number of its payload bytes.
    :raise BadPart: the bytes are not one whole, valid part of this id.
    """
    # Most parts have one unit: such a part is valid if encoding its payload again gives the same bytes.
    payload = data[HEADER_SIZE : -FOOTER_SIZE - CHECKSUM_SIZE]
    unit = HEADER.unpack_from(data)[3] if len(data) >= HEADER.size else 0
    if 0 < len(payload) <= unit <= MAX_UNIT and encode_part(part, unit, payload) == data:
        return len(payload)
    checker = PartChecker(part, len(data))
    checker.feed(data)
    return checker.finish()


def look_at(part: PartId, stored_size: int, head: bytes) -> PartLook:
    """Check the header of a part, and whether it fits the part's size.

    :param head: its first stored bytes, at least `HEADER_SIZE` of them if it has so many.
    :raise PartDamaged: the header is not that of this part, or no part with its unit has this size.
    """
    try:
        header = decode_header(head[:HEADER_SIZE])
        payload_size(stored_size, header.unit)
    except BadPart as problem:
        raise PartDamaged(f"part {part}: {problem.reason}") from problem
    if header.part != part:
        raise PartDamaged(f"part {part}: the bytes are those of part {header.part}")
    return PartLook(str(part), stored_size, header.unit)
