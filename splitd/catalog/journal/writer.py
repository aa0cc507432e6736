"""Writes the files of a journal.  Everything here blocks, so it must run in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice

from splitd.catalog.journal.image import Digest
from splitd.catalog.journal.names import is_unfinished_snapshot, list_folder, segment_name, snapshot_name
from splitd.catalog.journal.reader import JournalReader
from splitd.model.records import Record, SnapshotEnded, encode_line
from storaged.system.allocated import AHEAD, AllocatedFile
from storaged.system.filesystem import new_file
from storaged.system.interfaces import IFilesystem

_COPY = 1024 * 1024
_LINES_AT_ONCE = 1000
_EARLY_SYNC = 8 * 1024 * 1024


class SegmentWriter:
    """Appends lines to the last segment of a folder and begins a new one when it is full.

    The last segment may end with zeros, in whose place the next lines come; see `AllocatedFile`.

    After an `OSError` it must not be used again, except to close it.

    :param limit: a segment is full when it has at least this many bytes.
    :ivar segments: the bytes of each segment, by the number of its first record, ascending.
    :ivar snapshot: the bytes of the snapshot before them.
    :ivar syncs: how often lines were made durable.
    """

    def __init__(self, filesystem: IFilesystem, folder: str, limit: int) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._limit = limit
        self._file: AllocatedFile | None = None
        self._path = folder
        self.segments: dict[int, int] = {}
        self.snapshot = 0
        self.syncs = 0

    @property
    def first(self) -> int:
        """The number of the first record of the segment that is being written."""
        return next(reversed(self.segments))

    @property
    def full(self) -> int:
        """The bytes of the segments that are full."""
        return sum(self.segments.values()) - self.segments.get(self.first, 0) if self.segments else 0

    def resume(self, read: JournalReader) -> None:
        """Continue where a reader ended that has read everything.  Cut off a torn tail, and remove obsolete files.

        Afterwards all records that were read are durable.  For that the last segment is written anew: if an earlier
        sync of it failed, the system may show bytes that are not on the disk, and report success for a second sync.
        """
        for name in read.obsolete:
            # The compaction of a front that was killed may go on for a moment, and end with its files gone.
            with self._naming(f"{self._folder}/{name}"), suppress(FileNotFoundError):
                self._filesystem.remove(self._path)
        self.segments, self.snapshot = dict(read.segments), read.snapshot
        if self.segments:
            with self._naming(f"{self._folder}/{segment_name(self.first)}"):
                self._write_anew(self._path, self.segments[self.first])
                self._open("update", self.segments[self.first])

    def _write_anew(self, path: str, size: int) -> None:
        old = self._filesystem.open(path, "read")
        try:
            with new_file(self._filesystem, self._folder, path) as new:
                new.write(old.read_at(position, min(_COPY, size - position)) for position in range(0, size, _COPY))
        finally:
            old.close()

    def write(self, first: int, lines: Sequence[bytes], *, durable: bool) -> None:
        """Append lines; if `durable`, make them and all before them durable.

        :param first: the number of the first line's record.
        :raise OSError: writing or syncing failed.  The message names the file; any part of the lines may be in it.
        """
        if self._file is None or self.segments[self.first] >= self._limit:
            self._begin(first)
        assert self._file is not None
        with self._naming(self._path):
            self._file.append(lines)
            self.segments[self.first] = self._file.size
            if durable:
                self._file.sync()
                self.syncs += 1

    def _begin(self, first: int) -> None:
        # Only the last segment may end with torn lines, or with zeros.
        self.finish()
        self.close()
        with self._naming(f"{self._folder}/{segment_name(first)}"):
            self._open("create", 0)
            self._filesystem.sync_folder(self._folder)
        self.segments[first] = 0

    def _open(self, mode: str, size: int) -> None:
        ahead = min(AHEAD, self._limit // 4)
        self._file = AllocatedFile(self._filesystem.open(self._path, mode), size, ahead)

    def adopt_snapshot(self, upcoming: int) -> None:
        """Take note of a new snapshot, which must be durable, and remove the files that it replaces.

        :raise OSError: a file could not be removed.  That does no harm, and the writer can still be used.
        """
        file = self._filesystem.open(f"{self._folder}/{snapshot_name(upcoming)}", "read")
        self.snapshot = file.size
        file.close()
        self.segments = {first: size for first, size in self.segments.items() if first >= upcoming}
        for name in list_folder(self._filesystem, self._folder).obsolete:
            self._filesystem.remove(f"{self._folder}/{name}")

    def finish(self) -> None:
        """Make all written lines durable, and cut off the zeros after them."""
        if self._file is not None:
            with self._naming(self._path):
                self._file.finish()
                self.syncs += 1

    def close(self) -> None:
        """Close the segment.  May be called again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @contextmanager
    def _naming(self, path: str) -> Iterator[None]:
        self._path = path
        try:
            yield
        except OSError as problem:
            raise OSError(problem.errno, problem.strerror, path) from problem


def write_snapshot(filesystem: IFilesystem, folder: str, upcoming: int, records: Iterable[Record]) -> Digest:
    """Write a snapshot, which afterwards exists whole and durable, or not at all.

    :param upcoming: the number of the journal's next record.
    :param records: records that result in the same state as all records of the journal before that one.
    :return: the digest of the snapshot.
    """
    digest = Digest()
    # A compaction that was killed leaves a file, which may take the room that this one needs.
    for name, _, _ in filesystem.scan(folder):
        if is_unfinished_snapshot(name):
            filesystem.remove(f"{folder}/{name}")
    with new_file(filesystem, folder, f"{folder}/{snapshot_name(upcoming)}") as file:
        since_sync = 0
        numbered = enumerate(chain(records, [SnapshotEnded(upcoming)]), 1)
        while lines := [encode_line(number, 0, record) for number, record in islice(numbered, _LINES_AT_ONCE)]:
            file.write(lines)
            digest = digest.over(lines)
            since_sync += sum(map(len, lines))
            if since_sync >= _EARLY_SYNC:
                file.start_sync()
                since_sync = 0
    return digest
