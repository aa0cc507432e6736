"""A backup of a journal: all of its records in one file, whose end shows that it is whole.  Everything here blocks.

The format is described in docs/journal-format.md.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

import msgspec
from google_crc32c import extend

from splitd.catalog.journal.reader import JournalReader
from splitd.errors import BackupDamaged
from splitd.model.records import Record, decode_line, encode_line
from storaged.system.interfaces import IFilesystem

_VERSION = 1
_HEAD = b'{"splitd-backup":'
_END = b'{"splitd-backup-end":'
_LONGEST_LINE = 64 * 1024 * 1024
_BLOCK = 64 * 1024
"""A block is decoded in about a millisecond, so that a front which makes a backup goes on beside it."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup says of itself.

    :param taken_ms: when it was begun, milliseconds since 1970.
    :param epoch: the epoch of the front; 0 if it had none.
    """

    version: int
    taken_ms: int
    epoch: int


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a backup.

    :param lines: how many records it has.
    :param next: the number of the journal's next record.
    :param crc: the CRC32C of all bytes before this line, and of the two numbers, in eight hexadecimal digits.
    """

    lines: int
    next: int
    crc: str


_Kind = TypeVar("_Kind", Head, End)


def encode_backup(filesystem: IFilesystem, folder: str, taken_ms: int, epoch: int) -> Generator[bytes, None, None]:
    """Iterate over the bytes of a backup of a journal, which a front may be writing to.

    :param folder: the journal's folder.
    :raise JournalDamaged: the journal is damaged.
    :raise FileNotFoundError: it was compacted meanwhile; the next try reads the new snapshot.
    """
    reader = JournalReader(filesystem, folder, _BLOCK)
    head = _HEAD + msgspec.json.encode(Head(_VERSION, taken_ms, epoch)) + b"}\n"
    yield head
    crc, number = extend(0, head), 0
    for batch in reader.batches():
        lines = b"".join(encode_line(number + n, number + n - 1, each) for n, each in enumerate(batch.records, 1))
        number += len(batch.records)
        crc = extend(crc, lines)
        if lines:
            yield lines
    yield _END + msgspec.json.encode(_end(number, reader.sequence, crc)) + b"}\n"


def _end(lines: int, upcoming: int, crc: int) -> End:
    return End(lines, upcoming, f"{extend(crc, b'%d %d' % (lines, upcoming)):08x}")


class BackupReader:
    """Reads a backup, piece by piece, and verifies every line.

    :param name: the name of the backup, for messages.
    :ivar head: what it says of itself; None before the first line.
    :ivar end: its end; None before.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""
        self._crc = 0
        self._lines = 0
        self.head: Head | None = None
        self.end: End | None = None

    def records(self, pieces: Iterable[bytes]) -> Iterator[Record]:
        """Iterate over the records in the pieces of a whole backup.

        :raise BackupDamaged: a line is bad or missing, or the end is.  Records that were iterated over before are good.
        """
        for piece in pieces:
            yield from self.feed(piece)
        self.finish()

    def feed(self, piece: bytes) -> list[Record]:
        """Return the records in the next bytes.

        :raise BackupDamaged: a line is bad.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise self._damaged("its line is too long")
        return [record for line in lines for record in self._take(line + b"\n")]

    def finish(self) -> End:
        """Return the end, once all pieces were read.

        :raise BackupDamaged: the backup is not whole.
        """
        if self.end is None or self._rest:
            raise self._damaged("the backup ends here, and is not whole" if self.end is None else "it goes on")
        return self.end

    def _take(self, line: bytes) -> Iterator[Record]:
        if self.end is not None:
            raise self._damaged("it goes on behind its end")
        if self.head is None:
            self.head = self._read(line, _HEAD, Head)
            if self.head.version != _VERSION:
                raise self._damaged(f"version {self.head.version} of the format, only {_VERSION} is known here")
        elif line.startswith(_END):
            self.end = self._read(line, _END, End)
            if self.end != _end(self._lines, self.end.next, self._crc):
                raise self._damaged("its end belongs to another backup")
        else:
            yield self._record(line)
        self._crc = extend(self._crc, line)

    def _record(self, line: bytes) -> Record:
        try:
            found = decode_line(line)
        except ValueError as problem:
            raise self._damaged(str(problem)) from problem
        self._lines += 1
        if found.sequence != self._lines:
            raise self._damaged(f"record {found.sequence} comes, expected {self._lines}")
        return found.record

    def _read(self, line: bytes, begin: bytes, kind: type[_Kind]) -> _Kind:
        if not (line.startswith(begin) and line.endswith(b"}\n")):
            raise self._damaged("this is no backup of a journal")
        try:
            return msgspec.json.decode(line[len(begin) : -2], type=kind)
        except (ValueError, msgspec.MsgspecError) as problem:
            raise self._damaged(str(problem)) from problem

    def _damaged(self, reason: str) -> BackupDamaged:
        return BackupDamaged(f"{self._name}, line {self._lines + 1 + (self.head is not None)}: {reason}")
