"""The index of where each packed part lies: a database that can be lost, because the packs hold everything in it.

Changes gather in memory and are written to the database many at a time, together with a mark of how far the packs are
indexed; a start reads the packs from that mark on.  So the database needs a sync only before a pack is deleted: after
a power cut it is older, or gone, but never wrong.  Methods block unless they say otherwise, and may be called from
several threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

import msgspec
from twisted.logger import Logger

from storaged.packs.format import entry_size

_VERSION = 1
_FLUSH_AFTER = 4000
_MOST_KNOWN = 8192
"""Places from the database that are kept in memory: some 320 bytes each."""

_SCHEMA = """
CREATE TABLE parts (id TEXT PRIMARY KEY, pack INTEGER, offset INTEGER, length INTEGER, time_ms INTEGER) WITHOUT ROWID;
CREATE TABLE packs (pack INTEGER PRIMARY KEY, live INTEGER);
CREATE TABLE removals (pack INTEGER, removed_from INTEGER, count INTEGER, PRIMARY KEY (pack, removed_from));
CREATE TABLE mark (pack INTEGER, offset INTEGER);
INSERT INTO mark VALUES (0, 0);
"""


class Place(msgspec.Struct, frozen=True, gc=False):
    """The place of a part.

    :param pack: the number of the pack.
    :param offset: the offset of the stored bytes in the pack.
    :param length: the number of stored bytes.
    :param time_ms: when the part was stored, milliseconds since 1970.
    """

    pack: int
    offset: int
    length: int
    time_ms: int


class Mark(msgspec.Struct, frozen=True, gc=False):
    """How far the packs are indexed: all packs before `pack`, and `pack` up to `offset`."""

    pack: int
    offset: int


class PackIndex:
    """The places of all packed parts.

    :param path: the path of the database.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None
        self._recent: dict[str, Place | None] = {}
        self._known: dict[str, Place] = {}  # places that were read from the database, the oldest first
        self._mark = Mark(0, 0)
        self._highest: dict[str, str] = {}  # the highest id in the database for each first byte
        self._flush_at = _FLUSH_AFTER
        self.live: dict[int, int] = {}
        """For each pack, the bytes of the entries whose parts are not removed."""
        self.removals: dict[tuple[int, int], int] = {}
        """The number of removals, by the pack that holds them and the different pack that holds the removed parts."""

    def open(self) -> Mark:
        """Open the database, or create a new one if it is missing or unusable.

        :return: how far it has indexed the packs.
        """
        with self._lock:
            try:
                return self._open()
            except sqlite3.DatabaseError as problem:
                self._log.warn("{path} is made anew: {problem}", path=self._path, problem=str(problem))
                self._discard()
                return self._open()

    def _open(self) -> Mark:
        # The write-ahead log (WAL) has checksums, and is synced before its pages go to the database: a power cut loses
        # the last changes but leaves the database intact, although no change is synced.
        database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        self._database = database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # otherwise each query locks and unlocks the file
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -4096")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"version {version}, this program knows {_VERSION}")
        self.live = dict(database.execute("SELECT pack, live FROM packs"))
        self.removals = {row[:2]: row[2] for row in database.execute("SELECT * FROM removals")}
        for region in (f"{number:02x}" for number in range(256)):
            bounds = (region, region + "g")  # "g" sorts after all hexadecimal digits
            highest = database.execute("SELECT max(id) FROM parts WHERE id > ? AND id < ?", bounds).fetchone()[0]
            if highest is not None:
                self._highest[region] = highest
        self._mark = Mark(*database.execute("SELECT pack, offset FROM mark").fetchone())
        return self._mark

    def _discard(self) -> None:
        self._close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(self._path + suffix).unlink()

    def close(self) -> None:
        """Write the gathered changes, and close the database."""
        self.flush()
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _rows(self, query: str, *values: object) -> list[tuple[str, int, int, int, int]]:
        assert self._database is not None, "the index is closed"
        return self._database.execute(query, values).fetchall()

    def may_have(self, part_id: str) -> bool:
        """Return False if this part is certainly not indexed; True if only `find` can tell.  Does not block."""
        # An id is a random first byte followed by the time, so a new id is higher than all others of its first byte.
        return part_id <= self._highest.get(part_id[:2], "") or part_id in self._recent

    def find(self, part_id: str) -> Place | None:
        """Return the place of a part; None if no part has this id."""
        with self._lock:
            return self._find(part_id)

    def _find(self, part_id: str) -> Place | None:
        if part_id in self._recent:
            return self._recent[part_id]
        if part_id in self._known:
            return self._known[part_id]
        if not self.may_have(part_id):
            return None
        rows = self._rows("SELECT * FROM parts WHERE id = ?", part_id)
        if not rows:
            return None
        place = self._known[part_id] = Place(*rows[0][1:])
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return place

    def known(self, part_id: str) -> Place | None:
        """Return the place of a part if it is in memory; None if only `find` can tell it.  Does not block."""
        # Without the lock, which a thread may hold while it writes to the database.  So one look-up for each table.
        return self._recent.get(part_id) or self._known.get(part_id)

    def find_all(self, part_ids: Iterable[str]) -> dict[str, Place | None]:
        """Return the places of several parts; None for each id that no part has."""
        with self._lock:
            return {part_id: self._find(part_id) for part_id in part_ids}

    def change(self, places: Mapping[str, Place | None], removals: Iterable[int], mark: Mark) -> None:
        """Record changes that were written to a pack.

        :param places: the new places of parts; None for parts that are removed.
        :param removals: for each removal that was written, the pack that holds the removed part.
        :param mark: how far the packs are indexed after this; its pack is the one that was written to.
        """
        with self._lock:
            for part_id, place in places.items():
                before = self._find(part_id)
                if before is not None:
                    self.live[before.pack] -= entry_size(before.length)
                if place is not None:
                    self.live[place.pack] = self.live.get(place.pack, 0) + entry_size(place.length)
                self._known.pop(part_id, None)  # first, for `known`
                self._recent[part_id] = place
            for removed_from in removals:
                if removed_from != mark.pack:
                    key = mark.pack, removed_from
                    self.removals[key] = self.removals.get(key, 0) + 1
            self._mark = mark
            if len(self._recent) >= self._flush_at:
                self._try_to_flush()

    def forget_pack(self, pack: int) -> None:
        """Forget a pack that was deleted; no part may lie in it any more."""
        with self._lock:
            self._flush()
            assert self._database is not None
            self._database.execute("DELETE FROM packs WHERE pack = ?", (pack,))
            self._database.execute("DELETE FROM removals WHERE pack = ?1 OR removed_from = ?1", (pack,))
            self.live.pop(pack, None)
            self.removals = {key: count for key, count in self.removals.items() if pack not in key}

    def settle(self) -> None:
        """Make all changes so far durable; required before a pack is deleted.

        An older database would still place parts in that pack, and no pack would say that they were moved or removed.
        """
        with self._lock:
            assert self._database is not None
            self._database.execute("PRAGMA synchronous = FULL")
            try:
                self._flush()
            finally:
                self._database.execute("PRAGMA synchronous = NORMAL")

    def flush(self) -> None:
        """Write the gathered changes to the database."""
        with self._lock:
            self._flush()

    def _try_to_flush(self) -> None:
        try:
            self._flush()
            self._flush_at = _FLUSH_AFTER
        except sqlite3.Error as problem:
            # Nothing is lost, because the packs hold it all; the next try follows after some more changes.
            self._flush_at = len(self._recent) + _FLUSH_AFTER
            self._log.error("{path} cannot be written: {problem}", path=self._path, problem=str(problem))

    def _flush(self) -> None:
        if self._database is None:
            return
        new = [
            (key, place.pack, place.offset, place.length, place.time_ms) for key, place in self._recent.items() if place
        ]
        gone = [(key,) for key, place in self._recent.items() if place is None]
        with self._database as database:
            database.execute("BEGIN")
            database.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)", sorted(new))
            database.executemany("DELETE FROM parts WHERE id = ?", gone)
            database.executemany("INSERT OR REPLACE INTO packs VALUES (?, ?)", self.live.items())
            removals = [(*key, count) for key, count in self.removals.items()]
            database.executemany("INSERT OR REPLACE INTO removals VALUES (?, ?, ?)", removals)
            database.execute("UPDATE mark SET pack = ?, offset = ?", (self._mark.pack, self._mark.offset))
        for part_id in self._recent:  # before `_recent` is cleared: `may_have` needs an id in one of them
            if part_id > self._highest.get(part_id[:2], ""):
                self._highest[part_id[:2]] = part_id
        self._recent.clear()

    def page(self, after: str, limit: int) -> list[tuple[str, Place]]:
        """Return parts in ascending order of their ids.

        :param after: only ids greater than this are returned.
        :param limit: how many at most.
        """
        with self._lock:
            self._flush()
            rows = self._rows("SELECT * FROM parts WHERE id > ? ORDER BY id LIMIT ?", after, limit)
        return [(row[0], Place(*row[1:])) for row in rows]
