"""Does batches of looks on a connection, each batch in one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from twisted.python.failure import Failure

from splitd.catalog.sql.admitting import ask_free
from splitd.catalog.sql.connected import Connect, Connected, Current
from splitd.catalog.sql.connecting import Statements, is_away
from splitd.catalog.sql.jobs import Check, Look
from splitd.catalog.sql.lanes import Job
from splitd.catalog.sql.lockrows import LocksTaken
from splitd.catalog.sql.refusals import refusal
from splitd.catalog.sql.short_ways import ShortWay
from splitd.catalog.sql.stamps import News, Stamps
from splitd.catalog.sql.state import Common


def _outcome(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except psycopg.Error:
        raise
    except Exception:
        return Failure()


class Reader(Connected):
    """Looks at the catalog: each batch sees one snapshot.

    :param slot: of no use.
    :ivar lost: how often its connection was closed.
    """

    def __init__(self, connect: Connect, current: Current, common: Common, slot: Callable[[], int]) -> None:
        super().__init__(connect, current, common, slot)
        self._stamps = Stamps()
        self.lost = 0
        self._freeing = ShortWay()

    def close(self) -> None:
        """Close the connection; see `Worker.close`."""
        self._stamps.forget()
        self.lost += 1
        super().close()

    def work(self, batch: Sequence[Job]) -> Sequence[Any]:
        """Look; see `Worker.work`."""
        looks = [job for job in batch if isinstance(job, Look)]
        try:
            self.open()
            return self._look(looks)
        except Exception as problem:
            self.close()
            if is_away(problem):  # perhaps long ago: looks can be repeated
                return self._again(looks)
            if len(batch) == 1:
                return [refusal("look this up")]
            return [outcome for each in batch for outcome in self.work([each])]

    def _again(self, looks: Sequence[Look]) -> list[Any]:
        try:
            self.open()
            return self._look(looks)
        except BaseException:
            self.close()  # its transaction may be open, and news may be lost
            raise

    def _look(self, looks: Sequence[Look]) -> list[Any]:
        try:
            return self._look_at(looks)
        except LocksTaken:
            self._common.locks.ever = True
            return self._look_at(looks)

    def _look_at(self, looks: Sequence[Look]) -> list[Any]:
        if len(looks) == 1 and isinstance(looks[0], Check):  # as most often, if what is read is kept
            statements = Statements(self._connection)
            return [self._stamps.news(statements, self._stamps.ask(statements))]
        free = self._find_free(looks)
        left = iter(self._look_long([look for look in looks if look not in free]))
        return [free[look] if look in free else next(left) for look in looks]

    def _find_free(self, looks: Sequence[Look]) -> dict[Look, Any]:
        """Return the results of those looks that need no look at what is at their paths, because nothing is."""
        asking = [(look, *look.free) for look in looks if look.free is not None]
        if not asking or not self._freeing.is_open():
            return {}
        asked = ask_free(Statements(self._connection), [path for _, path, _ in asking], self._common.folders)
        if asked is None:
            return {}
        free = [asking[index] for index in asked()]
        self._freeing.tried(in_vain=not free)
        if free:
            self._common.locks.are_there = False  # no path counts as free while there are rows of locks
        return {look: _outcome(result) for look, _, result in free}

    def _look_long(self, looks: Sequence[Look]) -> list[Any]:
        if not looks:
            return []
        # Names are looked at by one statement, which sees one snapshot by itself: no transaction is begun for it.
        locks = any(look.locks for look in looks)
        plain = all(look.plain for look in looks) and not (locks and self._common.locks.ever)
        if not plain:
            self._connection.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")
        state = self._state(locks=False)
        with self._current.be(state):
            take = state.ask((key for look in looks for key in look.keys), names_only=plain, unlocked=plain and locks)
            statements = Statements(self._connection)
            numbers = self._stamps.ask(statements) if any(isinstance(look, Check) for look in looks) else None
            if plain:
                self._connection.sync()
            take()
            news = News() if numbers is None else self._stamps.news(statements, numbers)
            return [news if isinstance(look, Check) else _outcome(look.call) for look in looks]

    def settle(self) -> None:
        """End the snapshot of the last batch, for which nobody has to wait; see `Worker.settle`."""
        if not self._is_open():
            return
        try:
            self._connection.leave()
        except psycopg.Error:
            self.close()  # the next look connects again
