"""Changes of what the journal comes to: judged, recorded, and seen when they are durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.catalog.state import State, apply
from splitd.catalog.turns import Turn, Turns
from splitd.errors import CatalogReadOnly
from splitd.interfaces.catalog import IJournal
from splitd.model.records import Record
from storaged.system.clocks import WallClock

_Result = TypeVar("_Result")
Judge: TypeAlias = Callable[[], tuple[Record | None, _Result]]


class Changes:
    """Makes changes of a state.

    A change is *judged*, its record appended, and it takes effect when the record is durable: in that order, and
    nothing that touches it is judged in between.  Once its record is appended it takes effect even where the one
    who asked for it cancels.

    :param journal: nobody else appends to it.
    :param wall: tells the times that records have.
    """

    _log = Logger()

    def __init__(self, state: State, journal: IJournal, wall: WallClock) -> None:
        self._state = state
        self._journal = journal
        self._wall = wall
        self._turns = Turns()
        self._contradiction = ""

    def __len__(self) -> int:
        """How many are under way or wait."""
        return len(self._turns)

    def now_ms(self) -> int:
        """The time of a record, milliseconds since 1970."""
        return self._wall.now_ms()

    def lock_ms(self) -> int:
        """The time by which locks expire, milliseconds since 1970: that of `WallClock.steady_ms`."""
        return self._wall.steady_ms()

    def make(self, judge: Judge[_Result], *keys: str, durable: bool) -> Deferred[_Result]:
        """Make a change when its turn has come.

        :param judge: says what to record, None for nothing, and what to tell the one who asked; or refuses.
        :param keys: what it is about; see `Turns.queue`.
        """
        turn = self._turns.queue(*dict.fromkeys(keys))
        if turn.began.called:
            return self._judge(judge, turn, durable=durable)
        return turn.began.addCallback(lambda _: self._judge(judge, turn, durable=durable))

    def _judge(self, judge: Judge[_Result], turn: Turn, *, durable: bool) -> Deferred[_Result]:
        try:
            self._refuse_read_only()
            record, result = judge()
        except Exception:
            self._turns.end(turn)
            return fail()
        if record is None:
            self._turns.end(turn)
            return succeed(result)
        return self._append(record, result, turn, durable=durable)

    def _refuse_read_only(self) -> None:
        if self._journal.failure or self._contradiction:
            raise CatalogReadOnly(self._journal.failure or self._contradiction)

    def _append(self, record: Record, result: _Result, turn: Turn, *, durable: bool) -> Deferred[_Result]:
        told: Deferred[_Result] = Deferred()  # cancelling it cannot take the record back

        def written(outcome: Failure | None) -> None:
            answer: _Result | Failure = result
            if outcome is None:
                try:
                    apply(self._state, record)
                except Exception as problem:
                    # It was judged otherwise, and is in the journal: whatever comes next would make it worse.
                    answer = Failure()
                    self._contradiction = f"the journal contradicts itself: {problem}"
                    self._log.failure("a record was written that cannot be applied", answer)
            else:
                answer = outcome
            self._turns.end(turn)
            if not told.called:
                told.callback(answer)  # a Failure is an errback

        self._journal.append(record, durable=durable).addBoth(written)
        return told
