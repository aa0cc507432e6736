"""The stamps by which a front finds out whether a look-up that it keeps still holds, whichever front has changed names.

Each connection that changes names counts its transactions in a row of its own, in the transaction itself.  So whoever
sees that no number has grown sees, in the same snapshot, that no name has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from splitd.catalog.sql.rows import array
from splitd.catalog.touched import group_of, touched
from splitd.model.records import Record

RING = 256
"""So many transactions of each connection can be told apart; to who has missed more, all names have changed."""
_MOST = 500
"""A transaction that touches more groups of paths counts as one that touches all."""

_STAMP = """stamped AS (
        INSERT INTO stamp AS s SELECT %(slot)s, 1 WHERE {where}
        ON CONFLICT (slot) DO UPDATE SET number = s.number + 1 RETURNING number
    )"""
_NOTE = f"""INSERT INTO touched AS t (slot, place, number, groups)
    SELECT %(slot)s, number %% {RING}, number, %(groups)s::smallint[] FROM stamped
    ON CONFLICT (slot, place) DO UPDATE SET number = excluded.number, groups = excluded.groups"""
_COUNT = f"WITH {_STAMP.format(where='true')} {_NOTE}"
COUNT = f"{_STAMP}, noted AS ({_NOTE})"
"""The parts of a statement that count its transaction if something is so, by the values `slot` and `groups`."""

_NUMBERS = "SELECT slot, number FROM stamp"

_SINCE = f"""SELECT t.slot, t.number, t.groups
    FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[]) AS known(slot, number, now),
        generate_series(greatest(known.number + 1, known.now - {RING - 1}), known.now) AS missed(number),
        touched t
    WHERE t.slot = known.slot AND t.place = (missed.number %% {RING})::smallint AND t.number = missed.number"""


class Touches:
    """What one transaction touches of what is found at paths.

    :param slot: the number of the connection.
    """

    def __init__(self, cursor: Any, slot: int) -> None:
        self._cursor = cursor
        self._slot = slot
        self._groups: set[int] | None = set()

    def note(self, record: Record) -> None:
        """Take note of a record that takes effect."""
        places = touched(record)
        if places is None or self._groups is None:
            self._groups = None
        else:
            self._groups.update(map(group_of, places))

    @property
    def column(self) -> str | None:
        """The groups of paths that are touched, as a column: empty for none, None for all."""
        return None if self._groups is None or len(self._groups) > _MOST else array(sorted(self._groups))

    def flush(self) -> None:
        """Count the transaction, if it touches anything."""
        if self._groups is None or self._groups:
            self._cursor.execute(_COUNT, {"slot": self._slot, "groups": self.column})


@attrs.frozen
class News:
    """What has been touched since the last news.

    :ivar groups: the groups of paths; None for all.
    """

    groups: Iterable[int] | None = ()


class Stamps:
    """Finds out, on one connection, what has been touched since the last time."""

    def __init__(self) -> None:
        self._known: dict[int, int] | None = None

    def forget(self) -> None:
        """Take it that all has changed: the connection was lost, and the database may be another server now."""
        self._known = None

    def ask(self, cursor: Any) -> Any:
        """Ask for the numbers of all connections, for `news`."""
        return cursor.execute(_NUMBERS)

    def news(self, cursor: Any, asked: Any) -> News:
        """Return what has been touched since the last time."""
        known, now = self._known, dict(asked.fetchall())
        if now == known:
            return News()
        self._known = now
        if known is None or any(known[slot] > now.get(slot, -1) for slot in known):
            return News(None)
        grown = [(slot, known.get(slot, 0), number) for slot, number in now.items() if number > known.get(slot, 0)]
        rows = cursor.execute(_SINCE, tuple(map(array, zip(*grown, strict=True)))).fetchall()
        return News(_groups_of(rows, sum(number - before for _, before, number in grown)))


def _groups_of(rows: Sequence[tuple[int, int, Sequence[int] | None]], expected: int) -> set[int] | None:
    """Return the groups in rows; None for all, if some are missing or touch all."""
    if len(rows) < expected or any(groups is None for _, _, groups in rows):
        return None
    return {group for _, _, groups in rows for group in groups or ()}
