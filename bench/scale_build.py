"""Builds journals with any number of files, in the format of splitd, but without its syncs."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from splitd.catalog import compaction
from splitd.catalog.journal.file import SEGMENT_LIMIT
from splitd.catalog.journal.names import list_folder, segment_name
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import SegmentWriter
from splitd.model.manifest import Manifest
from splitd.model.records import (
    VERSION,
    CollectionMade,
    FileCommitted,
    JournalOpened,
    Record,
    UploadStarted,
    encode_line,
)
from splitd.model.uploads import RANDOM_BYTES, upload_id
from storaged.system.filesystem import OSFilesystem

BIG = "/big"
SHARE = 1000
_NODES = tuple(f"n{number}" for number in range(1, 7))
_TIME_MS = 1_767_225_600_000
_AT_ONCE = 1000


def records(files: int) -> Iterator[Record]:
    """Yield the records of this many files: half of them are in one large collection, half in many collections of
    `SHARE` each.
    """
    yield JournalOpened(VERSION, "0" * 32, _TIME_MS)
    yield CollectionMade(BIG, _TIME_MS)
    for number in range(files):
        folder = BIG if number % 2 else f"/c{number // (2 * SHARE):05}"
        if number % (2 * SHARE) == 0:
            yield CollectionMade(folder, _TIME_MS)
        yield from _file(f"{folder}/photo-{number:08}.jpg", number, 4096 + number)


def trees_of(sizes: Sequence[int]) -> Iterator[Record]:
    """Yield the records of a tree of each of these numbers of files, with `SHARE` in each of its collections."""
    serial = itertools.count()
    for tree, files in enumerate(sizes):
        yield CollectionMade(f"/tree{tree}", _TIME_MS)
        for number in range(files):
            folder = f"/tree{tree}/d{number // SHARE}"
            if number % SHARE == 0:
                yield CollectionMade(folder, _TIME_MS)
            yield from _file(f"{folder}/f{number % SHARE}", next(serial), 4096)


def _file(path: str, serial: int, size: int) -> Iterator[Record]:
    time_ms = _TIME_MS + serial
    upload = upload_id(time_ms, hashlib.blake2b(b"%d" % serial, digest_size=RANDOM_BYTES).digest())
    yield UploadStarted(upload, path, _NODES, time_ms)
    yield FileCommitted(path, Manifest(upload, size, time_ms, 6, 0, 256 * 1024, _NODES, "image/jpeg"))


def append(folder: Path, records: Iterator[Record]) -> None:
    """Append records to the journal of a front that is stopped."""
    read = JournalReader(OSFilesystem(), str(folder))
    for batch in read.batches():
        batch.apply(lambda _: None)
    writer = SegmentWriter(OSFilesystem(), str(folder), SEGMENT_LIMIT)
    writer.resume(read)
    _write(writer, read.sequence, records)


def _write(writer: SegmentWriter, sequence: int, records: Iterator[Record]) -> None:
    while some := list(islice(records, _AT_ONCE)):
        lines = [encode_line(number, sequence - 1, record) for number, record in enumerate(some, sequence)]
        writer.write(sequence, lines, durable=False)
        sequence += len(lines)
    writer.close()


class JournalFolder:
    """A journal that is restored to its original state after each use.

    :param folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sizes: dict[Path, int] = {}
        self._last = b""

    @property
    def size(self) -> int:
        """The bytes of the journal as it was built."""
        return sum(self._sizes.values())

    @property
    def has_full_segments(self) -> bool:
        """Whether there is something to compact."""
        return len(self._sizes) > 1

    def build(self, files: int) -> None:
        """Write the journal; if there are no files, write nothing."""
        writer = SegmentWriter(OSFilesystem(), str(self.folder), SEGMENT_LIMIT)
        _write(writer, 1, records(files) if files else iter(()))
        self._keep()

    def compact(self) -> float:
        """Make a snapshot of all full segments in place of them, and return the CPU seconds of the process."""
        before = os.times()
        upcoming = list_folder(OSFilesystem(), str(self.folder)).segments[-1]
        subprocess.run([sys.executable, "-m", compaction.__name__, str(self.folder), str(upcoming)], check=True)
        for name in list_folder(OSFilesystem(), str(self.folder)).obsolete:
            (self.folder / name).unlink()
        self._keep()
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    def restore(self) -> None:
        """Remove what was appended since."""
        for path in set(self.folder.iterdir()) - self._sizes.keys():
            path.unlink()
        if self._sizes:
            self._newest().write_bytes(self._last)

    def _keep(self) -> None:
        """Remember the journal as it is now.  Its newest segment ends with zeros, over which records are appended."""
        self._sizes = {path: path.stat().st_size for path in self.folder.iterdir()}
        if self._sizes:
            self._last = self._newest().read_bytes()

    def _newest(self) -> Path:
        return self.folder / segment_name(list_folder(OSFilesystem(), str(self.folder)).segments[-1])
