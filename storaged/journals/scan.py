"""Reads the files of a copy.  Everything here blocks."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from storaged.parts.blocks import MAX_HEADER, Block, decode_header, find_header, is_good
from storaged.parts.journals import Run, extend
from storaged.system.interfaces import IFile, IFilesystem

_LOOK = 256 * 1024


class Damaged(Exception):
    """Blocks that were durable are bad or missing; the message names the file."""


@attrs.frozen
class Found:
    """The good blocks at the beginning of a file.

    :param size: their bytes.
    :param next: the number after that of their last record.
    """

    size: int
    next: int
    runs: tuple[Run, ...]


def scan(filesystem: IFilesystem, path: str, first: int, *, last: bool) -> Found:
    """Check all blocks of a file.

    :param first: the number of the record that it begins with.
    :param last: whether it is the last file, which a crash may have left with a torn block at its end.
    :raise Damaged: a block is bad, and a crash cannot have caused that.
    """
    size, upcoming, runs = 0, first, tuple[Run, ...]()
    file = filesystem.open(path, "read")
    try:
        for offset, block, _ in _blocks(file):
            if block.first != upcoming:
                raise Damaged(f"{path}: record {block.first} at {offset}, expected {upcoming}")
            size, upcoming = offset + block.header + block.size, block.next
            runs = extend(runs, block.epoch, block.first, block.count)
        if size < file.size and not last:
            raise Damaged(f"{path}: a bad block at {size}")
        if size < file.size and _was_durable(file, size, upcoming):
            raise Damaged(f"{path}: the block at {size} is bad, and a later one says that it was durable")
    finally:
        file.close()
    return Found(size, upcoming, runs)


def blocks(filesystem: IFilesystem, path: str) -> Iterator[tuple[int, Block, bytes]]:
    """Iterate over the good blocks at the beginning of a file: the offset, the block and its lines."""
    file = filesystem.open(path, "read")
    try:
        yield from _blocks(file)
    finally:
        file.close()


def _blocks(file: IFile) -> Iterator[tuple[int, Block, bytes]]:
    offset, size = 0, file.size
    while offset < size:
        head = file.read_at(offset, MAX_HEADER)
        block = decode_header(head)
        if block is None or offset + block.header + block.size > size:
            return
        lines = head[block.header : block.header + block.size]
        if len(lines) < block.size:
            lines += file.read_at(offset + len(head), block.size - len(lines))
        if not is_good(block, lines):
            return
        yield offset, block, lines
        offset += block.header + block.size


def _was_durable(file: IFile, start: int, number: int) -> bool:
    """Whether a good block after a bad one says that the record with this number, in the bad one, was durable."""
    position, size = start, file.size
    while position < size:
        window = file.read_at(position, _LOOK + MAX_HEADER)
        found = find_header(window, 0)
        while 0 <= found < _LOOK:
            block = decode_header(window, found)
            if block is not None and block.synced >= number:
                lines = file.read_at(position + found + block.header, block.size)
                if is_good(block, lines):
                    return True
            found = find_header(window, found)
        position += _LOOK
    return False
