"""The files of a journal, read and written.  Everything here blocks: it belongs in a pool.

The format's page is docs/journal-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import attrs

from splitd.errors import JournalDamaged
from splitd.model.records import Record, decode_line
from storaged.interfaces import IFile, IFilesystem

_NAME = re.compile(r"\Ajournal-([0-9]{10})\.jsonl\Z")
_BLOCK = 256 * 1024


def format_name(sequence: int) -> str:
    """The name of the segment that begins with this record."""
    return f"journal-{sequence:010}.jsonl"


def parse_name(name: str) -> int | None:
    """The number of the record that a segment begins with; None where the name is not a segment's."""
    match = _NAME.match(name)
    return int(match[1]) if match else None


@attrs.frozen
class Batch:
    """Records that follow each other in one segment.

    :param path: the segment.
    :param line: the number of the first record's line, from 1.
    """

    path: str
    line: int
    records: list[Record]


@attrs.frozen
class TornLine:
    """What a crash has left of the last line.

    :param offset: where in the segment it begins.
    :param size: its bytes.
    :param reason: why it is no line.
    """

    path: str
    line: int
    offset: int
    size: int
    reason: str


class SegmentReader:
    """Reads all segments of a folder, oldest first, and changes nothing.

    :param block: how many bytes to read at a time.
    :ivar sequence: the number of the record that comes next.
    :ivar paths: the segments.
    :ivar good: the bytes of whole lines in the segment read last.
    :ivar size: the same in all segments.
    :ivar torn: what was left of the last line, once all was read; None where it is whole.
    """

    def __init__(self, filesystem: IFilesystem, folder: str, block: int = _BLOCK) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._block = block
        self.sequence = 1
        self.paths: list[str] = []
        self.good = 0
        self.size = 0
        self.torn: TornLine | None = None

    def batches(self) -> Generator[Batch, None, None]:
        """Read the records.

        :raise JournalDamaged: a line is wrong, or one is missing, and a crash does not explain it.
        """
        firsts = sorted(
            first for name, _, _ in self._filesystem.scan(self._folder) if (first := parse_name(name)) is not None
        )
        for first in firsts:
            path = f"{self._folder}/{format_name(first)}"
            if first != self.sequence:
                raise JournalDamaged(f"{path} is there, and no segment that ends with record {first - 1}")
            self.paths.append(path)
            self.good = 0
            yield from self._read(path, last=first == firsts[-1])
            self.size += self.good

    def _read(self, path: str, *, last: bool) -> Iterator[Batch]:
        file = self._filesystem.open(path, "read")
        try:
            size = file.size
            line = 1
            for lines in self._lines(file, size):
                batch = Batch(path, line, [])
                for each in lines:
                    stop = self.good + len(each) + 1
                    try:
                        sequence, record = decode_line(each)
                    except ValueError as problem:
                        torn = TornLine(path, line, self.good, stop - self.good, str(problem))
                        self._refuse(torn, excused=last and stop == size)
                        break
                    if sequence != self.sequence:
                        raise JournalDamaged(f"{path}, line {line}: record {sequence}, expected {self.sequence}")
                    batch.records.append(record)
                    self.sequence += 1
                    self.good = stop
                    line += 1
                yield batch
            if self.torn is None and self.good < size:
                torn = TornLine(path, line, self.good, size - self.good, "it has no newline at its end")
                self._refuse(torn, excused=last)
        finally:
            file.close()

    def _lines(self, file: IFile, size: int) -> Iterator[list[bytes]]:
        """The whole lines of a segment without their newlines, block by block."""
        rest = b""
        for position in range(0, size, self._block):
            *lines, rest = (rest + file.read_at(position, min(self._block, size - position))).split(b"\n")
            yield lines

    def _refuse(self, torn: TornLine, *, excused: bool) -> None:
        if not excused:
            raise JournalDamaged(f"{torn.path}, line {torn.line}: {torn.reason}")
        self.torn = torn


class SegmentWriter:
    """Appends lines to the last segment of a folder and begins a new one when it is full.

    After an `OSError` it must not be used again, except to close it.

    :param limit: the bytes from which on a segment is full.
    :ivar size: the bytes of all segments.
    :ivar segments: how many there are.
    :ivar syncs: how often lines were made durable.
    """

    def __init__(self, filesystem: IFilesystem, folder: str, limit: int) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._limit = limit
        self._file: IFile | None = None
        self._path = folder
        self._filled = 0
        self.size = 0
        self.segments = 0
        self.syncs = 0

    def resume(self, read: SegmentReader) -> None:
        """Go on where a reader that has read all has ended.  A torn line is cut off.

        What was read is durable then: until now some of it may have been in the system's memory only.
        """
        self.size = read.size
        self.segments = len(read.paths)
        if not read.paths:
            return
        with self._naming(read.paths[-1]):
            self._file = self._filesystem.open(self._path, "append")
            self._filled = read.good
            if read.torn is not None:
                self._file.truncate(read.good)
            self._sync(self._file)
            self._filesystem.sync_folder(self._folder)

    def write(self, first: int, lines: Sequence[bytes], *, durable: bool) -> None:
        """Append lines, and where asked make them and all before them durable.

        :param first: the number of the first line's record.
        :raise OSError: the message names the file; any part of the lines may be there.
        """
        if self._file is None or self._filled >= self._limit:
            self._begin(first)
        assert self._file is not None
        with self._naming(self._path):
            self._file.write(lines)
            written = sum(map(len, lines))
            self._filled += written
            self.size += written
            if durable:
                self._sync(self._file)

    def _begin(self, first: int) -> None:
        # Synced before the next is begun: only the last segment may end with a torn line.
        self.sync()
        self.close()
        with self._naming(f"{self._folder}/{format_name(first)}"):
            self._file = self._filesystem.open(self._path, "create")
            self._filesystem.sync_folder(self._folder)
        self._filled = 0
        self.segments += 1

    def sync(self) -> None:
        """Make all that was written durable."""
        if self._file is not None:
            with self._naming(self._path):
                self._sync(self._file)

    def close(self) -> None:
        """Close the segment.  May be called again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _sync(self, file: IFile) -> None:
        file.sync()
        self.syncs += 1

    @contextmanager
    def _naming(self, path: str) -> Iterator[None]:
        self._path = path
        try:
            yield
        except OSError as problem:
            raise OSError(problem.errno, problem.strerror, path) from problem
