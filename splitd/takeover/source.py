"""Reads lines of the journal by their numbers, and its snapshots, for holders that lag.  Everything here blocks."""

from __future__ import annotations

from splitd.catalog.journal.names import list_folder, segment_name, snapshot_name
from storaged.system.interfaces import IFile, IFilesystem

_BLOCK = 256 * 1024


class Gone(Exception):
    """The lines are not in a segment any more, because a snapshot has taken their place."""


class LineSource:
    """Reads the segments of a folder that is being appended to.

    It remembers where it stopped: reading on from there costs no search.
    """

    def __init__(self, filesystem: IFilesystem, folder: str) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._segment = 0
        self._number = 0
        self._offset = 0

    def read(self, first: int, stop: int, limit: int = _BLOCK) -> tuple[bytes, int]:
        """Read lines from the one of a record on.

        :param stop: the number of the first record not to read; all before it must be written.
        :param limit: about how many bytes to return.
        :return: the lines, and how many they are; at least one.
        :raise Gone: a snapshot has taken their place.
        """
        try:
            return self._read(first, stop, limit)
        except FileNotFoundError as problem:
            self._segment = 0
            raise Gone(f"record {first} is in no segment any more") from problem

    def _read(self, first: int, stop: int, limit: int) -> tuple[bytes, int]:
        segments = list_folder(self._filesystem, self._folder).segments
        segment = max((each for each in segments if each <= first), default=None)
        if segment is None:
            raise Gone(f"record {first} is in no segment any more")
        after = min((each for each in segments if each > segment), default=stop)
        stop = min(stop, after)
        file = self._filesystem.open(f"{self._folder}/{segment_name(segment)}", "read")
        try:
            if (self._segment, self._number) != (segment, first):
                self._segment, self._number, self._offset = segment, first, _find(file, first - segment)
            return self._take(file, stop, limit)
        finally:
            file.close()

    def _take(self, file: IFile, stop: int, limit: int) -> tuple[bytes, int]:
        lines = b""
        while True:
            data = file.read_at(self._offset + len(lines), max(limit, _BLOCK))
            lines += data
            if b"\n" in lines or not data:
                break
        count = min(lines.count(b"\n"), stop - self._number)
        if count <= 0:
            raise Gone(f"record {self._number} is not in the file where it should be")
        end = _end_of(lines, count)
        self._number += count
        self._offset += end
        return lines[:end], count


def _find(file: IFile, skip: int) -> int:
    """Return the offset of the line after `skip` others."""
    offset, size = 0, int(file.size)
    while skip:
        data = file.read_at(offset, _BLOCK)
        if not data:
            return size
        here = data.count(b"\n")
        if here >= skip:
            return offset + _end_of(data, skip)
        skip -= here
        offset += len(data)
    return offset


def _end_of(data: bytes, count: int) -> int:
    """Return the offset after the newline number `count`."""
    end = 0
    for _ in range(count):
        end = data.index(b"\n", end) + 1
    return end


class SnapshotSource:
    """Reads the newest snapshot of a folder, also while a newer one takes its place.

    :ivar upcoming: the number of the record before which it was made; 0 if there is no snapshot.
    :ivar size: its bytes.
    """

    def __init__(self, filesystem: IFilesystem, folder: str) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._file: IFile | None = None
        self.upcoming = 0
        self.size = 0

    def open(self) -> None:
        """Open the newest snapshot, if there is one.

        :raise FileNotFoundError: it was replaced just now.
        """
        self.close()
        self.upcoming = list_folder(self._filesystem, self._folder).snapshot or 0
        if self.upcoming:
            self._file = self._filesystem.open(f"{self._folder}/{snapshot_name(self.upcoming)}", "read")
            self.size = self._file.size

    def read(self, offset: int, limit: int) -> bytes:
        """Read some of its bytes."""
        assert self._file is not None
        return self._file.read_at(offset, limit)

    def close(self) -> None:
        """Close the file.  May be called again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
