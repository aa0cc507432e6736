"""A journal in memory, for tests: it keeps the promises of `IJournal`, and delays syncs or fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import attrs
from twisted.internet.defer import Deferred, execute, fail, succeed
from zope.interface import implementer

from splitd.errors import CatalogReadOnly, JournalDamaged
from splitd.interfaces.journal import IJournal
from splitd.interfaces.restoring import IRestorer
from splitd.model.records import Record, decode_line, encode_line


@attrs.define
class MemoryFolder:
    """The storage of journals in memory, which the next journal can read.

    :param lines: the lines, as in a segment, oldest first.
    :param taken: whether a journal has it open.
    """

    lines: list[bytes] = attrs.field(factory=list)
    taken: bool = False


@implementer(IJournal)
class MemoryJournal:
    """Records in memory.

    :param folder: keeps the records; a new journal on the same folder replays them after `close`.
    """

    def __init__(self, folder: MemoryFolder | None = None) -> None:
        self._folder = folder or MemoryFolder()
        self._taken = False
        self._open = False
        self._held = False
        self._next_failure = ""
        self._waiting: list[Deferred[None]] = []
        self.failure = self.unavailable = ""

    def hold(self) -> None:
        """Let no sync end until `release`."""
        self._held = True

    def release(self) -> None:
        """Let the held syncs end, and hold no more."""
        self._held = False
        while self._waiting and not self._held:
            # It stays in the list until its callbacks have run, so that records appended by them come after the others.
            outcome = self._waiting[0]
            if outcome.called:
                return  # this call comes from its callbacks: the call that runs them continues the loop
            outcome.callback(None)
            if self._waiting and self._waiting[0] is outcome:
                del self._waiting[0]

    def fail_next(self, reason: str) -> None:
        """Let the next append fail, and with it the journal."""
        self._next_failure = reason

    def replay(self, apply: Callable[[Record], None], restorer: IRestorer | None = None) -> Deferred[int]:  # noqa: ARG002
        """Read all records; see `IJournal`.  There are no snapshots here.

        :raise OSError: another journal has the folder open.
        """
        return execute(self._replay, apply)

    def _replay(self, apply: Callable[[Record], None]) -> int:
        if self._folder.taken:
            raise BlockingIOError("the folder is in use by another journal")
        self._folder.taken = self._taken = True
        for number, line in enumerate(self._folder.lines, 1):
            try:
                apply(decode_line(line).record)
            except ValueError as problem:
                raise JournalDamaged(f"memory, line {number}: {problem}") from problem
        self._open = True
        return len(self._folder.lines)

    def append_all(self, records: Sequence[Record], *, durable: bool) -> Deferred[None]:
        """Append some records; see `IJournal`."""
        if self._next_failure and not self.failure:
            self._fail(self._next_failure)
        if self.failure or not self._open:
            return fail(CatalogReadOnly(self.failure or "the journal is not open"))
        try:
            first = len(self._folder.lines) + 1
            lines = [encode_line(number, number - 1, record) for number, record in enumerate(records, first)]
        except ValueError as problem:
            return fail(problem)
        self._folder.lines += lines
        if not self._waiting and not (durable and self._held):
            return succeed(None)
        outcome: Deferred[None] = Deferred()
        self._waiting.append(outcome)
        return outcome

    def together(self) -> AbstractContextManager[None]:
        """Collect records; see `IJournal`.  Here each is written at once."""
        return nullcontext()

    def _fail(self, reason: str) -> None:
        self.failure = reason
        failed, self._waiting = self._waiting, []
        for outcome in failed:
            if not outcome.called:
                outcome.errback(CatalogReadOnly(reason))

    def close(self) -> Deferred[None]:
        """Let the held syncs end, and release the folder; see `IJournal`."""
        self._open = False
        if self._taken:
            self._folder.taken = self._taken = False
        self.release()
        return succeed(None)
