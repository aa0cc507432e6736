"""Do batches of jobs on a connection: changes, each batch in one transaction, and looks, each in one snapshot."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from twisted.python.failure import Failure

from splitd.catalog.effects import enact
from splitd.catalog.sql.admitting import ask_free
from splitd.catalog.sql.beginning import Beginning, begin_at_once
from splitd.catalog.sql.chains import ChainBroken
from splitd.catalog.sql.connecting import Statements, is_away
from splitd.catalog.sql.exclusion import EXCLUDED, SHARE, Excluded
from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.fronts import RENEWAL_S
from splitd.catalog.sql.jobs import Change, Check, Gate, Look
from splitd.catalog.sql.lanes import Job
from splitd.catalog.sql.lockrows import LocksTaken
from splitd.catalog.sql.placing import place_at_once
from splitd.catalog.sql.refusals import refusal
from splitd.catalog.sql.short_ways import ShortWay
from splitd.catalog.sql.stamps import News, Stamps
from splitd.catalog.sql.state import DOCUMENTS_GATE, NAMES_GATE, Common, StoredState
from splitd.model.packing import Packing
from storaged.system.clocks import elapsed_s

TRIES = 50
"""How often a transaction is tried that conflicts with others."""

Connect = Callable[[], Any]
"""Returns a new connection to the database, which is not in a transaction."""

_CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation, ChainBroken)


class Current:
    """The state of the transaction that the calling thread is in."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._local.state, name)

    @contextmanager
    def be(self, state: StoredState) -> Iterator[None]:
        """Be this state in the calling thread until the end of the block."""
        self._local.state = state
        try:
            yield
        finally:
            del self._local.state


class Connected:
    """A connection, which is opened again when it is lost.

    :param slot: returns the number of the connection.
    :param few_rows: whether all its statements look for few rows by indexes.
    """

    def __init__(
        self, connect: Connect, current: Current, common: Common, slot: Callable[[], int], *, few_rows: bool = True
    ) -> None:
        self._connect = connect
        self._few_rows = few_rows
        self._current = current
        self._common = common
        self._slot = slot
        self._packing = Packing()
        self._connection: Any = None

    def open(self) -> None:
        """Connect, unless it is connected; see `Worker.open`."""
        if not self._is_open():
            self.close()  # libpq holds the socket of a connection that was lost
            connection = self._connect()
            try:
                connection.pipelined(few_rows=self._few_rows)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _is_open(self) -> bool:
        return self._connection is not None and not self._connection.closed

    def idle(self) -> float:
        """Nothing is due ever; see `Worker.idle`."""
        return 3600.0

    def settle(self) -> None:
        """Nothing is left to do; see `Worker.settle`."""

    def _state(self, *, locks: bool) -> StoredState:
        if len(self._packing.shapes) > _MOST_SHAPES:
            self._packing = Packing()
        return StoredState(Statements(self._connection), self._packing, self._common, self._slot(), locks=locks)


_MOST_SHAPES = 10_000


def _gate_of(changes: Sequence[Change]) -> str:
    """Return the expression that keeps out what changes exclude, or that is kept out by those; empty if none is."""
    gates = {change.gate for change in changes}
    if Gate.NAMES in gates:
        return f"pg_advisory_xact_lock({NAMES_GATE})"
    if Gate.DOCUMENTS in gates:
        return f"pg_advisory_xact_lock({DOCUMENTS_GATE})"
    if any(key.startswith("/") for change in changes for key, _ in change.keys):
        return f"pg_advisory_xact_lock_shared({NAMES_GATE})"
    return ""


