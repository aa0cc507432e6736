"""Writes a part to a disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.disk.calls import DiskCalls
from storaged.disk.folder import PartFolder
from storaged.disk.room import Promise
from storaged.parts.decoding import PartChecker
from storaged.parts.errors import BadPart, NoSpace, PartExists, StoragedError
from storaged.parts.format import PartId
from storaged.parts.interfaces import IPartWriter
from storaged.parts.values import PartInfo
from storaged.system.buffers import Piece
from storaged.system.interfaces import IFile, IFilesystem
from storaged.system.once import Once

_T = TypeVar("_T")

WRITE_SIZE = 1024 * 1024
"""The bytes that gather before they are written, because waking a thread costs more than the write itself.

The producer is paused when more than twice as many bytes wait for the disk, and resumed when fewer than this wait."""

_LEAST_WRITE = 64 * 1024
_ALL_WRITERS = 8 * 1024 * 1024

EARLY_SYNC = 8 * 1024 * 1024
"""Each time this many bytes are written, the kernel is asked to begin writing them out, so that the last sync is short.
"""


def write_size(writers: int) -> int:
    """Return how many bytes gather for each writer: fewer if there are many writers, to bound the sum of all."""
    return min(WRITE_SIZE, max(_LEAST_WRITE, _ALL_WRITERS // max(1, writers)))


@implementer(IPartWriter)
class DiskPartWriter:
    """Checks one part and writes it.

    One coroutine owns the file from its opening to its end, and has at most one call in the pool at a time.  The
    methods only set the state that it reads, and wake it.

    :param stored_size: the bytes the part will take, or None if not known.
    :param parts: the folder to store the part in.
    :param promise: the room set aside for the part.
    :param write_size: returns how many bytes shall gather at present before they are written.
    """

    _log = Logger()

    def __init__(
        self,
        part: PartId,
        stored_size: int | None,
        parts: PartFolder,
        *,
        filesystem: IFilesystem,
        calls: DiskCalls,
        promise: Promise,
        write_size: Callable[[], int],
    ) -> None:
        self._part = part
        self._parts = parts
        self._place = parts.place(part)
        self._filesystem = filesystem
        self._calls = calls
        self._promise = promise
        self._is_promised = stored_size is not None
        self._write_size = write_size
        self._checker = PartChecker(part, stored_size)
        self._queue: list[Piece] = []
        self._queued = 0  # includes the batch that is being written
        self._since_sync = 0
        self._producer: IPushProducer | None = None
        self._paused = False
        self._finishing = False
        self._problem: Exception | None = None
        self._idle: Deferred[None] | None = None
        self._opened: Once[None] = Once()
        self._broken: Once[Exception] = Once()
        self._ended: Once[PartInfo] = Once()
        self._file: IFile | None = None
        self._path: str | None = None  # the file to remove after a failure

    def begin(self) -> Deferred[None]:
        """Open the file.

        :return: a Deferred that fires with None when the file is open.  Cancelling it only ends the wait.
        :raise PartExists: a part of this id is there already.
        """
        opened = self._opened.wait()
        Deferred.fromCoroutine(self._live())
        return opened

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Register the producer, to be paused while the disk is behind."""
        if not streaming or self._producer is not None:
            raise RuntimeError(f"part {self._part}: takes one push producer")
        self._producer = producer
        self._pace()

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None
        self._paused = False

    def write(self, data: Piece) -> None:
        """Take the next stored bytes."""
        if self._finishing or self._problem is not None:
            return
        try:
            self._checker.feed(data)
        except BadPart as problem:
            self._break(problem)
            return
        self._queue.append(data)
        self._queued += len(data)
        self._pace()
        if self._queued >= self._write_size():
            self._wake()

    def writeSequence(self, pieces: Sequence[Piece]) -> None:
        """Take the next stored bytes; see `IPartWriter.writeSequence`."""
        for piece in pieces:
            self.write(piece)

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure; see `IPartWriter.when_broken`."""
        return self._broken.wait()

    def finish(self) -> Deferred[PartInfo]:
        """Complete the part; see `IPartWriter.finish`."""
        if not self._finishing and self._problem is None:
            self._finishing = True
            try:
                self._checker.finish()
            except BadPart as problem:
                self._break(problem)
            self._wake()
        return self._ended.wait()

    def abort(self) -> Deferred[None]:
        """Abort the part; see `IPartWriter.abort`."""
        self._give_up(CancelledError(f"part {self._part} was given up"))
        return self.when_ended()

    def break_off(self, problem: StoragedError) -> Deferred[None]:
        """Make the part fail; its owner learns of `problem` as of any failure.

        :return: a Deferred that fires when nothing of the part is left.
        """
        self._break(problem)
        return self.when_ended()

    def when_ended(self) -> Deferred[None]:
        """Return a Deferred that fires when the part is stored, or nothing of it is left.  It does not fail."""
        return self._ended.wait().addBoth(lambda _: None)

    def _break(self, problem: Exception) -> None:
        is_news = not self._finishing and self._problem is None
        self._give_up(problem)
        if is_news:
            self._broken.fire(problem)

    def _give_up(self, problem: Exception) -> None:
        if self._problem is None and not self._ended.fired:
            self._problem = problem
            self._queue.clear()
            self._pace()
            self._wake()

    def _pace(self) -> None:
        """Pause or resume the producer.  After a failure it is not paused, because its bytes are discarded."""
        if self._producer is None:
            return
        size = self._write_size()
        if self._paused and (self._queued < size or self._problem is not None):
            self._paused = False
            self._producer.resumeProducing()
        elif not self._paused and self._queued > 2 * size and self._problem is None:
            self._paused = True
            self._producer.pauseProducing()

    def _wake(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    # The coroutine that owns the file:

    async def _live(self) -> None:
        outcome: PartInfo | Failure
        try:
            outcome = await self._store()
        except Exception as problem:
            self._break(problem)
            await self._discard()
            outcome = Failure(self._problem)
        self._promise.end()
        self._ended.fire(outcome)
        if isinstance(outcome, Failure):
            self._opened.fire(outcome)

    async def _store(self) -> PartInfo:
        await self._run(self._open)
        self._opened.fire(None)
        while not self._finishing:
            self._raise_problem()
            if self._queued >= self._write_size():
                await self._write_queue()
            else:
                self._idle = Deferred()
                await self._idle
        self._raise_problem()
        last, self._queue = self._queue, []
        self._refuse_without_room(sum(map(len, last)))
        info = await self._run(lambda: self._settle(last))
        self._promise.use(sum(map(len, last)))
        return info

    async def _run(self, call: Callable[[], _T]) -> _T:
        result = await self._calls.run(f"part {self._part}", call)
        self._raise_problem()
        return result

    def _raise_problem(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _refuse_without_room(self, count: int) -> None:
        """Refuse more bytes for a part of unannounced size if their room is reserved, or promised to other parts."""
        if not self._is_promised and not self._promise.cover(count):
            raise NoSpace(f"part {self._part}: no room after {self._checker.size} bytes")

    async def _write_queue(self) -> None:
        batch, self._queue = self._queue, []
        count = sum(map(len, batch))
        self._since_sync += count
        self._refuse_without_room(count)
        early_sync = self._since_sync >= EARLY_SYNC
        if early_sync:
            self._since_sync = 0
        await self._run(lambda: self._append(batch, early_sync))
        self._promise.use(count)
        self._queued -= count
        self._pace()

    async def _discard(self) -> None:
        """Remove all of the part.  An error here is only logged: it must not hide the error that led here."""
        for call in (self._close_file, self._remove_file):
            try:
                await self._calls.run(f"part {self._part}", call)
            except StoragedError:
                self._log.failure("cleaning up after part {part}, which failed: {problem}",
                                  part=str(self._part), problem=self._problem)  # fmt: skip

    # These run in the pool:

    def _open(self) -> None:
        self._refuse_existing()
        try:
            self._file = self._filesystem.open(self._place.temporary, "create")
        except FileExistsError:
            # A part has one writer at a time, so this file is left from an earlier try that could not remove it.
            self._filesystem.remove(self._place.temporary)
            self._file = self._filesystem.open(self._place.temporary, "create")
        self._path = self._place.temporary

    def _refuse_existing(self) -> None:
        try:
            file = self._filesystem.open(self._place.path, "read")
        except FileNotFoundError:
            return
        file.close()
        raise PartExists(f"part {self._part} is here already")

    def _append(self, batch: list[Piece], early_sync: bool) -> None:
        assert self._file is not None
        self._file.write(batch)
        if early_sync:
            self._file.start_sync()

    def _settle(self, last: list[Piece]) -> PartInfo:
        assert self._file is not None
        self._file.write(last)
        self._file.sync()
        info = PartInfo(str(self._part), self._file.size, self._file.modified_ms)
        self._file.close()
        self._refuse_existing()
        self._parts.make_subfolder(self._part)
        self._filesystem.rename(self._place.temporary, self._place.path)
        self._path = self._place.path
        # Without this sync a power cut could undo the rename, and the confirmed part would be lost.
        self._filesystem.sync_folder(self._place.folder)
        return info

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def _remove_file(self) -> None:
        if self._path is not None:
            self._filesystem.remove(self._path)
        if self._path == self._place.path:
            self._filesystem.sync_folder(self._place.folder)
