"""Changes that are made in the database: each waits for its turn in this front, and is judged in a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.catalog.changes import Changes, Claim, Judge, Prepare
from splitd.catalog.sql.connected import Current
from splitd.catalog.sql.jobs import Change, Check, Look, Manner
from splitd.catalog.sql.lanes import Job, Lane
from splitd.catalog.sql.stamps import News
from splitd.catalog.sql.trees import is_trash_empty, take_slice
from splitd.catalog.turns import Turn, Turns
from splitd.errors import CatalogAway
from splitd.model.records import Record
from storaged.system.clocks import WallClock

_Result = TypeVar("_Result")

_MANY_SLICES = 100
"""After so many slices of the work that changes have left behind, nobody waits for more of it."""


class StoredChanges(Changes):
    """Makes changes in a database that several fronts share.

    In one front, changes that touch each other take turns in the order of the calls, as in a journalled catalog.  Those
    of several fronts are kept apart by the locks of the database.

    :param durable: makes changes of names that must survive a power cut of the database; `alone` makes those of them
        that have a transaction of their own, and `light` all others, which are never held up by a copy of a tree.
    :param looks: looks at the catalog.
    :param problem: returns why nothing can be changed now; empty if nothing speaks against it.
    """

    _log = Logger()

    def __init__(
        self,
        durable: Lane,
        alone: Lane,
        light: Lane,
        looks: Lane,
        current: Current,
        wall: WallClock,
        problem: Callable[[], str],
    ) -> None:
        self._turns = Turns()
        self._wall = wall
        self._durable, self._alone, self._light, self._looks = durable, alone, light, looks
        self._current = current
        self._problem = problem
        self._manner = Manner()
        self._held: dict[Lane, list[Job]] | None = None
        self._settles: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._stopped = False

    @contextmanager
    def manner(self, **manner: Any) -> Iterator[None]:
        """Let the changes that are requested in the block be made in this manner; see `Manner`."""
        before, self._manner = self._manner, attrs.evolve(self._manner, **manner)
        try:
            yield
        finally:
            self._manner = before

    @contextmanager
    def together(self) -> Iterator[None]:
        """Return a context for changes that are to be made in one transaction, where that is possible."""
        held: dict[Lane, list[Job]] = {}
        self._held = held
        try:
            yield
        finally:
            self._held = None
            for lane, jobs in held.items():
                lane.submit(jobs)

    def make(
        self,
        judge: Judge[_Result],
        *keys: str,
        durable: bool,
        prepare: Prepare | None = None,
        claim: Claim | None = None,
    ) -> Deferred[_Result]:
        """Make a change when its turn has come; see `Changes.make`."""

        def judged() -> tuple[Sequence[Record], _Result]:
            record, result = judge()
            return () if record is None else (record,), result

        return self._queue(judged, keys, prepare, claim, durable=durable)

    def make_all(self, judge: Callable[[], Sequence[Record]], keys: Iterable[str], *, durable: bool) -> Deferred[None]:
        """Make several changes together when their turn has come; see `Changes.make_all`."""
        return self._queue(lambda: (judge(), None), tuple(keys), None, None, durable=durable)

    def _queue(
        self,
        judge: Callable[[], tuple[Sequence[Record], _Result]],
        keys: Sequence[str],
        prepare: Prepare | None,
        claim: Claim | None,
        *,
        durable: bool,
    ) -> Deferred[_Result]:
        turn = self._turns.queue(*dict.fromkeys(keys))
        manner, lane = self._manner, self._durable if durable and not self._manner.documents else self._light
        if durable and (manner.alone or manner.exclusive):
            lane = self._alone

        def begin(_: None) -> Deferred[_Result]:
            answered: Deferred[_Result] = Deferred()  # cancelling it does not take the change back

            def done(outcome: Any) -> None:
                self._end(turn)
                if not answered.called:
                    answered.callback(outcome)

            about = (*keys, *manner.about)
            self._submit(lane, Change(judge, about, done, prepare, claim, manner))
            return answered

        return begin(None) if turn.began is None else turn.began.addCallback(begin)

    def _end(self, turn: Turn) -> None:
        self._turns.end(turn)

    def _submit(self, lane: Lane, job: Job) -> None:
        if self._held is None:
            lane.submit([job])
        else:
            self._held.setdefault(lane, []).append(job)

    def look(self, path: str, steps: Callable[[], Iterator[None]]) -> Deferred[None]:
        """Look at all that is at a path and below it, while nobody changes a name."""

        def judge() -> tuple[Sequence[Record], None]:
            for _ in steps():
                pass
            return (), None

        with self.manner(exclusive=True):
            return self._queue(judge, [path], None, None, durable=True)

    def read(self, call: Callable[[], _Result], *keys: str, **manner: Any) -> Deferred[_Result]:
        """Look at the catalog, as it is at one instant after this call.

        :param call: looks, in a thread; the state is that of the transaction.
        :param keys: the paths and uploads that it looks at, as far as they are known.
        :param manner: see `Look`.
        :return: a Deferred that fires with the result.
        :raise CatalogAway: the database does not answer.
        """
        answered: Deferred[_Result] = Deferred()

        def done(outcome: Any) -> None:
            if not answered.called:
                answered.callback(outcome)

        self._looks.submit([Look(call, keys, done, **manner)])
        return answered

    def check(self, tell: Callable[[News], object]) -> Deferred[News]:
        """Ask what was touched since the last time that anybody asked.

        :param tell: takes the news, also if nobody waits for them any more.
        :return: a Deferred that fires with the news when they are told.
        :raise CatalogAway: the database does not answer.
        """
        answered: Deferred[News] = Deferred()

        def done(outcome: Any) -> None:
            if isinstance(outcome, News):
                tell(outcome)
            if not answered.called:
                answered.callback(outcome)

        self._looks.submit([Check(done)])
        return answered

    def write(self, call: Callable[[], _Result], **manner: Any) -> Deferred[_Result]:
        """Change rows in a transaction of its own.

        :param call: changes them, in a thread; the state is that of the transaction.
        :return: a Deferred that fires with the result once the change is durable.
        """
        with self.manner(alone=True, **manner):
            return self._queue(lambda: ((), call()), (), None, None, durable=True)

    @property
    def cursor(self) -> Any:
        """The cursor of the transaction that the calling thread is in."""
        return self._current._cursor

    def settled(self) -> Deferred[None]:
        """Wait for the work that changes have left behind so far, or for a part of it; see `Changes.settled`.

        Of trees of more than 100,000 names, who waits can go on with what is done: others may go on to delete trees.
        """
        return self.read(self._is_empty).addCallback(lambda empty: None if empty else self._settle_some())

    def _is_empty(self) -> bool:
        return is_trash_empty(self.cursor)

    def _settle_some(self) -> Deferred[None]:
        self.settle()
        if self._settles is None:
            return succeed(None)
        waits: Deferred[None] = Deferred()
        self._waiting.append(waits)
        return waits

    def settle(self) -> None:
        """Begin the work that changes have left behind, unless it is in progress."""
        if self._settles is None and not self._stopped:
            self._settles = Deferred.fromCoroutine(self._settle())
            self._settles.addErrback(self._not_settled).addBoth(self._has_settled)

    async def _settle(self) -> None:
        slices = 0
        while not self._stopped:
            if not await self.write(self._slice) and await self.read(self._is_empty):
                return
            slices += 1
            if slices % _MANY_SLICES == 0:
                self._tell_settled()

    def _slice(self) -> bool:
        current: Any = self._current
        return take_slice(self.cursor, current.forget_rows) | bool(current.drop_some())

    def _not_settled(self, failure: Failure) -> None:
        if not failure.check(CatalogAway, CancelledError):
            self._log.failure("work that a change left behind", failure)

    def _has_settled(self, _: object) -> None:
        self._settles = None
        self._tell_settled()

    def _tell_settled(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    def stop(self) -> None:
        """Do no more of the work that changes have left behind; any front does it later."""
        self._stopped = True

    def refuse_read_only(self) -> None:
        """Refuse a change if nothing can be changed now.

        :raise CatalogAway: the database does not answer, or can change nothing.
        """
        problem = self._problem()
        if problem:
            raise CatalogAway(problem)
