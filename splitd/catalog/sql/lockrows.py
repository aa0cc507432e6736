"""The rows of locks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from splitd.catalog.sql.about import About
from splitd.model.locks import Lock, Locks
from splitd.model.paths import above, place_of

_MOST_MARKS = 4096
"""How many of the places where a lock was taken are remembered."""

_EXPIRED_MS = 3_600_000
"""How long the rows of locks are kept that have expired: the clocks of fronts may differ."""

_SUMMARY = """(SELECT coalesce(max(taken), 0) FROM lock_mark), EXISTS (SELECT FROM lock),
    (SELECT coalesce(min(taken), 0) FROM lock_mark), (SELECT count(*) FROM lock_mark)"""
_WIDTH = 4
_COLUMNS = "path, token, scope, deep, owner, taken_ms, expires_ms, holder"


class LocksTaken(Exception):
    """Locks were taken, so their rows must be looked at, too."""


@attrs.define
class SeenLocks:
    """What a front has seen of locks; several threads share it.

    :ivar ever: whether a lock of WebDAV was taken ever, as far as this front knows.
    :ivar are_there: whether there were rows of locks at the last look; those of expired locks count, too.
    """

    ever: bool = False
    are_there: bool = False


class StoredLocks(Locks):
    """The locks that cover some paths, or were taken below them.

    :param cursor: of the transaction.
    :param seen: takes note of what is seen.
    """

    def __init__(self, cursor: Any, seen: SeenLocks) -> None:
        super().__init__()
        self._cursor = cursor
        self._seen = seen
        self._before: dict[str, Lock] = {}
        self._marks_before: dict[tuple[str, bool], int] = {}
        self._taken_before = 0

    def about(self, paths: Iterable[str]) -> About:
        """Return what loads all that is about some paths."""
        return About(_SUMMARY, _WIDTH, lambda summary: self._load(paths, *summary))

    def none(self) -> About:
        """Return what makes sure, by the statement that looks at the paths, that no lock was taken anywhere.

        It raises `LocksTaken` if one was.
        """

        def take(summary: Sequence[Any]) -> None:
            taken, self._seen.are_there, *_ = summary
            if taken:
                raise LocksTaken

        return About(_SUMMARY, _WIDTH, take)

    def _load(self, paths: Iterable[str], taken: int, is_any: bool, first: int, marks: int) -> None:
        self._seen.are_there = is_any
        if taken:
            places = {place_of(path) for path in paths}
            wanted = sorted(place.encode() for place in places.union(*map(above, places)))
            if is_any:
                self._load_locks(wanted, sorted(place.encode() for place in places))
            query = "SELECT place, deep, taken FROM lock_mark WHERE place = ANY(%s) ORDER BY taken"
            for place, deep, number in self._cursor.execute(query, (wanted,)).fetchall():
                self._last_taken[place.decode(), deep] = number
        self._marks_before = dict(self._last_taken)
        self.taken = self._taken_before = taken
        self._forgotten = first - 1 if marks >= _MOST_MARKS else 0

    def load_all(self) -> None:
        """Load all locks."""
        for path, *rest in self._cursor.execute(f"SELECT {_COLUMNS} FROM lock ORDER BY serial").fetchall():
            self.take(Lock(path.decode(), *rest))

    def _load_locks(self, wanted: list[bytes], places: list[bytes]) -> None:
        query = f"""SELECT {_COLUMNS} FROM (
                SELECT {_COLUMNS}, serial FROM lock WHERE place = ANY(%s)
                UNION
                SELECT {_COLUMNS}, serial FROM unnest(%s::bytea[]) AS here(above)
                JOIN lock ON place >= above || '/' AND place < above || '0'
            ) AS found ORDER BY serial"""
        for path, *rest in self._cursor.execute(query, (wanted, places)).fetchall():
            lock = Lock(path.decode(), *rest)
            self._before[lock.token] = lock
            self.take(lock)

    def flush(self) -> None:
        """Write what was changed."""
        execute = self._cursor.execute
        now = {lock.token: lock for lock in self}
        gone = sorted(self._before.keys() - now.keys())
        if gone:
            execute("DELETE FROM lock WHERE token = ANY(%s)", (gone,))
        put = {token: lock for token, lock in now.items() if self._before.get(token) != lock}
        if put:
            self._seen.are_there = True
            latest_ms = max(lock.taken_ms for lock in put.values())
            execute(_DROP, (latest_ms - _EXPIRED_MS, _EXPIRED_MS))
        for token, lock in put.items():
            row = lock.path.encode(), token, lock.scope, lock.deep, lock.owner, lock.taken_ms, lock.expires_ms
            execute(_PUT, (*row, lock.user, place_of(lock.path).encode()))
        for (place, deep), taken in self._last_taken.items():
            if self._marks_before.get((place, deep)) != taken:
                query = """INSERT INTO lock_mark VALUES (%s, %s, %s)
                    ON CONFLICT (place, deep) DO UPDATE SET taken = excluded.taken"""
                execute(query, (place.encode(), deep, taken))
        if self.taken != self._taken_before:
            query = """DELETE FROM lock_mark WHERE taken <=
                (SELECT taken FROM lock_mark ORDER BY taken DESC OFFSET %s LIMIT 1)"""
            execute(query, (_MOST_MARKS,))


# By the database's clock as well: that of one front may be far ahead.
_DROP = "DELETE FROM lock WHERE expires_ms <= least(%s, (extract(epoch FROM now()) * 1000)::bigint - %s)"

_PUT = f"""INSERT INTO lock ({_COLUMNS}, place, serial)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, nextval('lock_serials'))
    ON CONFLICT (token) DO UPDATE SET path = excluded.path, place = excluded.place, scope = excluded.scope,
        deep = excluded.deep, owner = excluded.owner, taken_ms = excluded.taken_ms,
        expires_ms = excluded.expires_ms, holder = excluded.holder, serial = excluded.serial"""
