"""The journal on a disk: a folder of segments, with one sync for all records that wait for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

import attrs
import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from splitd.catalog.journal.image import ImageReader
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.unfinished import refuse_unfinished
from splitd.catalog.journal.writer import SegmentWriter
from splitd.errors import CatalogReadOnly
from splitd.interfaces.journal import IJournal, IJournalCopies, JournalStatistics
from splitd.interfaces.restoring import IRestorer
from splitd.model.records import Record, encode_line
from storaged.http import reason_of
from storaged.system.filesystem import FolderLock
from storaged.system.interfaces import IFilesystem
from storaged.system.serial import SerialThread

SEGMENT_LIMIT = 64 * 1024 * 1024

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class IFolderLock(Protocol):
    """Reserves a folder for one process; it has the calls of `storaged.system.filesystem.FolderLock`."""

    def acquire(self) -> None:
        """Take the folder.

        :raise OSError: another process has taken it.
        """

    def release(self) -> None:
        """Release the folder.  May be called more than once, and before `acquire`."""


class _Waiting(msgspec.Struct, frozen=True):
    """Records that were appended in one call."""

    lines: list[bytes]
    durable: bool
    outcome: Deferred[None]


Compactor = Callable[[str, int], Deferred[None]]
"""Makes the snapshot of all records in a folder before a given one, with which a segment begins.  The Deferred fires
when the snapshot is durable; cancelling it ends the work."""


@implementer(IJournal)
class FileJournal:
    """Records in a folder.

    `append_all` makes the lines, which settles their order and their numbers.  While earlier lines are written and
    synced in a thread, new ones are collected; then they are written and synced together.  If nothing is being written,
    a line is not kept waiting for others: whoever has several says so with `together`.

    When the full segments together are larger than the snapshot, and larger than one segment, a new snapshot replaces
    all of them.  So the journal is at most about twice as long as a snapshot of its state, and each record is written
    again about once.

    :param folder: the folder; it is made if it is missing.
    :param pool: makes one blocking call of this journal at a time; it must run until the Deferred of `close` has fired.
    :param compactor: makes the snapshots; if None, none are made.
    :param copies: the copies of the journal on nodes; if None, there are none.
    :param lock: reserves the folder for this process; if None, the folder's own lock does.
    :param segment_limit: a segment is full when it has at least this many bytes.
    :ivar folder: the folder.
    """

    _log = Logger()

    def __init__(
        self,
        folder: str,
        filesystem: IFilesystem,
        pool: ThreadPool,
        reactor: IReactorFromThreads,
        *,
        compactor: Compactor | None = None,
        copies: IJournalCopies | None = None,
        lock: IFolderLock | None = None,
        segment_limit: int = SEGMENT_LIMIT,
    ) -> None:
        self._folder = self.folder = folder
        self._filesystem = filesystem
        self._pool = pool
        self._reactor = reactor
        self._lock = FolderLock(folder) if lock is None else lock
        self._compactor = compactor
        self._copies = copies
        if copies is not None:
            copies.watch(self._release, self._refuse)
        self._unconfirmed: deque[tuple[int, Deferred[None]]] = deque()
        self._segment_limit = segment_limit
        self._reader = JournalReader(filesystem, folder)
        self._writer = SegmentWriter(filesystem, folder, segment_limit)
        self._thread = SerialThread(reactor, "journal")
        self._turn = DeferredLock()
        self._waiting: list[_Waiting] = []
        self._writing = False
        self._collecting = 0
        self._open = False
        self._closed = False
        self._next = 1
        self._written = 0
        self._synced = 0
        self._appended = 0
        self._largest_batch = 0
        self._compacting: Deferred[None] | None = None
        self._compact_above = segment_limit
        self._compactions = 0
        self._compaction_problem = ""
        self.failure = ""

    @property
    def statistics(self) -> JournalStatistics:
        """How much there is just now."""
        writer = self._writer
        return JournalStatistics(
            records=self._written,
            size=writer.snapshot + sum(writer.segments.copy().values()),
            segments=len(writer.segments),
            appended=self._appended,
            syncs=writer.syncs,
            largest_batch=self._largest_batch,
            compactions=self._compactions,
            compacting=self._compacting is not None,
            compaction_problem=self._compaction_problem,
            failure=self.failure,
            copies=None if self._copies is None else self._copies.report(),
        )

    @property
    def unavailable(self) -> str:
        """Why nothing should be appended just now; empty if nothing speaks against it."""
        return "" if self._copies is None else self._copies.unavailable

    def replay(self, apply: Callable[[Record], None], restorer: IRestorer | None = None) -> Deferred[int]:
        """Read all records; see `IJournal`.

        :param apply: may raise `ValueError` for a record that contradicts those before it, which counts as damage.
        :raise JournalUnfinished: another process is making this journal, or was interrupted.
        :raise OSError: another process has the journal open, or it cannot be read.
        """
        return self._turn.run(lambda: Deferred.fromCoroutine(self._replay(apply, restorer)))

    async def _replay(self, apply: Callable[[Record], None], restorer: IRestorer | None) -> int:
        self._refuse_closed()
        await self._in_pool(refuse_unfinished, self._filesystem, self._folder)
        await self._in_pool(self._filesystem.make_folder, self._folder)
        await self._in_pool(self._lock.acquire)
        if restorer is not None:
            await self._restore(restorer)
        batches = self._reader.batches()
        try:
            while (batch := await self._in_pool(next, batches, None)) is not None:
                batch.apply(apply)
                self._refuse_closed()
        finally:
            await self._in_pool(batches.close)
        try:
            await self._in_pool(self._writer.resume, self._reader)
        except OSError as problem:
            self._fail(problem, [])  # the records that were read stay readable
        torn = self._reader.torn
        if torn is not None:
            self._log.warn(
                "{path}, line {line}: {size} bytes that a crash left torn are cut off: {reason}", **attrs.asdict(torn)
            )
        self._next = self._reader.sequence
        self._written = self._synced = self._next - 1
        if self._copies is not None:
            try:
                await self._copies.opened(self._next, min(self._reader.segments, default=self._next))
            except OSError as problem:
                self._fail(problem, [])
        self._thread.start()
        self._open = True
        self._compact_where_needed()
        return self._written

    async def _restore(self, restorer: IRestorer) -> None:
        """Read the image of the snapshot, if it can be used."""
        image = ImageReader(self._filesystem, self._folder)
        frames = image.frames()
        try:
            while (frame := await self._in_pool(next, frames, None)) is not None:
                restorer.take(frame)
                self._refuse_closed()
            if image.upcoming:
                restorer.end()
                self._reader.skip_snapshot(image.upcoming, image.size)
        except (OSError, ValueError) as problem:
            restorer.reset()
            reason = reason_of(problem) if isinstance(problem, OSError) else str(problem)
            self._log.info("the snapshot of the journal is read, and not its image: {reason}", reason=reason)
        finally:
            await self._in_pool(frames.close)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise CatalogReadOnly(f"journal {self._folder} was closed before it was read")

    def append_all(self, records: Sequence[Record], *, durable: bool) -> Deferred[None]:
        """Append some records; see `IJournal`.

        :raise ValueError: a record cannot be encoded.  None was written; the journal can still be used.
        """
        if self.failure or not self._open:
            return fail(CatalogReadOnly(self.failure or f"journal {self._folder} is not open"))
        synced = self._synced
        try:
            lines = [encode_line(number, synced, record) for number, record in enumerate(records, self._next)]
        except ValueError as problem:
            return fail(problem)
        self._next += len(lines)
        outcome: Deferred[None] = Deferred()
        self._waiting.append(_Waiting(lines, durable, outcome))
        self._begin_writing()
        return outcome

    @contextmanager
    def together(self) -> Iterator[None]:
        """Collect records; see `IJournal`."""
        self._collecting += 1
        try:
            yield
        finally:
            self._collecting -= 1
            self._begin_writing()

    def _begin_writing(self) -> None:
        if self._waiting and not self._writing and not self._collecting:
            self._writing = True
            self._turn.run(lambda: Deferred.fromCoroutine(self._write_waiting()))

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            lines = [line for waiting in batch for line in waiting.lines]
            durable = any(waiting.durable for waiting in batch)
            if self._copies is not None:
                self._copies.send(lines, durable=durable)
            try:
                await self._thread.run(partial(self._writer.write, self._written + 1, lines, durable=durable))
            except Exception as problem:
                self._fail(problem, batch)
            else:
                before = self._written
                self._written += len(lines)
                self._appended += len(lines)
                if durable:
                    self._synced = self._written
                self._largest_batch = max(self._largest_batch, len(lines))
                self._answer(batch, before, durable=durable)
                self._compact_where_needed()
        self._writing = False

    def _answer(self, batch: list[_Waiting], before: int, *, durable: bool) -> None:
        """Fire the Deferreds of records that were written, or let them wait until enough copies have them.

        :param before: the number of the record before them.
        """
        if self._copies is None:
            for waiting in batch:
                waiting.outcome.callback(None)
            return
        if self.failure:
            for waiting in batch:
                waiting.outcome.errback(CatalogReadOnly(self.failure))
            return
        last = before
        for waiting in batch:
            last += len(waiting.lines)
            self._unconfirmed.append((last if waiting.durable else 0, waiting.outcome))
        self._copies.written(self._written + 1, durable)
        self._release()

    def _release(self) -> None:
        assert self._copies is not None
        while self._unconfirmed and self._unconfirmed[0][0] < self._copies.confirmed and not self.failure:
            self._unconfirmed.popleft()[1].callback(None)

    def _refuse(self, reason: str) -> None:
        """Change nothing any more: another front has taken over."""
        if not self.failure:
            self._give_up(reason, [])

    def _fail(self, problem: Exception, batch: list[_Waiting]) -> None:
        self._give_up(f"the journal cannot be written: {reason_of(problem)}", batch)

    def _give_up(self, reason: str, batch: list[_Waiting]) -> None:
        self.failure = reason
        self._log.error("{failure}: nothing can be changed any more until a restart", failure=self.failure)
        failed = [outcome for _, outcome in self._unconfirmed]
        failed += [waiting.outcome for waiting in (*batch, *self._waiting)]
        self._unconfirmed.clear()
        self._waiting = []
        for outcome in failed:
            outcome.errback(CatalogReadOnly(self.failure))

    def _compact_where_needed(self) -> None:
        if (
            self._compactor is not None
            and self._compacting is None
            and not (self._closed or self.failure)
            and self._writer.full > max(self._compact_above, self._writer.snapshot)
        ):
            self._compacting = Deferred.fromCoroutine(self._compact(self._compactor, self._writer.first))
            self._compacting.addErrback(self._compaction_failed).addCallback(self._compaction_ended)

    async def _compact(self, compactor: Compactor, upcoming: int) -> None:
        await compactor(self._folder, upcoming)
        self._compact_above = self._segment_limit
        self._compaction_problem = ""
        self._compactions += 1
        if self._copies is not None:
            self._copies.compacted()
        await self._thread.run(partial(self._writer.adopt_snapshot, upcoming))

    def _compaction_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        # The present files stay, and are complete.  It is tried again when the next segment is full.
        self._compact_above = self._writer.full + self._segment_limit
        self._compaction_problem = reason_of(failure.value)
        self._log.error("the journal is not compacted: {problem}", problem=self._compaction_problem)

    def _compaction_ended(self, _: None) -> None:
        self._compacting = None
        self._compact_where_needed()

    def close(self) -> Deferred[None]:
        """Sync the appended records, and release the folder; see `IJournal`.  May be called more than once.

        A replay in progress fails.

        :raise OSError: syncing failed; the folder is released all the same.
        """
        self._open = False
        self._closed = True
        if self._compacting is not None:
            self._compacting.cancel()
        return self._turn.run(self._in_pool, self._let_go).addBoth(self._end_thread)

    def _end_thread(self, result: Failure | None) -> Failure | None:
        self._thread.stop()
        while self._unconfirmed:
            problem = CatalogReadOnly("the journal was closed before enough nodes had the record")
            self._unconfirmed.popleft()[1].errback(problem)
        return result

    def _let_go(self) -> None:
        try:
            if not self.failure:
                self._writer.finish()
        finally:
            self._writer.close()
            self._lock.release()

    def _in_pool(
        self, call: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Deferred[_Result]:
        return deferToThreadPool(self._reactor, self._pool, call, *args, **kwargs)
