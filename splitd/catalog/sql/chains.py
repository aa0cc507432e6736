"""Locks and loads the collections that paths lead through, and what is at the paths' ends.

A change of a member holds a lock on each collection above it: a weak one by which none of these is moved or deleted
meanwhile, and a stronger one on the collection that gains or loses the member, so that changes there take turns.  Who
moves or deletes a collection holds its row for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from operator import itemgetter
from typing import Any

import attrs

from splitd.catalog.sql.about import About
from splitd.catalog.sql.rows import array, decode_properties
from splitd.model.paths import place_of
from splitd.model.properties import LAYOUT, read_layout

Row = Sequence[Any]
"""A collection that this front knows: its parent, name and id, whether it is implied, a digest of its properties, and
the layout that it asks for.  The last two are None if it has no properties, and if it asks for no layout.
"""


class ChainBroken(Exception):
    """A collection was moved or deleted between two looks at it: the transaction is to be tried again."""


@attrs.define
class _Step:
    """A collection that paths lead through."""

    above: int
    name: bytes
    place: str = ""
    row: Sequence[Any] | None = None  # parent, name, id, implied
    steps: dict[str, int] = attrs.Factory(dict)
    leaves: set[str] = attrs.Factory(set)
    removes: bool = False


_WALK = """WITH RECURSIVE step(number, above, name) AS MATERIALIZED (
        SELECT * FROM unnest(%s::int[], %s::int[], %s::bytea[])
    ), chain AS (
        SELECT 0 AS number, e.parent, e.name, e.id, e.implied FROM entry e WHERE e.parent = 0 AND e.name = ''
        UNION ALL
        SELECT step.number, e.parent, e.name, e.id, e.implied
        FROM chain JOIN step ON step.above = chain.number JOIN entry e ON e.parent = chain.id AND e.name = step.name
    )
    SELECT * FROM chain"""

_FOLDERS = """SELECT e.parent, e.name, e.id, e.created_ms, e.modified_ms, e.implied, e.properties
    FROM unnest(%s::bigint[], %s::bytea[]) AS step(parent, name)
    JOIN entry e ON e.parent = step.parent AND e.name = step.name ORDER BY e.id"""

_LOOK = """WITH RECURSIVE step(number, above, name) AS MATERIALIZED (
        SELECT * FROM unnest(%s::int[], %s::int[], %s::bytea[])
    ), chain AS (
        SELECT 0 AS number, e.* FROM entry e WHERE e.parent = 0 AND e.name = ''
        UNION ALL
        SELECT step.number, e.*
        FROM chain JOIN step ON step.above = chain.number JOIN entry e ON e.parent = chain.id AND e.name = step.name
    )
    SELECT e.number, {columns}{more} FROM chain e LEFT JOIN version v ON v.upload = e.upload"""

_LEAVES = """SELECT {columns} FROM unnest(%s::bigint[], %s::bytea[]) AS leaf(parent, name)
    JOIN entry e ON e.parent = leaf.parent AND e.name = leaf.name LEFT JOIN version v ON v.upload = e.upload
    ORDER BY e.parent, e.name"""

MOST_KNOWN = 10_000
"""How many collections a front knows by their places."""

SHARE, CHANGE, OWN = "KEY SHARE", "NO KEY UPDATE", "UPDATE"
_STRENGTH = {SHARE: 0, CHANGE: 1, OWN: 2}


class Chains:
    """Loads what the paths of a batch of changes lead through.

    :param known: rows of collections by their places, as earlier transactions have found them: some may be there no
        more.  Those that are found are added.
    :param take_folder: takes the row of a collection.
    :param take: takes the row of what is at the end of a path.
    """

    def __init__(
        self,
        cursor: Any,
        known: dict[str, Sequence[Any]],
        take_folder: Callable[[Sequence[Any]], object],
        take: Callable[[Sequence[Any]], object],
    ) -> None:
        self._cursor = cursor
        self._known = known
        self._take_folder = take_folder
        self._take = take

    def ask(
        self,
        paths: Iterable[tuple[str, bool]],
        columns: str,
        absent: Callable[[int, str], object],
        *,
        locks: bool,
        about: About | None = None,
    ) -> Callable[[], None]:
        """Ask for what paths lead through, and for what is at their ends.

        :param paths: each path, and whether something may be removed there, which may leave implied collections empty.
        :param columns: what to select of the ends.
        :param absent: called with the id of a collection, and a name that it does not have.
        :param locks: whether to hold all of it until the end of the transaction.
        :param about: what to ask for by the same statement, without locks.
        :return: takes what was asked for; raises `ChainBroken` if a collection is not where it was.
        :raise ChainBroken: other changes came between.
        """
        steps = self._plan(paths)
        if not locks:
            return self._ask_all(steps, columns, absent, about)
        # A collection that is found where it was, with the id that it had, is the same one: see `_ask_folders`.
        if not self._recall(steps):
            self._walk(steps)
            if steps[0].row is None:
                raise ChainBroken("there is no root")
        take_folders = self._lock(steps)
        if any(step.row is None for step in steps):
            take_folders()
            take_folders = _nothing
            self._refuse_made(steps)
        leaves = [(step.row[2], name) for step in steps if step.row is not None for name in sorted(step.leaves)]
        query = _LEAVES.format(columns=columns) + " FOR UPDATE OF e"
        ends = array([parent for parent, _ in leaves]), array([name.encode() for _, name in leaves])
        found = self._cursor.execute(query, ends) if leaves else None

        def take() -> None:
            take_folders()
            for row in () if found is None else found.fetchall():
                self._take(row)
            for parent, name in leaves:
                absent(parent, name)

        return take

    def _ask_all(
        self, steps: list[_Step], columns: str, absent: Callable[[int, str], object], about: About | None
    ) -> Callable[[], None]:
        """Ask for all of it by one statement, without locks."""
        above, names = [step.above for step in steps[1:]], [step.name for step in steps[1:]]
        for number, step in enumerate(steps):
            above += [number] * len(step.leaves)
            names += [name.encode() for name in step.leaves]
        values = array(range(1, len(names) + 1)), array(above), array(names)
        more = "" if about is None else f", {about.columns}"
        found = self._cursor.execute(_LOOK.format(columns=columns, more=more), values)

        def take() -> None:
            ids: dict[int, int] = {}
            rows = sorted(found.fetchall(), key=itemgetter(0))  # each collection before what is in it
            if about is not None and rows:
                about.take_from(rows[0])
            for number, *row in rows:
                self._take(row if about is None else row[: -about.width])
                ids[number] = row[2]
            for number, step in enumerate(steps):
                if number in ids:
                    for name in step.leaves:
                        absent(ids[number], name)

        return take

    @staticmethod
    def _plan(paths: Iterable[tuple[str, bool]]) -> list[_Step]:
        steps = [_Step(-1, b"")]
        for path, removes in paths:
            nothing, *names = place_of(path).split("/")
            if nothing or not names:
                continue
            number = 0
            for name in names[:-1]:
                folder = name + "/"
                if folder not in steps[number].steps:
                    steps[number].steps[folder] = len(steps)
                    steps.append(_Step(number, folder.encode(), steps[number].place + folder))
                number = steps[number].steps[folder]
            steps[number].leaves |= {names[-1], names[-1] + "/"} - {""}
            steps[number].removes |= removes
        return steps

    def _recall(self, steps: list[_Step]) -> bool:
        """Take it that collections are where they were; return whether that is enough to begin with."""
        if any(step.removes for step in steps):
            return False  # what is removed may take implied collections along: these must be known as they are
        rows: list[Sequence[Any]] = []
        for step in steps:
            row = self._known.get(step.place)
            # One that lies elsewhere was moved with the collection above it, whose place another one has by now.
            if row is None or (rows and row[0] != rows[step.above][2]):
                return False
            rows.append(row)
        for step, row in zip(steps, rows, strict=True):
            step.row = row
        return True

    def _walk(self, steps: list[_Step]) -> None:
        for number, row in self._found(steps):
            steps[number].row = row

    def _found(self, steps: list[_Step]) -> list[tuple[int, Sequence[Any]]]:
        numbers = range(1, len(steps))
        above, names = [steps[number].above for number in numbers], [steps[number].name for number in numbers]
        found = self._cursor.execute(_WALK, (array(numbers), array(above), array(names))).fetchall()
        return [(number, row) for number, *row in found]

    def _refuse_made(self, steps: list[_Step]) -> None:
        """Refuse to go on if a collection that was missing was made before the lock was there: it is not locked."""
        if any(steps[number].row is None for number, _ in self._found(steps)):
            raise ChainBroken("a collection was made meanwhile")

    def _lock(self, steps: list[_Step]) -> Callable[[], None]:
        """Ask for the locks of all collections; return what takes their rows."""
        wanted = _strengths(steps)
        rest = [number for number, step in enumerate(steps) if step.row is not None and number not in wanted]
        asked = [self._ask_folders(steps, rest, "")]
        for strength in (SHARE, CHANGE, OWN):
            locked = [number for number, each in wanted.items() if each == strength]
            asked.append(self._ask_folders(steps, locked, f" FOR {strength} OF e"))

        def take() -> None:
            fetched: dict[int, Sequence[Any]] = {}
            try:
                for fetch in asked:
                    fetched |= fetch()
            except ChainBroken:
                for step in steps:
                    self._known.pop(step.place, None)
                raise
            self._take_folders(steps, fetched)

        return take

    def _ask_folders(
        self, steps: list[_Step], numbers: Sequence[int], locking: str
    ) -> Callable[[], dict[int, Sequence[Any]]]:
        rows = [row for number in numbers if (row := steps[number].row) is not None]
        if not rows:
            return dict
        ends = array([row[0] for row in rows]), array([row[1] for row in rows])
        found = self._cursor.execute(_FOLDERS + locking, ends)

        def fetch() -> dict[int, Sequence[Any]]:
            fetched = {row[2]: row for row in found.fetchall()}
            if locking and fetched.keys() != {row[2] for row in rows}:
                raise ChainBroken("a collection was moved or deleted meanwhile")
            return fetched

        return fetch

    def _take_folders(self, steps: list[_Step], fetched: dict[int, Sequence[Any]]) -> None:
        """Take the rows of collections, each after that of the one it lies in."""
        for step in steps:
            row = None if step.row is None else fetched.get(step.row[2])
            if row is None:
                step.row = None
                self._known.pop(step.place, None)  # else files would be stored there before they are refused
            else:
                self._take_folder(row)
                self._know(step.place, row)

    def _know(self, place: str, row: Sequence[Any]) -> None:
        if len(self._known) >= MOST_KNOWN and place not in self._known:
            self._known.clear()
        parent, name, id_, _, _, implied, properties = row
        self._known[place] = parent, name, id_, implied, *_known_of(properties)


def chain_to(known: Mapping[str, Row], path: str) -> list[Row] | None:
    """Return the rows of the collections that a path leads through; None if this front does not know them all."""
    folder = path[1 : path.rfind("/") + 1]
    places, end = [""], folder.find("/")
    while end >= 0:
        places.append(folder[: end + 1])
        end = folder.find("/", end + 1)
    rows = [row for place in places if (row := known.get(place)) is not None]
    # One that lies elsewhere was moved with the collection above it, whose place another one has by now.
    if len(rows) < len(places) or any(row[0] != above[2] for above, row in pairwise(rows)):
        return None
    return rows


def _known_of(properties: bytes | None) -> tuple[bytes | None, str | None]:
    if properties is None:
        return None, None
    element = decode_properties(properties).get(LAYOUT)
    return sha256(properties).digest(), None if element is None else read_layout(element)


def layout_of(chain: Sequence[Row]) -> str:
    """Return the layout that the nearest of some collections asks for; empty if none does.

    :param chain: their rows, as `chain_to` returns them.
    """
    return next((row[5] for row in reversed(chain) if row[5] is not None), "")


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Return the parents, names and ids of collections as arrays."""
    return [array(column) for column in zip(*(row[:3] for row in rows), strict=True)]


def _strengths(steps: list[_Step]) -> dict[int, str]:
    """Return how to lock the collections that steps lead to, by the numbers of the steps."""
    wanted: dict[int, str] = {}

    def want(number: int, strength: str) -> None:
        if _STRENGTH[strength] > _STRENGTH.get(wanted.get(number, ""), -1):
            wanted[number] = strength

    for number, step in enumerate(steps):
        if not step.leaves:
            continue
        last = number
        while steps[last].row is None:
            last = steps[last].above
        while step.removes and last and steps[last].row[3]:  # type: ignore[index]
            want(last, OWN)
            last = steps[last].above
        want(last, CHANGE)
        while last := max(steps[last].above, 0):
            want(last, SHARE)
    return wanted


def _nothing() -> None:
    """Nothing is left to take."""
