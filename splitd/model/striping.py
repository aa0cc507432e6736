"""Cuts files into columns, and finds where the bytes of a range lie.

Pure.  A file is a row of stripes of `data * unit` bytes.  Column *i* of each stripe belongs to part *i*.  The last,
short stripe of *r* bytes is cut equally too: its first `r mod data` columns have one byte more.  So the parts differ
by at most one byte, no size is needed in advance, and a range of the file is one range in each part.

Unit *n* of each part is a column of stripe *n*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import attrs

from storaged.system.buffers import Piece
from storaged.system.ranges import Span

MAX_DATA = 32
MAX_PARITY = 4
_LAYOUT = re.compile(r"\A([1-9][0-9]?)\+([0-9])\Z")


@attrs.frozen
class Layout:
    """The number of parts that a file is cut into, and the size of their units.

    :param data: parts that hold the file's bytes.
    :param parity: parts that hold redundancy.
    :param unit: the bytes of one column in a full stripe.
    """

    data: int
    parity: int
    unit: int

    def __attrs_post_init__(self) -> None:
        if self.data < 1 or self.parity < 0 or self.data + self.parity > 256 or self.unit < 1:
            raise ValueError(f"a layout no file can have: {self}")

    @property
    def width(self) -> int:
        """The number of all parts, data and parity."""
        return self.data + self.parity

    @property
    def stripe(self) -> int:
        """The bytes of the file in a full stripe."""
        return self.data * self.unit

    def __str__(self) -> str:
        return f"{self.data}+{self.parity}"


@lru_cache(maxsize=64)
def parse_layout(text: str, unit: int) -> Layout:
    """Read a layout that new files may have, as "6+2".

    :raise ValueError: the text is not a layout, or one with more than `MAX_DATA` data or `MAX_PARITY` parity parts.
    """
    match = _LAYOUT.match(text)
    if match is None or int(match[1]) > MAX_DATA or int(match[2]) > MAX_PARITY:
        raise ValueError(
            f"not a layout: {text!r} (write DATA+PARITY, as 6+2, with 1 to {MAX_DATA} data and 0 to {MAX_PARITY} "
            "parity parts)"
        )
    return Layout(int(match[1]), int(match[2]), unit)


def column_size(data: int, stripe_size: int, column: int) -> int:
    """Return the bytes of one column of a stripe that has `stripe_size` bytes of the file."""
    each, more = divmod(stripe_size, data)
    return each + (column < more)


def cut_stripe(data: int, stripe: bytes) -> list[bytes]:
    """Cut the bytes of one stripe, full or short, into its columns.

    :param data: the number of columns.
    """
    columns, start = [], 0
    each, more = divmod(len(stripe), data)
    for index in range(data):
        stop = start + each + (index < more)  # as `column_size` says
        columns.append(stripe[start:stop])
        start = stop
    return columns


def part_size(layout: Layout, size: int, index: int) -> int:
    """Return the payload bytes of part `index` of a file of `size` bytes.

    A parity column is as long as the longest column of its stripe.
    """
    full, rest = divmod(size, layout.stripe)
    column = index if index < layout.data else 0
    return full * layout.unit + column_size(layout.data, rest, column)


@attrs.frozen
class Column:
    """The piece of a file's range that lies in one column of one stripe.

    :param index: the part it lies in.
    :param stripe: the number of the stripe, and so of the unit.
    :param span: where in the part's payload it lies.
    """

    index: int
    stripe: int
    span: Span


def columns(layout: Layout, size: int, span: Span) -> Iterator[Column]:
    """Iterate over the columns of a range of a file, in the order of the file's bytes.

    :param size: the bytes of the file.
    :param span: the range; it must lie inside the file.
    """
    _refuse_outside(size, span)
    position = span.start
    while position < span.stop:
        stripe = position // layout.stripe
        stripe_start = stripe * layout.stripe
        stripe_size = min(layout.stripe, size - stripe_start)
        column_start = stripe_start
        for index in range(layout.data):
            length = column_size(layout.data, stripe_size, index)
            start = max(position, column_start)
            stop = min(span.stop, column_start + length)
            if start < stop:
                offset = stripe * layout.unit - column_start
                yield Column(index, stripe, Span(start + offset, stop + offset))
            column_start += length
        position = stripe_start + stripe_size


def part_spans(layout: Layout, size: int, span: Span) -> list[Span]:
    """Find where a range of a file lies in the payload of each data part; empty for a part without a byte of it."""
    _refuse_outside(size, span)
    return [
        Span(_bytes_before(layout, size, span.start, index), _bytes_before(layout, size, span.stop, index))
        for index in range(layout.data)
    ]


def _bytes_before(layout: Layout, size: int, position: int, index: int) -> int:
    """Count the bytes of part `index` that come before `position` in the file."""
    stripe, inside = divmod(position, layout.stripe)
    stripe_size = min(layout.stripe, size - stripe * layout.stripe)
    each, more = divmod(stripe_size, layout.data)
    column_start = index * each + min(index, more)
    length = each + (index < more)
    return stripe * layout.unit + min(max(inside - column_start, 0), length)


def _refuse_outside(size: int, span: Span) -> None:
    if not 0 <= span.start <= span.stop <= size:
        raise ValueError(f"bytes {span.start} to {span.stop} of a file of {size} bytes")


class Cutter:
    """Cuts a file into columns as its bytes arrive.

    If the size is known, bytes are passed on at once.  If not, each stripe is kept until it is full, because a short
    stripe is cut into columns of other sizes.

    :param size: the bytes of the file, or None if unknown.
    """

    def __init__(self, layout: Layout, size: int | None = None) -> None:
        self._layout = layout
        self._size = size
        self._kept: list[Piece] = []
        self._kept_size = 0
        self.position = 0
        self._column = 0
        self._room = 0
        self._stripe_left = 0
        self._stripe_size = 0

    def cut(self, data: Piece) -> list[tuple[int, Piece]]:
        """Take the next bytes of the file.

        :return: the next pieces of columns, each with the index of its part, in order.  No byte is copied: they are
            `data` itself, or views of it.
        :raise ValueError: more bytes came than the size announced.
        """
        self.position += len(data)
        if self._size is not None:
            if self.position > self._size:
                raise ValueError(f"got {self.position} bytes, expected {self._size}")
            return self._distribute(data)
        out: list[tuple[int, Piece]] = []
        rest = memoryview(data)
        while rest:
            piece = rest[: self._layout.stripe - self._kept_size]
            rest = rest[len(piece) :]
            self._kept.append(piece)
            self._kept_size += len(piece)
            if self._kept_size == self._layout.stripe:
                out += self._cut_kept()
        return out

    def finish(self) -> list[tuple[int, Piece]]:
        """Return the last pieces of columns, each with the index of its part.

        :raise ValueError: fewer bytes came than the size announced.
        """
        if self._size is not None and self.position != self._size:
            raise ValueError(f"got {self.position} bytes, expected {self._size}")
        return self._cut_kept()

    def _cut_kept(self) -> list[tuple[int, Piece]]:
        kept, self._kept = self._kept, []
        size, self._kept_size = self._kept_size, 0
        if size:
            self._begin_stripe(size)
        return [cut for piece in kept for cut in self._distribute(piece)]

    def _begin_stripe(self, size: int) -> None:
        self._stripe_size = self._stripe_left = size
        self._column = 0
        self._room = column_size(self._layout.data, size, 0)

    def _distribute(self, data: Piece) -> list[tuple[int, Piece]]:
        out: list[tuple[int, Piece]] = []
        view = memoryview(data)
        offset = 0
        while offset < len(data):
            if not self._stripe_left:
                assert self._size is not None
                self._begin_stripe(min(self._layout.stripe, self._size - self.position + len(data) - offset))
            while not self._room:
                self._column += 1
                self._room = column_size(self._layout.data, self._stripe_size, self._column)
            whole = offset == 0 and len(data) <= self._room
            piece = data if whole else view[offset : offset + self._room]
            offset += len(piece)
            self._room -= len(piece)
            self._stripe_left -= len(piece)
            out.append((self._column, piece))
        return out
