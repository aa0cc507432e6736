"""A copy of a journal in a folder.  Everything here blocks, so it must run in a thread, one call at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import attrs

from storaged.journals.scan import Damaged, blocks, scan
from storaged.parts.blocks import Block, encode_block
from storaged.parts.errors import BadRequest
from storaged.parts.journals import MAX_READ, Append, CopyState, Piece, Run, cut, extend
from storaged.system.allocated import AHEAD, AllocatedFile
from storaged.system.filesystem import UNFINISHED, new_file
from storaged.system.interfaces import IFile, IFilesystem

SEGMENT_LIMIT = 16 * 1024 * 1024
_NAME = re.compile(r"\A(?:copy-([0-9]{10,19})\.blocks|snapshot-([0-9]{10,19})-([0-9]{1,19})\.jsonl)\Z")


@attrs.frozen
class _Snapshot:
    upcoming: int
    epoch: int
    size: int

    @property
    def name(self) -> str:
        return f"snapshot-{self.upcoming:010}-{self.epoch}.jsonl"


def _segment_name(first: int) -> str:
    return f"copy-{first:010}.blocks"


class JournalCopy:
    """The snapshot and the records of a copy.

    After an `OSError`, nothing can be written until `load`, which makes durable what it finds: a failed sync proves
    nothing about the bytes.

    :param folder: the folder; it must exist at `load`.
    :param segment_limit: a file of records is full when it has at least this many bytes.
    """

    def __init__(self, filesystem: IFilesystem, folder: str, segment_limit: int = SEGMENT_LIMIT) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._limit = segment_limit
        self._file: AllocatedFile | None = None
        self._incoming: tuple[Piece, IFile, int] | None = None
        self._snapshot: _Snapshot | None = None
        self._segments: dict[int, int] = {}  # the bytes of each, by the number of its first record
        self._runs: tuple[Run, ...] = ()
        self._next = 1
        self._damage = ""
        self._usable = False

    @property
    def state(self) -> CopyState:
        """What the copy holds."""
        snapshot = self._snapshot
        if snapshot is None:
            return CopyState(self._next, runs=self._runs, damage=self._damage)
        return CopyState(self._next, snapshot.upcoming, snapshot.epoch, snapshot.size, self._runs, self._damage)

    def load(self) -> CopyState:
        """Read the folder, unless it was read and no write has failed since.

        A torn block at the end, which was never acknowledged, is cut off.  Damage elsewhere is noted in the state; such
        a copy takes nothing until it is dropped.
        """
        if not self._usable:
            self.close()
            self._read_folder()
            self._usable = True
        return self.state

    def _read_folder(self) -> None:
        snapshots: list[_Snapshot] = []
        firsts: list[int] = []
        for name, size, _ in self._filesystem.scan(self._folder):
            match = _NAME.match(name)
            if match is not None and match[1]:
                firsts.append(int(match[1]))
            elif match is not None:
                snapshots.append(_Snapshot(int(match[2]), int(match[3]), size))
            elif name.endswith(UNFINISHED):
                self._filesystem.remove(f"{self._folder}/{name}")
        # Of two snapshots with one number, only the newer one can have come after a trim; its epoch is higher.
        self._snapshot = max(snapshots, key=lambda each: (each.upcoming, each.epoch), default=None)
        self._next = base = self._snapshot.upcoming if self._snapshot else 1
        self._segments, self._runs, self._damage = {}, (), ""
        try:
            self._read_segments(sorted(firsts), base)
        except Damaged as problem:
            self._damage = str(problem)
            return
        self._drop_obsolete()

    def _read_segments(self, firsts: Sequence[int], base: int) -> None:
        # Segments that end before the snapshot are left over from the moment when it came.
        kept = [first for index, first in enumerate(firsts) if index + 1 == len(firsts) or firsts[index + 1] > base]
        for first in kept:
            path = f"{self._folder}/{_segment_name(first)}"
            found = scan(self._filesystem, path, first, last=first == kept[-1])
            if found.next <= base:
                continue
            if first > self._next:
                raise Damaged(f"{path}: records {self._next} to {first - 1} are missing before it")
            self._segments[first] = found.size
            for run in found.runs:
                start = max(run.first, base)
                if start <= run.last:
                    self._runs = extend(self._runs, run.epoch, start, run.last - start + 1)
            self._next = found.next
        if self._segments:
            # The system may show bytes of a sync that failed, which are not on the disk: so they are written again.
            last = next(reversed(self._segments))
            self._write_anew(last, self._segments[last])

    def _write_anew(self, first: int, size: int, more: Sequence[bytes] = ()) -> None:
        path = f"{self._folder}/{_segment_name(first)}"
        old = self._filesystem.open(path, "read")
        try:
            with new_file(self._filesystem, self._folder, path) as new:
                new.write(
                    old.read_at(position, min(MAX_READ, size - position)) for position in range(0, size, MAX_READ)
                )
                new.write(more)
                self._segments[first] = new.size
        finally:
            old.close()

    def append(self, requests: Sequence[Append]) -> int:
        """Append lines, and make them durable with one sync.

        :return: the number after that of the last record.
        :raise BadRequest: they do not follow the last record, or are not as many lines as they say.
        :raise OSError: they could not be written, or synced.
        """
        self._refuse_unusable()
        upcoming, runs, pieces = self._next, self._runs, []
        for request in requests:
            if request.first != upcoming:
                raise BadRequest(f"record {request.first} to append, and the copy ends before record {upcoming}")
            if request.lines.count(b"\n") != request.count or not request.lines.endswith(b"\n"):
                raise BadRequest(f"record {request.first}: not {request.count} lines")
            pieces += encode_block(request.epoch, request.first, request.count, self._next - 1, request.lines)
            runs = extend(runs, request.epoch, request.first, request.count)
            upcoming += request.count
        self._usable = False  # until it is durable
        file = self._segment()
        file.append(pieces)
        file.sync()
        self._segments[next(reversed(self._segments))] = file.size
        self._next, self._runs, self._usable = upcoming, runs, True
        return self._next

    def _segment(self) -> AllocatedFile:
        last = next(reversed(self._segments), None)
        if last is None or self._segments[last] >= self._limit:
            if self._file is not None:  # only the last file may end with zeros
                self._file.finish()
            self._close_segment()
            file = self._open(self._next, "create", 0)
            self._filesystem.sync_folder(self._folder)
            self._segments[self._next] = 0
            return file
        return self._file or self._open(last, "update", self._segments[last])

    def _open(self, first: int, mode: str, size: int) -> AllocatedFile:
        file = self._filesystem.open(f"{self._folder}/{_segment_name(first)}", mode)
        self._file = AllocatedFile(file, size, min(AHEAD, self._limit // 4))
        return self._file

    def trim(self, upcoming: int) -> int:
        """Drop the records from a number on; with 0, drop the whole copy, damaged or not.

        :return: the number after that of the last record.
        :raise BadRequest: the number lies before the end of the snapshot.
        """
        base = self._snapshot.upcoming if self._snapshot else 1
        if not upcoming:
            return self._drop_all()
        self._refuse_unusable()
        if upcoming < base:
            raise BadRequest(f"records from {upcoming} on to drop, and the snapshot holds those before {base}")
        if upcoming >= self._next:
            return self._next
        self._usable = False
        self._close_segment()
        # From the end on: what is left after a crash in between still has no gap.
        for first in reversed(list(self._segments)):
            if first < upcoming:
                self._shorten(first, upcoming)
                break
            self._filesystem.remove(f"{self._folder}/{_segment_name(first)}")
            self._filesystem.sync_folder(self._folder)
            del self._segments[first]
        self._next, self._runs, self._usable = upcoming, cut(self._runs, upcoming), True
        return self._next

    def _shorten(self, first: int, upcoming: int) -> None:
        size, more = 0, list[bytes]()
        for offset, block, lines in blocks(self._filesystem, f"{self._folder}/{_segment_name(first)}"):
            size = offset
            if block.next > upcoming:
                keep = upcoming - block.first
                if keep > 0:
                    kept = b"".join(lines.splitlines(keepends=True)[:keep])
                    more = encode_block(block.epoch, block.first, keep, block.synced, kept)
                break
        self._write_anew(first, size, more)

    def _drop_all(self) -> int:
        self._usable = False
        self.close()
        names = sorted(name for name, _, _ in self._filesystem.scan(self._folder) if _NAME.match(name))
        for name in reversed(names):  # snapshots first, then records from the end on
            self._filesystem.remove(f"{self._folder}/{name}")
        self._filesystem.sync_folder(self._folder)
        self._snapshot, self._segments, self._runs, self._next, self._damage = None, {}, (), 1, ""
        self._usable = True
        return self._next

    def take(self, piece: Piece) -> int:
        """Take the next piece of a snapshot; the last one makes it durable, and drops the records before it.

        :return: the number after that of the last record.
        :raise BadRequest: the piece does not follow the one before it.
        """
        self._refuse_unusable()
        if piece.offset == 0:
            self._end_incoming()
            name = _Snapshot(piece.upcoming, piece.epoch, piece.size).name + UNFINISHED
            with suppress(FileNotFoundError):
                self._filesystem.remove(f"{self._folder}/{name}")
            self._incoming = piece, self._filesystem.open(f"{self._folder}/{name}", "create"), 0
        if self._incoming is None:
            raise BadRequest(f"a piece of a snapshot at {piece.offset}, and none is being received")
        begun, file, size = self._incoming
        same = (begun.upcoming, begun.epoch, begun.size) == (piece.upcoming, piece.epoch, piece.size)
        if not same or piece.offset != size or size + len(piece.data) > piece.size:
            raise BadRequest(f"a piece of a snapshot at {piece.offset}, expected {size} of {begun.size}")
        file.write([piece.data])
        size += len(piece.data)
        self._incoming = begun, file, size
        if size == piece.size:
            self._adopt(_Snapshot(piece.upcoming, piece.epoch, piece.size), file)
        return self._next

    def _adopt(self, snapshot: _Snapshot, file: IFile) -> None:
        path = f"{self._folder}/{snapshot.name}"
        file.sync()
        self._end_incoming()
        self._usable = False
        self._filesystem.rename(path + UNFINISHED, path)
        self._filesystem.sync_folder(self._folder)
        self._usable = True
        self._snapshot = snapshot
        if self._next <= snapshot.upcoming:
            self._close_segment()
            self._next, self._runs, self._segments = snapshot.upcoming, (), {}
        else:
            self._runs = tuple(
                Run(run.epoch, max(run.first, snapshot.upcoming), run.last)
                for run in self._runs
                if run.last >= snapshot.upcoming
            )
            firsts = list(self._segments)
            for first, after in pairwise(firsts):
                if after <= snapshot.upcoming:
                    del self._segments[first]
        self._drop_obsolete()

    def _drop_obsolete(self) -> None:
        """Remove the files that the copy does not need; it does no harm if that fails."""
        kept = {_segment_name(first) for first in self._segments}
        if self._snapshot is not None:
            kept.add(self._snapshot.name)
        for name, _, _ in self._filesystem.scan(self._folder):
            if _NAME.match(name) and name not in kept:
                with suppress(OSError):
                    self._filesystem.remove(f"{self._folder}/{name}")

    def read(self, first: int) -> bytes:
        """Read blocks from the one with a record on, about `MAX_READ` bytes; none at the end of the copy."""
        found: list[bytes] = []
        size = 0
        starts = list(self._segments)
        for index, start in enumerate(starts):
            if index + 1 < len(starts) and starts[index + 1] <= first:
                continue
            for _, block, lines in self._good(start):
                if block.next > first:
                    found += encode_block(block.epoch, block.first, block.count, block.synced, lines)
                    size += block.size
                    if size >= MAX_READ:
                        return b"".join(found)
        return b"".join(found)

    def _good(self, start: int) -> Iterator[tuple[int, Block, bytes]]:
        return blocks(self._filesystem, f"{self._folder}/{_segment_name(start)}")

    def read_snapshot(self, offset: int) -> bytes:
        """Read bytes of the snapshot; none at its end."""
        if self._snapshot is None:
            return b""
        file = self._filesystem.open(f"{self._folder}/{self._snapshot.name}", "read")
        try:
            return file.read_at(offset, MAX_READ)
        finally:
            file.close()

    def _refuse_unusable(self) -> None:
        if self._damage or not self._usable:
            raise BadRequest(f"the copy must be opened again: {self._damage or 'a write has failed'}")

    def _close_segment(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _end_incoming(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming[1].close()

    def close(self) -> None:
        """Close all files.  May be called again."""
        self._close_segment()
        self._end_incoming()
