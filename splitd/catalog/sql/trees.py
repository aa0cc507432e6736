"""Work on whole trees of names, in single statements or in slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from splitd.catalog.sql.branches import StoredBranch
from splitd.catalog.sql.names import COLUMNS, JOINED, TRASH, Names
from splitd.errors import BadName, TooManyNames
from splitd.model.binned import was_at
from splitd.model.branch import Branch
from splitd.model.packing import Packed, Packing
from splitd.model.path_faults import MAX_NAME, MAX_PATH
from splitd.model.paths import place_of
from splitd.model.subtrees import Copying, Weight, weigh
from splitd.model.tree import MAX_COPIED, Tree

SLICE = 1000
"""How many names of a tree that was deleted are taken apart in one transaction."""
AT_ONCE = 500
"""A tree of no more names is taken apart in the transaction that deletes it."""

_BELOW = """WITH RECURSIVE below(id, length) AS (
        SELECT id, 0 FROM unnest(%s::bigint[]) AS top(id)
        UNION ALL
        SELECT e.id, below.length + octet_length(e.name)
        FROM below JOIN entry e ON e.parent = below.id WHERE e.id IS NOT NULL
    )"""


class StoredTree(Tree):
    """The names of one transaction; whole trees are looked at by single statements."""

    def __init__(self, names: Names, packing: Packing, cursor: Any) -> None:
        super().__init__(0, packing, names.root)
        self._above = names.above
        self._cursor = cursor

    def all_properties(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Iterate over all paths that have properties, with them; see `Tree`."""
        root = self._root
        if properties := self._above.properties_of(""):
            yield "/", properties
        waiting = [("/", root)]
        while waiting:
            folder, node = waiting.pop()
            for name, entry in node.members.items():
                if properties := node.properties_of(name):
                    yield folder + node.shown(name), properties
                if isinstance(entry, Branch):
                    waiting.append((folder + name, entry))

    def refuse_too_long(self, source: str, target: str) -> Iterator[None]:
        """Refuse to move or copy a tree to a place where paths in it would be too long; see `Tree`."""
        entry, size = self.find(source), len(target.encode())
        if size <= len(place_of(was_at(source) or source).encode()) or not isinstance(entry, StoredBranch):
            return
        # Only collections whose own paths are long need a look at their members.
        query = f"""{_BELOW} SELECT EXISTS (
                SELECT FROM below JOIN entry e ON e.parent = below.id WHERE below.length > %s
                AND below.length + octet_length(e.name) - (e.id IS NOT NULL AND e.upload IS NULL)::int > %s)"""
        left = MAX_PATH - size - 1
        if self._cursor.execute(query, ([entry.id], left - MAX_NAME - 1, left)).fetchone()[0]:
            raise BadName(f"{source}: something in it would have a path of more than {MAX_PATH} bytes below {target}")
        yield

    def refuse_too_many(self, source: str, most_copied: int = MAX_COPIED, most_names: int = 0) -> Iterator[None]:  # noqa: ARG002
        """Refuse to copy a tree that is too large; see `Tree`.  There is no limit for all names together."""
        entry = self.find(source)
        if isinstance(entry, StoredBranch):
            query = f"""{_BELOW} SELECT count(*) FROM (
                SELECT FROM below JOIN entry e ON e.parent = below.id LIMIT %s) AS counted"""
            if self._cursor.execute(query, ([entry.id], most_copied + 1)).fetchone()[0] > most_copied:
                raise TooManyNames(f"{source} has more than {most_copied:,} names in it: copy parts of it")
            yield


class StoredCopy(Copying):
    """A copy of a tree that has rows already, but no name yet."""

    def __init__(self, entry: StoredBranch, time_ms: int, copy: StoredBranch, files: int, size: int) -> None:
        super().__init__(entry, time_ms, deep=True)
        self.copy = copy
        self.files, self.size = files, size


def copy_tree(names: Names, cursor: Any, entry: StoredBranch, id_: int, time_ms: int) -> StoredCopy:
    """Copy a collection with all that is in it; the copy is in the trash until it gets a name.

    :param id_: the id of the copy.
    """
    cursor.execute(
        """INSERT INTO entry (parent, name, id, created_ms, modified_ms, implied, upload, size, manifest)
        SELECT %s, convert_to(%s::text, 'UTF8'), %s, %s, %s, implied, upload, size, manifest
        FROM entry WHERE id = %s""",
        (TRASH, id_, id_, time_ms, time_ms, entry.id),
    )
    numbers = {"top": entry.id, "id": id_, "time_ms": time_ms}
    files, size = cursor.execute(_COPY, numbers).fetchone()
    row = cursor.execute(f"SELECT {COLUMNS} FROM {JOINED} WHERE e.id = %s", (id_,)).fetchone()
    copy = names.take_copy(row)
    return StoredCopy(entry, time_ms, copy, files, size)


