"""Where each packed part lies: a database that can be thrown away, for the packs say it all.

Changes gather in memory and go into the database many at a time, each time with how far the packs are indexed; a start
reads the packs from there on.  So the database needs no sync, but before a pack is deleted: after a power cut it is
older, or gone, and never wrong.  Every method blocks; they may be called from several threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

import attrs
from twisted.logger import Logger

from storaged.packs.format import entry_size

_VERSION = 1
_FLUSH_AFTER = 4000
_SCHEMA = """
CREATE TABLE parts (id TEXT PRIMARY KEY, pack INTEGER, offset INTEGER, length INTEGER, time_ms INTEGER) WITHOUT ROWID;
CREATE TABLE packs (pack INTEGER PRIMARY KEY, live INTEGER);
CREATE TABLE removals (pack INTEGER, removed_from INTEGER, count INTEGER, PRIMARY KEY (pack, removed_from));
CREATE TABLE mark (pack INTEGER, offset INTEGER);
INSERT INTO mark VALUES (0, 0);
"""


@attrs.frozen
class Place:
    """Where a part lies.

    :param pack: the number of the pack.
    :param offset: where in it the stored bytes begin.
    :param length: how many they are.
    :param time_ms: when the part was stored, milliseconds since 1970.
    """

    pack: int
    offset: int
    length: int
    time_ms: int


@attrs.frozen
class Mark:
    """How far the packs are indexed: all before this pack, and this one up to this offset."""

    pack: int
    offset: int


class PackIndex:
    """The places of all parts.

    :param path: of the database.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None
        self._recent: dict[str, Place | None] = {}
        self._mark = Mark(0, 0)
        self._highest: dict[str, str] = {}  # of the ids in the database, by their first byte
        self._flush_at = _FLUSH_AFTER
        self.live: dict[int, int] = {}
        """The bytes of entries whose parts are not removed, by pack."""
        self.removals: dict[tuple[int, int], int] = {}
        """How many removals lie in a pack, of parts that lie in another, by the numbers of both."""

    def open(self) -> Mark:
        """Open the database, or begin a new one where there is none that can be used.

        :return: how far the packs are in it.
        """
        with self._lock:
            try:
                return self._open()
            except sqlite3.DatabaseError as problem:
                self._log.warn("{path} is made anew: {problem}", path=self._path, problem=str(problem))
                self._discard()
                return self._open()

    def _open(self) -> Mark:
        # The write-ahead file (WAL) has checksums, and is synced before its pages go to the database: a power cut takes
        # the last changes and leaves the database whole, though no change is synced.
        database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        self._database = database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # or each query locks and unlocks the file
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
            bounds = (region, region + "g")  # behind all hexadecimal digits
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
        """Write what has gathered, and close the database."""
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
        """Whether it takes a look to know that a part is not here.  Does not block."""
        # Behind a first byte, which is random, ids begin with the time: a new one is higher than all those there.
        return part_id <= self._highest.get(part_id[:2], "") or part_id in self._recent

    def find(self, part_id: str) -> Place | None:
        """Where a part lies; None where there is none."""
        with self._lock:
            return self._find(part_id)

    def _find(self, part_id: str) -> Place | None:
        if part_id in self._recent:
            return self._recent[part_id]
        if not self.may_have(part_id):
            return None
        rows = self._rows("SELECT * FROM parts WHERE id = ?", part_id)
        return Place(*rows[0][1:]) if rows else None

    def find_all(self, part_ids: Iterable[str]) -> dict[str, Place | None]:
        """Where several parts lie."""
        with self._lock:
            return {part_id: self._find(part_id) for part_id in part_ids}

    def change(self, places: Mapping[str, Place | None], removals: Iterable[int], mark: Mark) -> None:
        """Take new places of parts; None for those that are removed.

        :param removals: for each removal that was written, the pack where the part lies.
        :param mark: how far the packs are indexed with that; all that is told lies in its pack.
        """
        with self._lock:
            for part_id, place in places.items():
                before = self._find(part_id)
                if before is not None:
                    self.live[before.pack] -= entry_size(before.length)
                if place is not None:
                    self.live[place.pack] = self.live.get(place.pack, 0) + entry_size(place.length)
                self._recent[part_id] = place
            for removed_from in removals:
                if removed_from != mark.pack:
                    key = mark.pack, removed_from
                    self.removals[key] = self.removals.get(key, 0) + 1
            self._mark = mark
            if len(self._recent) >= self._flush_at:
                self._try_to_flush()

    def forget_pack(self, pack: int) -> None:
        """A pack is gone; no part lies in it any more."""
        with self._lock:
            self._flush()
            assert self._database is not None
            self._database.execute("DELETE FROM packs WHERE pack = ?", (pack,))
            self._database.execute("DELETE FROM removals WHERE pack = ?1 OR removed_from = ?1", (pack,))
            self.live.pop(pack, None)
            self.removals = {key: count for key, count in self.removals.items() if pack not in key}

    def settle(self) -> None:
        """Make all changes so far survive a power cut, as is needed before a pack is deleted.

        An older database would know parts of that pack, and nothing would tell where they went, or that they are gone.
        """
        with self._lock:
            assert self._database is not None
            self._database.execute("PRAGMA synchronous = FULL")
            try:
                self._flush()
            finally:
                self._database.execute("PRAGMA synchronous = NORMAL")

    def flush(self) -> None:
        """Write what has gathered to the database."""
        with self._lock:
            self._flush()

    def _try_to_flush(self) -> None:
        try:
            self._flush()
            self._flush_at = _FLUSH_AFTER
        except sqlite3.Error as problem:
            # The packs have it all; it is tried again a while later.
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
        for part_id in self._recent:  # before they are no more recent: see `may_have`
            if part_id > self._highest.get(part_id[:2], ""):
                self._highest[part_id[:2]] = part_id
        self._recent.clear()

    def page(self, after: str, limit: int) -> list[tuple[str, Place]]:
        """Parts in ascending order of their ids.

        :param after: only ids greater than this.
        """
        with self._lock:
            self._flush()
            rows = self._rows("SELECT * FROM parts WHERE id > ? ORDER BY id LIMIT ?", after, limit)
        return [(row[0], Place(*row[1:])) for row in rows]
