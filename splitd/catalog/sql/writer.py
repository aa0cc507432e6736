"""Does batches of changes on a connection, each batch in one transaction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import errors
from twisted.python.failure import Failure

from splitd.catalog.effects import enact
from splitd.catalog.sql.beginning import Beginning, begin_at_once
from splitd.catalog.sql.chains import ChainBroken
from splitd.catalog.sql.connected import Connect, Connected, Current
from splitd.catalog.sql.connecting import Statements, is_away
from splitd.catalog.sql.exclusion import EXCLUDED, SHARE, Excluded
from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.fronts import RENEWAL_S
from splitd.catalog.sql.jobs import Change, Gate
from splitd.catalog.sql.lanes import Job
from splitd.catalog.sql.placing import place_at_once
from splitd.catalog.sql.refusals import refusal
from splitd.catalog.sql.short_ways import ShortWay
from splitd.catalog.sql.state import DOCUMENTS_GATE, NAMES_GATE, Common
from storaged.system.clocks import elapsed_s

TRIES = 50
"""How often a transaction is tried that conflicts with others."""

_CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation, ChainBroken)


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