_COPY = """WITH RECURSIVE tree(id) AS (
        SELECT %(top)s::bigint
        UNION ALL
        SELECT e.id FROM tree JOIN entry e ON e.parent = tree.id WHERE e.id IS NOT NULL
    ), numbered AS MATERIALIZED (
        SELECT id AS old, CASE WHEN id = %(top)s THEN %(id)s ELSE nextval('entry_ids') END AS new FROM tree
    ), copied AS (
        INSERT INTO entry (parent, name, id, created_ms, modified_ms, implied, properties, upload, size, manifest)
        SELECT above.new, e.name, own.new, CASE WHEN e.id IS NOT NULL THEN %(time_ms)s::bigint END,
            CASE WHEN e.id IS NOT NULL THEN %(time_ms)s::bigint END, e.implied, e.properties,
            e.upload, e.size, e.manifest
        FROM numbered above JOIN entry e ON e.parent = above.old LEFT JOIN numbered own ON own.old = e.id
        RETURNING upload, size
    ), of_all AS (
        SELECT upload, size FROM copied WHERE upload IS NOT NULL
        UNION ALL
        SELECT upload, size FROM entry WHERE id = %(top)s AND upload IS NOT NULL
    ), counted AS (
        INSERT INTO shared SELECT upload, 1 + count(*) FROM of_all GROUP BY upload ORDER BY upload
        ON CONFLICT (upload) DO UPDATE SET names = shared.names + excluded.names - 1
    )
    SELECT count(*), coalesce(sum(size), 0)::bigint FROM of_all"""


def weigh_tree(cursor: Any, entry: Packed | Branch, weight: Weight) -> None:
    """Add the files of an entry to a weight."""
    if not isinstance(entry, StoredBranch):
        for _ in weigh(entry, weight):
            pass
        return
    query = f"""{_BELOW} SELECT count(e.upload), coalesce(sum(e.size), 0)::bigint
        FROM below JOIN entry e ON e.parent = below.id"""
    files, size = cursor.execute(query, ([entry.id],)).fetchone()
    weight.files += files + (entry.own is not None)
    weight.bytes += size
    if entry.own is not None:
        weight.bytes += int.from_bytes(entry.own[16:24], "big")


Row = Sequence[Any]


def take_apart(cursor: Any, ids: list[int], forget: Callable[[list[Row]], None]) -> None:
    """Take trees apart that have gone to the trash in this transaction, unless they are large.

    The transaction has the rows of the trees for itself, and each change below them holds a lock on these, too: see
    `Chains`.  So nothing is put into them between two statements.  Only what was deleted is forgotten, all the same.

    :param forget: takes the rows of files, and of collections that are files themselves.
    """
    query = f"{_BELOW} SELECT count(*) FROM (SELECT FROM below JOIN entry e ON e.parent = below.id LIMIT %s) AS counted"
    if cursor.execute(query, (ids, AT_ONCE + 1)).fetchone()[0] > AT_ONCE:
        return
    query = f"""{_BELOW}, members AS (
            DELETE FROM entry e USING below WHERE e.parent = below.id RETURNING e.*
        ), tops AS (
            DELETE FROM entry e WHERE e.parent = %s AND e.id = ANY(%s) RETURNING e.*
        )
        SELECT {COLUMNS} FROM (SELECT * FROM members UNION ALL SELECT * FROM tops) AS e
        LEFT JOIN version v ON v.upload = e.upload WHERE e.upload IS NOT NULL"""
    forget(cursor.execute(query, (ids, TRASH, ids)).fetchall())


def take_slice(cursor: Any, forget: Callable[[list[Row]], None]) -> bool:
    """Take some names of a tree in the trash apart.

    :return: whether there was anything to do.
    """
    query = "SELECT id FROM entry WHERE parent = %s ORDER BY name LIMIT 1 FOR UPDATE SKIP LOCKED"
    found = cursor.execute(query, (TRASH,)).fetchone()
    if found is None:
        return False
    (id_,) = found
    query = f"SELECT {COLUMNS} FROM {JOINED} WHERE e.parent = %s ORDER BY e.name LIMIT %s"
    rows = cursor.execute(query, (id_, SLICE)).fetchall()
    cursor.execute(
        "UPDATE entry SET parent = %s, name = convert_to(id::text, 'UTF8'), properties = NULL WHERE id = ANY(%s)",
        (TRASH, [row[2] for row in rows if row[2] is not None]),
    )
    files = [row for row in rows if row[2] is None]
    query = "DELETE FROM entry WHERE parent = %s AND name = ANY(%s)"
    cursor.execute(query, (id_, [row[1] for row in files]))
    if len(rows) < SLICE:
        query = f"SELECT {COLUMNS} FROM {JOINED} WHERE e.id = %s"
        files += [row for row in cursor.execute(query, (id_,)).fetchall() if row[7] is not None]
        cursor.execute("DELETE FROM entry WHERE id = %s", (id_,))
    forget(files)
    return True


def is_trash_empty(cursor: Any) -> bool:
    """Whether nothing is left to take apart, of what transactions that have ended have deleted."""
    query = "SELECT NOT EXISTS (SELECT FROM entry WHERE parent = %s) AND NOT EXISTS (SELECT FROM dropped)"
    empty: bool = cursor.execute(query, (TRASH,)).fetchone()[0]
    return empty
