"""The rows of names: loads what a transaction asks for, and writes what it has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from splitd.catalog.sql.branches import FIRST_PAGE, LARGEST_PAGE, StoredBranch, StoredMembers
from splitd.catalog.sql.chains import Chains
from splitd.catalog.sql.ids import Ids
from splitd.catalog.sql.parts import PartRows
from splitd.catalog.sql.rows import (
    array,
    decode_manifest,
    decode_properties,
    decode_said,
    encode_manifest,
    encode_properties,
    is_text,
    name_of,
)
from splitd.model.branch import NO_PROPERTIES, Branch
from splitd.model.manifest import Manifest
from splitd.model.packing import Packed, Packing

ROOT, ABOVE, TRASH = 1, 0, -1
"""The ids of the root, of the collection whose only member it is, and of that with the trees that have no name."""

COLUMNS = """e.parent, e.name, e.id, e.created_ms, e.modified_ms, e.implied, e.properties,
    e.upload, e.size, e.manifest, v.created_ms, v.data, v.parity, v.unit, v.nodes, v.said"""
JOINED = "entry e LEFT JOIN version v ON v.upload = e.upload"


class Names:
    """The names that one transaction looks at or changes.

    :param cursor: of the transaction.
    :param parts: its versions.
    :param ids: gives ids to collections.
    :param known: see `Chains`.
    :ivar uploads: those of the files that were loaded.
    """

    def __init__(
        self, cursor: Any, packing: Packing, parts: PartRows, ids: Ids, known: dict[str, Sequence[Any]]
    ) -> None:
        self._cursor = cursor
        self._packing = packing
        self._parts = parts
        self._ids = ids
        self._branches: dict[int, StoredBranch] = {}
        self._changed: dict[tuple[int, str], StoredBranch] = {}
        self._files: dict[Packed, tuple[Manifest, bytes | None]] = {}  # with what `entry.manifest` says
        self._trashed: list[StoredBranch] = []
        self.uploads: set[str] = set()
        self._expected: int | None = None  # how many more names will be asked for, if that is known
        self.above = StoredBranch(self, ABOVE, (ABOVE, ""), 0, 0, implied=False)
        self.chains = Chains(cursor, known, self._take_folder, self._take)

    @property
    def root(self) -> StoredBranch:
        """The root."""
        root = self.above.members[""]
        assert isinstance(root, StoredBranch)
        return root

    @contextmanager
    def expecting(self, names: int) -> Iterator[None]:
        """Return a context in which about so many names will be asked for."""
        self._expected = names
        try:
            yield
        finally:
            self._expected = None

    def page_after(self, limit: int) -> int:
        """Return how many members to load at once; see `MemberRows`."""
        if self._expected is not None:
            return max(FIRST_PAGE, self._expected) if limit else self._expected
        return min(limit * 4, LARGEST_PAGE) if limit else FIRST_PAGE

    def load(self, branch: StoredBranch, name: str) -> None:
        """Load one member."""
        row = None
        if is_text(name):
            query = f"SELECT {COLUMNS} FROM {JOINED} WHERE e.parent = %s AND e.name = %s"
            row = self._cursor.execute(query, (branch.id, name.encode())).fetchone()
        if row is None:
            self._members(branch).know(name, None)
        else:
            self._take(row)

    def load_some(self, branch: StoredBranch, limit: int) -> None:
        """Load the first members."""
        query = f"SELECT {COLUMNS} FROM {JOINED} WHERE e.parent = %s ORDER BY e.name LIMIT %s"
        for row in self._cursor.execute(query, (branch.id, limit)).fetchall():
            self._take(row)

    def load_page(self, branch: StoredBranch, first: str, limit: int) -> list[str]:
        """Load a page of members, and return their entry names."""
        # A text to compare with may be a lone surrogate; see `splitd.model.keys.after_all`.
        least = first.encode(errors="surrogatepass")
        query = f"SELECT {COLUMNS} FROM {JOINED} WHERE e.parent = %s AND e.name >= %s ORDER BY e.name LIMIT %s"
        rows = self._cursor.execute(query, (branch.id, least, limit)).fetchall()
        if self._expected is not None:
            self._expected -= len(rows)
        names = [name_of(row[1]) for row in rows]
        for row in rows:
            self._take(row)
        self._members(branch).know_all(first, names[-1] if len(rows) == limit else "\U0010ffff" * 2)
        return names

    @staticmethod
    def _members(branch: StoredBranch) -> StoredMembers:
        assert isinstance(branch.members, StoredMembers)
        return branch.members

    def _take_folder(self, row: Sequence[Any]) -> StoredBranch:
        """Take the row of a collection that paths lead through; what it is as a file is not looked at."""
        parent, name, id_, created_ms, modified_ms, implied, properties = row
        branch = self._branch(id_, (parent, name_of(name)), created_ms, modified_ms, implied)
        self._place(parent, name_of(name), branch, properties)
        return branch

    def _take(self, row: Sequence[Any]) -> None:
        parent, column, id_, created_ms, modified_ms, implied, properties, *file = row
        name = name_of(column)
        manifest = None if file[0] is None else self.manifest_of(file)
        packed = None
        if manifest is not None:
            packed = self._packing.pack(manifest)
            self._files[packed] = manifest, file[2]
            self.uploads.add(manifest.upload)
        if id_ is None:
            assert packed is not None
            self._place(parent, name, packed, properties)
            return
        branch = self._branch(id_, (parent, name), created_ms, modified_ms, implied)
        if branch.own is None and branch.state() == branch.row:
            branch.own = packed
            branch.row = branch.state()
        self._place(parent, name, branch, properties)

    def manifest_of(self, file: Sequence[Any]) -> Manifest:
        """Return the manifest of a file, with the nodes where its parts lie now.

        :param file: the columns of `COLUMNS` from `upload` on.
        """
        upload, size, column, created_ms, data, parity, unit, numbers, said = file
        nodes = () if numbers is None else self._parts.node_ids(numbers)
        if column is None:
            said = decode_said(said)
            return Manifest(upload.hex(), size, created_ms, data, parity, unit, nodes, said)
        manifest = decode_manifest(column)
        if numbers is None:
            return manifest
        more = manifest.created_ms, data, parity, unit, nodes, manifest.said
        return Manifest(manifest.upload, manifest.size, *more)

    def loaded(self, packed: Packed) -> Manifest | None:
        """Return the manifest of a file that was loaded."""
        found = self._files.get(packed)
        return None if found is None else found[0]

    def _branch(
        self, id_: int, where: tuple[int, str], created_ms: int, modified_ms: int, implied: bool
    ) -> StoredBranch:
        branch = self._branches.get(id_)
        if branch is None:
            branch = StoredBranch(self, id_, where, created_ms, modified_ms, implied=implied)
            self._branches[id_] = branch
        return branch

    def _place(self, parent: int, name: str, entry: Packed | Branch, properties: bytes | None) -> None:
        above = self.above if parent == ABOVE else self._branches.get(parent)
        if above is None or (parent, name) in self._changed:
            return
        self._members(above).know(name, entry)
        if properties is not None:
            above.labels.setdefault(name, decode_properties(properties))

    def take_copy(self, row: Sequence[Any]) -> StoredBranch:
        """Take the row of a collection that has no name yet."""
        self._take(row)
        return self._branches[row[2]]

    def absent(self, parent: int, name: str) -> None:
        """Take note that a collection has no member of a name."""
        self._members(self._branches[parent]).know(name, None)

    def changed(self, branch: StoredBranch, name: str) -> None:
        """Take note that a member was put, removed or given other properties."""
        self._changed[branch.id, name] = branch

    def trash(self, branch: Branch) -> None:
        """Take a collection that has no name any more; one that has no row is forgotten."""
        if isinstance(branch, StoredBranch):
            self._trashed.append(branch)

    def flush(self) -> list[int]:
        """Write what was changed.

        :return: the ids of the collections that went to the trash.
        """
        writer = _Writer(self._ids, self._cursor, self._columns_of)
        for (_, name), branch in self._changed.items():
            entry = self._members(branch).known(name)
            writer.put(branch.id, name, entry, branch.labels.get(name, NO_PROPERTIES))
        for branch in self._branches.values():
            if branch.state() != branch.row and branch not in self._trashed:
                writer.update(branch)
        writer.write(self._trashed)
        return [branch.id for branch in self._trashed]

    def _columns_of(self, packed: Packed | None) -> tuple[bytes | None, int | None, bytes | None]:
        """Return the columns `upload`, `size` and `manifest` of a file."""
        if packed is None:
            return None, None, None
        manifest = self._packing.unpack(packed)
        _, column = self._files.get(packed, (None, None))
        if packed not in self._files:
            version = self._parts.known(manifest.upload)
            column = None if version is not None and _is_said_by(version, manifest) else encode_manifest(manifest)
        return bytes.fromhex(manifest.upload), manifest.size, column


def _is_said_by(version: Manifest, manifest: Manifest) -> bool:
    return (version.said, version.created_ms, version.size) == (manifest.said, manifest.created_ms, manifest.size)


class _Writer:
    """Writes names in few statements, in an order in which no row is in the way of another one."""

    def __init__(
        self,
        ids: Ids,
        cursor: Any,
        columns_of: Callable[[Packed | None], tuple[bytes | None, int | None, bytes | None]],
    ) -> None:
        self._ids = ids
        self._cursor = cursor
        self._columns_of = columns_of
        self._removed: list[tuple[int, bytes]] = []
        self._moved: list[tuple[int, int, bytes]] = []
        self._labelled: list[tuple[int, bytes | None]] = []
        self._updated: list[tuple[Any, ...]] = []
        self._made: list[tuple[Any, ...]] = []
        self._put: list[tuple[Any, ...]] = []

    def put(self, parent: int, name: str, entry: Packed | Branch | None, properties: Mapping[str, str]) -> None:
        """Let a name have an entry."""
        column, labels = name.encode(), encode_properties(properties)
        if entry is None:
            self._removed.append((parent, column))
        elif isinstance(entry, StoredBranch):
            if entry.where != (parent, name):
                self._removed.append((parent, column))
                self._moved.append((entry.id, parent, column))
            self._labelled.append((entry.id, labels))
        elif isinstance(entry, Branch):
            # One that was removed may have left its row here: it became empty, and another change made it again.
            self._removed.append((parent, column))
            self._make(parent, column, entry, labels)
        else:
            self._put.append((parent, column, labels, *self._columns_of(entry)))

    def _make(self, parent: int, column: bytes, entry: Branch, labels: bytes | None) -> None:
        id_ = self._ids.take(self._cursor)
        head = (id_, entry.created_ms, entry.modified_ms, entry.implied)
        self._made.append((parent, column, *head, labels, *self._columns_of(entry.own)))
        for member, below in entry.members.items():
            if isinstance(below, Branch) and not isinstance(below, StoredBranch):
                self._make(id_, member.encode(), below, encode_properties(entry.properties_of(member)))
            else:
                self.put(id_, member, below, entry.properties_of(member))

    def update(self, branch: StoredBranch) -> None:
        """Write what has changed of a collection that has a row."""
        own = branch.own is not branch.row[2]
        columns = self._columns_of(branch.own) if own else (None, None, None)
        self._updated.append((branch.id, branch.modified_ms, branch.implied, own, *columns))

    def write(self, trashed: Iterable[StoredBranch]) -> None:
        """Write all of it."""
        execute = self._cursor.execute
        gone = sorted(branch.id for branch in trashed)
        if gone:
            query = """UPDATE entry SET parent = %s, name = convert_to(id::text, 'UTF8'), properties = NULL
                WHERE id = ANY(%s)"""
            execute(query, (TRASH, gone))
        if self._removed:
            query = """DELETE FROM entry e USING unnest(%s::bigint[], %s::bytea[]) AS gone(parent, name)
                WHERE e.parent = gone.parent AND e.name = gone.name AND (e.id IS NULL OR e.id != ALL(%s::bigint[]))"""
            execute(query, (*_transposed(self._removed, 2), [id_ for id_, _, _ in self._moved]))
        if self._moved:
            query = """UPDATE entry e SET parent = moved.parent, name = moved.name
                FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS moved(id, parent, name) WHERE e.id = moved.id"""
            execute(query, _transposed(self._moved, 3))
        if self._labelled:
            query = """UPDATE entry e SET properties = labelled.properties
                FROM unnest(%s::bigint[], %s::bytea[]) AS labelled(id, properties) WHERE e.id = labelled.id"""
            execute(query, _transposed(self._labelled, 2))
        if self._updated:
            execute(_UPDATE, _transposed(self._updated, 7))
        if self._made:
            execute(_MAKE, _transposed(self._made, 10))
        if self._put:
            execute(_PUT, _transposed(self._put, 6))


_UPDATE = """UPDATE entry e SET modified_ms = changed.modified_ms, implied = changed.implied,
        upload = CASE WHEN changed.own THEN changed.upload ELSE e.upload END,
        size = CASE WHEN changed.own THEN changed.size ELSE e.size END,
        manifest = CASE WHEN changed.own THEN changed.manifest ELSE e.manifest END
    FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[], %s::boolean[], %s::bytea[], %s::bigint[], %s::bytea[])
        AS changed(id, modified_ms, implied, own, upload, size, manifest)
    WHERE e.id = changed.id"""

# A row that is there already would be another collection, with members: the transaction is tried again then.
_MAKE = """INSERT INTO entry
        (parent, name, id, created_ms, modified_ms, implied, properties, upload, size, manifest)
    SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[],
        %s::bytea[], %s::bytea[], %s::bigint[], %s::bytea[])"""

_PUT = """INSERT INTO entry (parent, name, properties, upload, size, manifest)
    SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[], %s::bytea[], %s::bigint[], %s::bytea[])
    ON CONFLICT (parent, name) DO UPDATE SET properties = excluded.properties,
        upload = excluded.upload, size = excluded.size, manifest = excluded.manifest"""


def _transposed(rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    return [array([row[column] for row in rows]) for column in range(width)]
