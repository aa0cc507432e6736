"""The blocks of a copy's files.  Pure.  The format is described in docs/journal-format.md.

A block is a header line, and the lines of records that were made durable together:

    #EPOCH FIRST COUNT SYNCED SIZE CRC

`FIRST` is the number of the first record, `SIZE` the bytes of the lines, `SYNCED` the number up to which all records
were durable when the block was written, and `CRC` the CRC32C of the header up to here, and of the lines.
"""

from __future__ import annotations

import re

import attrs
from google_crc32c import extend, value

MAX_HEADER = 128
_HEADER = re.compile(
    rb"#([0-9]{1,19}) ([0-9]{1,19}) ([0-9]{1,10}) ([0-9]{1,19}) ([0-9]{1,10}) ([0-9a-f]{8})\n", re.ASCII
)
# A header follows a line, or the zeros that a lost sector reads as.
_BEFORE_HEADER = re.compile(rb"[\n\0]#")


@attrs.frozen
class Block:
    """A block's header.

    :param size: the bytes of the lines.
    :param header: the bytes of the header.
    """

    epoch: int
    first: int
    count: int
    synced: int
    size: int
    crc: int
    header: int

    @property
    def next(self) -> int:
        """The number after that of the last record."""
        return self.first + self.count


def encode_block(epoch: int, first: int, count: int, synced: int, lines: bytes) -> list[bytes]:
    """Encode a block, as pieces to be written."""
    head = b"#%d %d %d %d %d " % (epoch, first, count, synced, len(lines))
    return [head, b"%08x\n" % extend(value(head), lines), lines]


def decode_header(data: bytes, offset: int = 0) -> Block | None:
    """Decode the header of a block that begins at an offset; None if none does."""
    match = _HEADER.match(data, offset)
    if match is None:
        return None
    epoch, first, count, synced, size = (int(match[number]) for number in range(1, 6))
    return Block(epoch, first, count, synced, size, int(match[6], 16), match.end() - match.start())


def is_good(block: Block, lines: bytes) -> bool:
    """Whether these are the lines of a block: the right bytes, and as many lines as it has records."""
    head = b"#%d %d %d %d %d " % (block.epoch, block.first, block.count, block.synced, block.size)
    return (
        len(lines) == block.size
        and extend(value(head), lines) == block.crc
        and lines.count(b"\n") == block.count
        and lines.endswith(b"\n")
    )


def find_header(data: bytes, start: int) -> int:
    """Return where the next header may begin, from `start` on; -1 if nowhere."""
    found = _BEFORE_HEADER.search(data, start)
    return found.end() - 1 if found is not None else -1


@attrs.frozen
class Lines:
    """The lines of a block.

    :param epoch: the epoch in which their records were made.
    :param first: the number of the first record.
    :param next: the number after that of the last one.
    """

    epoch: int
    first: int
    next: int
    lines: bytes

    def after(self, number: int) -> Lines:
        """Return the lines from that of a record on."""
        if number <= self.first:
            return self
        kept = self.lines.splitlines(keepends=True)[number - self.first :]
        return Lines(self.epoch, number, self.next, b"".join(kept))


def split_blocks(data: bytes) -> list[Lines]:
    """Return the lines of all blocks, one after the other.

    :raise ValueError: a block is bad, or not whole.
    """
    found, offset = list[Lines](), 0
    while offset < len(data):
        block = decode_header(data, offset)
        lines = b"" if block is None else data[offset + block.header : offset + block.header + block.size]
        if block is None or not is_good(block, lines):
            raise ValueError(f"a bad block of records at {offset} of {len(data)} bytes")
        found.append(Lines(block.epoch, block.first, block.next, lines))
        offset += block.header + block.size
    return found
