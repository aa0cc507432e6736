"""The rows of what is stored below the paths of quotas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from splitd.catalog.metering import Meter, Meters
from splitd.catalog.sql.about import About
from splitd.catalog.sql.rows import array
from splitd.catalog.sql.trees import weigh_tree
from splitd.catalog.state import State
from splitd.model.binned import metered
from splitd.model.branch import Branch
from splitd.model.packing import Packed
from splitd.model.paths import place_of
from splitd.model.subtrees import Weight


class StoredMeters(Meters):
    """The meters that the changes of one transaction may count in."""

    def __init__(self, state: State, cursor: Any) -> None:
        super().__init__(state)
        self._cursor = cursor
        self._before: dict[str, tuple[int, int]] = {}

    def about(self, paths: Iterable[str]) -> About:
        """Return what loads and holds the meters of paths, if there are meters at all."""
        return About("EXISTS (SELECT FROM meter)", 1, lambda found: self.load(paths) if found[0] else None)

    def load(self, paths: Iterable[str] | None, *, locks: bool = True) -> None:
        """Load meters, and hold them until the end of the transaction.

        :param paths: of the changes; None for all meters.
        """
        query = "SELECT path, bytes, files FROM meter ORDER BY path"
        places = None if paths is None else [place_of(metered(path)).encode() or b"/" for path in paths]
        if places is not None:
            query = """SELECT path, bytes, files FROM meter WHERE EXISTS (
                    SELECT FROM unnest(%s::bytea[]) AS here(place) WHERE path = '/' OR path = here.place
                    OR substr(here.place, 1, octet_length(path) + 1) = path || '/'
                    OR substr(path, 1, octet_length(here.place) + 1) = here.place || '/')
                ORDER BY path"""
        found = self._cursor.execute(query + " FOR UPDATE" * locks, None if places is None else (array(places),))
        self._know(found.fetchall())

    def _know(self, rows: Iterable[tuple[bytes, int, int]]) -> None:
        for column, size, files in rows:
            path = column.decode()
            if path in self._at:  # it was loaded before, and may have counted since
                continue
            self._at[path] = Meter(path, size, files)
            self._before[path] = size, files

    def flush(self) -> None:
        """Write what was counted."""
        for path, meter in self._at.items():
            if self._before.get(path) != (meter.bytes, meter.files):
                query = """INSERT INTO meter VALUES (%s, %s, %s)
                    ON CONFLICT (path) DO UPDATE SET bytes = excluded.bytes, files = excluded.files"""
                self._cursor.execute(query, (path.encode(), meter.bytes, meter.files))

    def begin(self, path: str) -> Iterator[None]:
        """Have a meter at a path; see `Meters.begin`."""
        weight = Weight()
        yield from self._weigh_all(path, weight)
        self._at[path] = Meter(path, weight.bytes, weight.files)

    def _weigh_entry(self, entry: Packed | Branch, weight: Weight) -> Iterator[None]:
        weigh_tree(self._cursor, entry, weight)
        yield