class Writer(Connected):
    """Makes changes: each batch is one transaction.

    :param renew: renews the lease of the front, commits that, and returns after how many seconds to do so again.
    """

    def __init__(
        self,
        connect: Connect,
        current: Current,
        common: Common,
        slot: Callable[[], int],
        renew: Callable[[Any], float],
        *,
        few_rows: bool = True,
    ) -> None:
        super().__init__(connect, current, common, slot, few_rows=few_rows)
        self._renew = renew
        self._renewed_s = -math.inf
        self._placing = ShortWay()

    def open(self) -> None:
        """Connect, and write something; see `Worker.open`."""
        fresh = not self._is_open()
        super().open()
        if fresh:
            self.idle()

    def idle(self) -> float:
        """Renew the lease; see `Worker.idle`."""
        if not self._is_open():
            self.open()
            return RENEWAL_S
        asked_s = elapsed_s()
        try:
            self._connection.begin()
            wait_s = self._renew(self._connection)
        except Exception:
            self.close()  # what its transaction has come to is not known
            raise
        self._renewed_s = asked_s
        return wait_s

    def work(self, batch: Sequence[Job]) -> Sequence[Any]:
        """Make changes; see `Worker.work`."""
        if not self._is_open():
            self.open()
        elif elapsed_s() > self._renewed_s + LEASE_S:  # the process stood still: much may have happened meanwhile
            self.idle()
        changes = [job for job in batch if isinstance(job, Change)]
        try:
            placed = self._place(changes)
            outcomes = iter(self._make([each for each in changes if each not in placed]))
        except Exception:
            self.close()  # what its transaction has come to is not known
            raise
        return [True if each in placed else next(outcomes) for each in changes]

    def _place(self, changes: Sequence[Change]) -> set[Change]:
        """Commit uploads without judging them; return those for which that was possible."""
        commits = [change.manner.placing for change in changes if change.manner.placing is not None]
        if not commits or len(commits) < len(changes) or not self._placing.is_open():
            return set()
        self._connection.begin_one()
        try:
            asked = place_at_once(Statements(self._connection), commits, self._common, self._slot())
        except Exception as problem:
            return self._not_placed(problem)
        try:
            self._connection.commit()
        except psycopg.Error as problem:
            return self._not_placed(problem)
        if asked is None:
            return set()
        placed = {changes[number - 1] for (number,) in asked.fetchall()}
        self._placing.tried(in_vain=not placed)
        return placed

    def _not_placed(self, problem: Exception) -> set[Change]:
        """Roll back, so that each commit is judged: then it turns out why, and the others do not suffer from it."""
        if is_away(problem):
            raise problem
        self._connection.rollback()
        return set()

    def _make(self, changes: Sequence[Change]) -> list[Any]:
        """Make changes in one transaction, or each in its own if that fails.

        :raise psycopg.Error: the database does not work.
        """
        if not changes:
            return []
        try:
            return self._together(changes)
        except Exception as problem:
            if is_away(problem):
                raise
            self._connection.rollback()
            if len(changes) == 1:
                return [refusal("make this change", *_CONFLICTS)]
            # One of them is at fault; the others must not suffer from it.
            return [outcome for each in changes for outcome in self._make([each])]

    def _together(self, changes: Sequence[Change]) -> list[Any]:
        beginnings = [change.manner.beginning for change in changes if change.manner.beginning is not None]
        if len(beginnings) == len(changes) and self._begin(beginnings):
            return [None] * len(changes)
        for left in reversed(range(TRIES)):
            try:
                return self._try(changes)
            except _CONFLICTS:
                self._connection.rollback()
                if not left:
                    raise
        raise AssertionError

    def _begin(self, beginnings: Sequence[Beginning]) -> bool:
        """Begin uploads; return whether that was possible without judging the changes."""
        self._connection.begin_one()
        try:
            asked = begin_at_once(Statements(self._connection), beginnings, self._common.numbers, self._slot())
            self._connection.commit()
        except _CONFLICTS:
            self._connection.rollback()
            return False
        return bool(asked is not None and asked.fetchone()[0])

    def _try(self, changes: Sequence[Change]) -> list[Any]:
        self._connection.begin()
        state = self._state(locks=True)
        lock = _gate_of(changes)
        gate = state.execute(f"SELECT {lock}, {SHARE}") if lock else None
        outcomes: list[Any] = []
        with self._current.be(state):
            state.load(key for change in changes for key in change.keys)
            if gate is not None and not gate.fetchone()[1]:
                raise Excluded(EXCLUDED)
            for change in changes:
                try:
                    records, result = change.judge()
                except (psycopg.Error, ChainBroken):
                    raise
                except Exception:
                    if change.alone:
                        raise
                    outcomes.append(Failure())
                    continue
                for record in records:
                    enact(state, record)
                    state.touches.note(record)
                outcomes.append(result)
            state.flush()
        self._connection.commit()
        self._common.widest = max(self._common.widest, state.widest)
        return outcomes


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
