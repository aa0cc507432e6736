"""Reads the files of a journal.  Everything here blocks, so it must run in a thread.

The format is described in docs/journal-format.md.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress

import attrs

from splitd.catalog.journal.names import list_folder, segment_name, snapshot_name
from splitd.errors import JournalDamaged
from splitd.model.records import LINE_BEGIN, Record, SnapshotEnded, decode_line
from storaged.system.interfaces import IFile, IFilesystem

_BLOCK = 256 * 1024


@attrs.frozen
class Batch:
    """Records that follow each other in one file.

    :param path: the file.
    :param line: the number of the first record's line, from 1.
    :param sequence: the number of the first record in the journal; in a snapshot, the number of its line.
    """

    path: str
    line: int
    sequence: int
    records: list[Record]

    def apply(self, apply: Callable[[Record], None]) -> None:
        """Apply each record.

        :param apply: applies a record; it raises `ValueError` for a record that contradicts those before it.
        :raise JournalDamaged: a record contradicts those before it.
        """
        for line, record in enumerate(self.records, self.line):
            try:
                apply(record)
            except ValueError as problem:
                raise JournalDamaged(f"{self.path}, line {line}: {problem}") from problem


@attrs.frozen
class TornTail:
    """The bytes that a crash has left after the last good line.

    :param line: the number of the first bad line.
    :param offset: the position in the segment where it begins.
    :param size: the bytes from there to the segment's end, without zeros at the end.
    :param reason: why the line is bad.
    """

    path: str
    line: int
    offset: int
    size: int
    reason: str


class JournalReader:
    """Reads the newest snapshot of a folder and all segments after it, oldest first, and changes nothing.

    :param block: how many bytes to read at a time.
    :param stop: read only the records before the one with this number, all of which lie in full segments.
    :ivar sequence: the number of the next record.
    :ivar snapshot: the bytes of the snapshot; 0 if there is none.
    :ivar segments: the bytes of good lines in each segment, by the number of its first record.
    :ivar good: the bytes of good lines in the file read last.
    :ivar torn: the torn lines at the end, once everything was read; None if all lines are good.
    :ivar obsolete: the names of files that the journal does not need.
    """

    def __init__(self, filesystem: IFilesystem, folder: str, block: int = _BLOCK, stop: int | None = None) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._block = block
        self._stop = stop
        self.sequence = 1
        self.snapshot = 0
        self.segments: dict[int, int] = {}
        self.good = 0
        self.torn: TornTail | None = None
        self.obsolete: list[str] = []
        self._rest = b""
        self._skipped: int | None = None

    def skip_snapshot(self, upcoming: int, size: int) -> None:
        """Do not read a snapshot, because its image was read.

        :param upcoming: the number in the snapshot's name.
        :param size: its bytes.
        """
        self._skipped, self.snapshot, self.sequence = upcoming, size, upcoming

    def batches(self) -> Generator[Batch, None, None]:
        """Read the records.

        :raise JournalDamaged: a line is bad or missing, and a crash cannot have caused that.
        """
        listing = list_folder(self._filesystem, self._folder)
        self.obsolete = listing.obsolete
        if listing.snapshot is not None and listing.snapshot != self._skipped:
            yield from self._read_snapshot(listing.snapshot)
        for first in listing.segments:
            if self._stop is not None and first >= self._stop:
                break
            path = f"{self._folder}/{segment_name(first)}"
            if first != self.sequence:
                raise JournalDamaged(f"{path} is there, and no segment that ends with record {first - 1}")
            yield from self._read(path, last=self._stop is None and first == listing.segments[-1])
            self.segments[first] = self.good
        if self._stop is not None and self.sequence != self._stop:
            raise JournalDamaged(f"{self._folder}: there is no segment that ends with record {self._stop - 1}")

    def _read_snapshot(self, upcoming: int) -> Iterator[Batch]:
        path = f"{self._folder}/{snapshot_name(upcoming)}"
        end: Record | None = None
        for batch in self._read(path, last=False):
            if end is not None and batch.records:
                raise JournalDamaged(f"{path}, line {batch.line}: it comes after the snapshot's end")
            if batch.records and isinstance(batch.records[-1], SnapshotEnded):
                end = batch.records.pop()
            yield batch
        if end != SnapshotEnded(upcoming):
            raise JournalDamaged(f"{path}, line {self.sequence - 1}: the end of the snapshot is missing")
        self.snapshot = self.good
        self.sequence = upcoming

    def _read(self, path: str, *, last: bool) -> Iterator[Batch]:
        file = self._filesystem.open(path, "read")
        try:
            size = file.size
            line = 1
            self.good = 0
            for lines in self._lines(file, size):
                batch = Batch(path, line, self.sequence, [])
                for each in lines:
                    try:
                        found = decode_line(each)
                    except ValueError as problem:
                        torn = TornTail(path, line, self.good, size - self.good, str(problem))
                        torn = self._doubt(torn, excused=last)
                        # The end of the bad line may be lost, too: then a good one follows in the same piece.
                        begin = max(0, each.rfind(LINE_BEGIN))
                        with suppress(ValueError):
                            after = decode_line(each[begin:])
                            self._confirm(torn, after.sequence, after.synced)
                        continue
                    if self.torn is not None:
                        self._confirm(self.torn, found.sequence, found.synced)
                        continue
                    if found.sequence != self.sequence:
                        raise JournalDamaged(f"{path}, line {line}: record {found.sequence}, expected {self.sequence}")
                    batch.records.append(found.record)
                    self.sequence += 1
                    self.good += len(each) + 1
                    line += 1
                yield batch
            # Zeros after the last line of the last segment are room for further lines.
            end = size - (len(self._rest) - len(self._rest.rstrip(b"\0")) if last else 0)
            if self.torn is not None:
                self.torn = attrs.evolve(self.torn, size=end - self.torn.offset)
            elif self.good < end:
                reason = "it has no newline at its end"
                self._doubt(TornTail(path, line, self.good, end - self.good, reason), excused=last)
        finally:
            file.close()

    def _lines(self, file: IFile, size: int) -> Iterator[list[bytes]]:
        """Iterate over the complete lines of a file without their newlines, block by block.

        Afterwards `_rest` is what comes after the last one.
        """
        self._rest = b""
        for position in range(0, size, self._block):
            data = file.read_at(position, min(self._block, size - position))
            if self._rest.endswith(b"\0"):
                # The front may be running.  Lines in `data` were written after those that take the place of the zeros.
                self._rest = file.read_at(position - len(self._rest), len(self._rest))
            *lines, self._rest = (self._rest + data).split(b"\n")
            yield lines

    def _doubt(self, torn: TornTail, *, excused: bool) -> TornTail:
        """Handle a bad line.  A crash may have left it if it was not synced yet.

        :param excused: whether lines of this file may be unsynced.
        :return: the first bad line.
        :raise JournalDamaged: all lines of this file were synced, so a crash cannot have torn one.
        """
        if not excused:
            raise JournalDamaged(f"{torn.path}, line {torn.line}: {torn.reason}")
        if self.torn is None:
            self.torn = torn
        return self.torn

    def _confirm(self, torn: TornTail, sequence: int, synced: int) -> None:
        """Handle a good line after a bad one.

        :raise JournalDamaged: the good line says that the bad one had been synced, so a crash cannot have torn it.
        """
        if synced >= self.sequence:
            raise JournalDamaged(
                f"{torn.path}, line {torn.line}: {torn.reason} (and it was durable: record {sequence} says so)"
            )
