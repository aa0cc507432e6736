"""Changes of the journalled state, which are judged, recorded, and visible when they are durable."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.catalog.effects import enact
from splitd.catalog.slices import Slices
from splitd.catalog.state import State
from splitd.catalog.turns import Turn, Turns
from splitd.errors import BadName, CatalogReadOnly, CatalogSuspended
from splitd.interfaces.journal import IJournal
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.paths import check_catalog_path
from splitd.model.records import Record
from storaged.http import reason_of
from storaged.system.clocks import WallClock

_Result = TypeVar("_Result")
Judge: TypeAlias = Callable[[], tuple[Record | None, _Result]]
Prepare: TypeAlias = Callable[[Record], Iterator[None] | None]
Claim: TypeAlias = Callable[[], Callable[[], object]]
"""Takes what a change needs of a limited supply, immediately before its record is written; raises to refuse the change.
Returns how to give it back, for a record that could not be written.
"""


class Changes:
    """Makes changes of a state.

    A change is *judged* and prepared, its record is appended, and it takes effect when the record is durable: in this
    order, and no change that touches it is judged in between.  Cancelling a change before its record is appended undoes
    it; after that it takes effect all the same.

    Changes are prepared in slices, and the work that they leave behind (see `State.work`) is done in slices, too.

    :param journal: nothing else may append to it.
    :param wall: tells the times of records.
    :param clock: calls later.
    :param changed: called with each record in the step in which it takes effect, before anybody is told.
    """

    _log = Logger()

    def __init__(
        self, state: State, journal: IJournal, wall: WallClock, clock: IReactorTime, changed: Callable[[Record], object]
    ) -> None:
        self._changed = changed
        self._state = state
        self._journal = journal
        self._wall = wall
        self._turns = Turns()
        self._slices = Slices(clock)
        self._working = False
        self._settling: deque[tuple[int, Deferred[None]]] = deque()
        self._contradiction = ""

    def __len__(self) -> int:
        """Count the changes that are in progress or wait."""
        return len(self._turns)

    def together(self) -> AbstractContextManager[None]:
        """Return a context for changes that are to be written together; see `IJournal.together`."""
        return self._journal.together()

    def now_ms(self) -> int:
        """Return the time for a record, milliseconds since 1970."""
        return self._wall.now_ms()

    def lock_ms(self) -> int:
        """Return the time by which locks expire, milliseconds since 1970: that of `WallClock.steady_ms`."""
        return self._wall.steady_ms()

    def make(
        self,
        judge: Judge[_Result],
        *keys: str,
        durable: bool,
        prepare: Prepare | None = None,
        claim: Claim | None = None,
    ) -> Deferred[_Result]:
        """Make a change when its turn has come.

        :param judge: returns the record to write, or None to write none, and the result; or raises to refuse the
            change.
        :param keys: the keys that the change touches; see `Turns.queue`.
        :param durable: whether the record must survive a power cut before the change takes effect.
        :param prepare: returns the steps to do before the record is written, or None for none; they may raise to refuse
            the change.
        :param claim: see `Claim`; None for nothing.
        :return: a Deferred that fires with the result when the change has taken effect.
        """
        turn = self._turns.queue(*dict.fromkeys(keys))
        if turn.began is None:
            return self._judge(judge, turn, prepare, claim, durable=durable)
        return turn.began.addCallback(lambda _: self._judge(judge, turn, prepare, claim, durable=durable))

    def look(self, path: str, steps: Callable[[], Iterator[None]]) -> Deferred[None]:
        """Look at all that is at a path and below it, while no change touches it.

        :param steps: returns the steps to do when the turn has come.
        :return: a Deferred that fires with None when they are done.  Cancelling it ends them.
        """
        turn = self._turns.queue(path)

        def ended(result: _Result) -> _Result:
            self._turns.end(turn)
            return result

        begun = succeed(None) if turn.began is None else turn.began
        return begun.addCallback(lambda _: self._slices.do(steps()).addBoth(ended))

    def make_all(self, judge: Callable[[], Sequence[Record]], keys: Iterable[str], *, durable: bool) -> Deferred[None]:
        """Make several changes together when their turn has come; see `make`.

        :param judge: returns the records to write, at least one; or raises to refuse all changes.
        :param keys: the keys that the changes touch.
        :return: a Deferred that fires with None when all changes have taken effect.  If it fails or is cancelled, some
            of them may have.
        """
        turn = self._turns.queue(*dict.fromkeys(keys))
        if turn.began is None:
            return self._judge_all(judge, turn, durable=durable)
        return turn.began.addCallback(lambda _: self._judge_all(judge, turn, durable=durable))

    def _judge_all(self, judge: Callable[[], Sequence[Record]], turn: Turn, *, durable: bool) -> Deferred[None]:
        try:
            self.refuse_read_only()
            records = judge()
        except Exception:
            self._turns.end(turn)
            return fail()
        return self._append(records, None, turn, durable=durable)

    def make_at(
        self,
        path: str,
        judge: Judge[_Result],
        *keys: str,
        condition: Condition = ALWAYS,
        durable: bool,
        check: Callable[[str], None] = check_catalog_path,
        prepare: Prepare | None = None,
        claim: Claim | None = None,
    ) -> Deferred[_Result]:
        """Make a change of a file or collection, when its turn has come; see `make`.

        :param path: its path.
        :param keys: further keys that the change touches.
        :param condition: the condition of the change, whose paths it touches as well.
        :param check: raises `BadName` if the path is not one that the change may be of.
        :raise BadName: `path` is not such a path.
        """
        try:
            check(path)
        except BadName:
            return fail()
        # The root touches all paths.  But these changes of the root are always refused: they need not wait for others.
        at = () if path == "/" else (path,)
        keys = (*at, *keys, *condition.paths())
        return self.make(judge, *keys, durable=durable, prepare=prepare, claim=claim)

    def settled(self) -> Deferred[None]:
        """Wait for the work that changes have left behind so far.

        :return: a Deferred that fires with None when this work is done.
        """
        if not self._state.has_work:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._settling.append((self._state.released, done))
        return done

    def stop(self) -> None:
        """Do no more of the work that changes have left behind.  A restart does it, from the records in the journal."""
        self._slices.stop()

    def _judge(
        self, judge: Judge[_Result], turn: Turn, prepare: Prepare | None, claim: Claim | None, *, durable: bool
    ) -> Deferred[_Result]:
        try:
            self.refuse_read_only()
            record, result = judge()
        except Exception:
            self._turns.end(turn)
            return fail()
        if record is None:
            self._turns.end(turn)
            return succeed(result)
        steps = None if prepare is None else prepare(record)
        if steps is None:
            return self._claim(record, result, turn, claim, durable=durable)

        def prepared(_: None) -> Deferred[_Result]:
            return self._claim(record, result, turn, claim, durable=durable)

        def refused(failure: Failure) -> Failure:
            self._turns.end(turn)
            self._work()  # what was prepared is released
            return failure

        return self._slices.do(steps).addCallbacks(prepared, refused)

    def _work(self) -> None:
        """Begin the pending work, unless it is in progress."""
        if self._state.has_work and not self._working:
            self._working = True
            self._slices.do(self._steps()).addErrback(self._work_failed).addCallback(self._work_ended)

    def _steps(self) -> Iterator[None]:
        for _ in self._state.work():
            while self._settling and self._settling[0][0] <= self._state.forgotten:
                self._settling.popleft()[1].callback(None)
            yield

    def _work_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._contradiction = f"the names of the journal contradict each other: {reason_of(failure.value)}"
            self._log.failure("work that a change left behind", failure)

    def _work_ended(self, _: None) -> None:
        self._working = False
        while self._settling:
            self._settling.popleft()[1].callback(None)

    def refuse_read_only(self) -> None:
        """Refuse a change if nothing can be changed any more.

        :raise CatalogReadOnly: the journal has failed, or contradicts itself.
        :raise CatalogSuspended: the journal takes no record just now.
        """
        if self._journal.failure or self._contradiction:
            raise CatalogReadOnly(self._journal.failure or self._contradiction)
        if self._journal.unavailable:
            raise CatalogSuspended(self._journal.unavailable)

    def _claim(
        self, record: Record, result: _Result, turn: Turn, claim: Claim | None, *, durable: bool
    ) -> Deferred[_Result]:
        undo: Callable[[], object] | None = None
        if claim is not None:
            try:
                undo = claim()
            except Exception:
                self._turns.end(turn)
                self._work()
                return fail()
        return self._append([record], result, turn, undo, durable=durable)

    def _append(
        self,
        records: Sequence[Record],
        result: _Result,
        turn: Turn,
        undo: Callable[[], object] | None = None,
        *,
        durable: bool,
    ) -> Deferred[_Result]:
        answered: Deferred[_Result] = Deferred()  # cancelling it cannot take the records back

        def written(outcome: Failure | None) -> None:
            answer: _Result | Failure = result
            if outcome is None:
                for record in records:
                    answer = self._enact(record) or answer
            else:
                answer = outcome
                if undo is not None:
                    undo()
            self._work()
            self._turns.end(turn)
            if not answered.called:
                answered.callback(answer)  # a Failure is an errback

        self._journal.append_all(records, durable=durable).addBoth(written)
        return answered

    def _enact(self, record: Record) -> Failure | None:
        """Let a record that was written take effect.

        :return: why it cannot.
        """
        try:
            self._changed(record)
            enact(self._state, record)
        except Exception as problem:
            # The change was judged to be right, and its record is in the journal, but cannot be applied.  Any further
            # change would make that worse.
            failure = Failure()
            self._contradiction = f"the journal contradicts itself: {problem}"
            self._log.failure("a record was written that cannot be applied", failure)
            return failure
        return None


def printable(reason: str) -> str:
    """Make a reason fit for a record: a reason from outside may hold lone surrogates, which are replaced."""
    return reason.encode(errors="replace").decode()
