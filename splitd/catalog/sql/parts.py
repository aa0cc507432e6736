"""The rows of versions and their parts: loads those of the uploads that a transaction is about, and writes what it has
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from splitd.catalog.hurt import HurtVersions
from splitd.catalog.sql.about import About
from splitd.catalog.sql.counts import Counts
from splitd.catalog.sql.doomed import StoredDoomed
from splitd.catalog.sql.ids import Ids, NodeNumbers
from splitd.catalog.sql.part_views import StoredMoves, StoredNames, StoredUploads, StoredVersions
from splitd.catalog.sql.rows import array, array_of, array_of_texts, decode_said, encode_said
from splitd.catalog.state import UnderWay
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.packing import Packed, Packing, key_of
from splitd.model.records import PartMoveStarted
from storaged.parts.format import stored_size

_Rows = Sequence[Sequence[Any]]


class PartRows:
    """The versions, uploads and moves that one transaction looks at or changes, by their uploads.

    :param cursor: of the transaction.
    :param locks: whether to hold the rows until the end of the transaction.
    :ivar moves: moves in progress, and the nodes of versions that the transaction has changed.
    :ivar doomed: the doomed parts of these uploads.
    :ivar hurt: those versions of which parts are missing.
    :ivar not_continued: the uploads of which it is known that they cannot be continued.
    """

    def __init__(
        self, cursor: Any, packing: Packing, numbers: NodeNumbers, serials: Ids, counts: Counts, *, locks: bool
    ) -> None:
        self._cursor = cursor
        self._packing = packing
        self._numbers = numbers
        self._fresh: dict[str, int] = {}
        self._counts = counts
        self._locking = " FOR UPDATE" if locks else ""
        self._loaded: set[str] = set()
        self._versions: dict[str, Manifest] = {}
        self._added: dict[str, Manifest] = {}
        self._removed: set[str] = set()
        self._uploads: dict[str, UnderWay] = {}
        self._began: dict[str, UnderWay] = {}
        self._names: dict[str, int] = {}
        self._names_before: dict[str, int] = {}
        self._copies: dict[PartCopy, PartMoveStarted] = {}
        self._wants: dict[str, tuple[int, int, int]] = {}
        self.not_continued: set[str] = set()
        self.doomed = StoredDoomed(self.load, serials, cursor)
        self.moves = StoredMoves(self.doomed, self.load)
        self.hurt = HurtVersions()
        self.uploads = StoredUploads(self._uploads, self.load)
        self.versions = StoredVersions(self)
        self.names = StoredNames(self._names, self.load)

    def node_ids(self, numbers: list[int]) -> tuple[str, ...]:
        """Return the ids of nodes."""
        return self._numbers.ids(self._cursor, numbers, self._fresh)

    def numbers_of(self, nodes: Iterable[str]) -> list[int]:
        """Return the numbers of nodes."""
        return [self._numbers.number(self._cursor, node, self._fresh) for node in nodes]

    def load(self, *uploads: str) -> None:
        """Load what there is of some uploads, unless it was loaded before.  Texts that are no ids are skipped."""
        self.ask(*uploads)()

    def ask(self, *uploads: str, about: About | None = None) -> Callable[[], None]:
        """Ask for what `load` loads; return what takes it.

        :param about: what to ask for by the same statement.
        """
        wanted = [each for each in uploads if each not in self._loaded]
        self._loaded.update(wanted)
        keys = sorted(key for each in wanted if (key := _key(each)) is not None)
        if not keys:
            return _nothing if about is None else about.ask(self._cursor)
        more = "" if about is None else f", {about.columns}"
        asked = self._cursor.execute(_WHERE.format(locking=self._locking, more=more), {"keys": array(keys)})

        def take() -> None:
            found = asked.fetchall()
            if about is not None:
                about.take_from(found[0])
                found = [row[: -about.width] for row in found]
            self._load(keys, found)

        return take

    def _load(self, keys: list[bytes], found: _Rows) -> None:
        # Of most uploads most tables have nothing.
        *there, is_continued = found[0][:_TABLES]
        if not is_continued:
            self.not_continued.update(key.hex() for key in keys)
        self._take_uploads([row[_TABLES:] for row in found if row[_TABLES] is not None])
        takes = self._take_versions, self._take_names, self._take_moves, self._take_doomed
        finds = list(zip(there, takes, _FIND, strict=True))
        self._find(keys, [(take, query) for count, take, query in finds if count])
        if sum(key.hex() in self._versions for key in keys) < there[0]:
            # A version has been removed since the first statement, and its parts have been doomed with it.  Statements
            # after the one that has waited for that see it.
            self._find(keys, [(take, query) for count, take, query in finds if not count])

    def _find(self, keys: list[bytes], finds: Sequence[tuple[Callable[[_Rows], None], str]]) -> None:
        values = (array(keys),)
        asked = [(take, self._cursor.execute(query + self._locking, values)) for take, query in finds]
        for take, rows in asked:
            take(rows.fetchall())

    def _take_uploads(self, rows: _Rows) -> None:
        for upload, path, numbers, time_ms, front in rows:
            under_way = UnderWay(path.decode(), self.node_ids(numbers), time_ms, front)
            self._uploads[upload.hex()] = self._began[upload.hex()] = under_way

    def _take_versions(self, rows: _Rows) -> None:
        for row in rows:
            manifest = self.manifest_of(row)
            self._versions[manifest.upload] = manifest
            if "" in manifest.nodes:
                self.hurt.weigh(manifest)
                self._wants[manifest.upload] = _want_of(manifest)

    def _take_names(self, rows: _Rows) -> None:
        for upload, count in rows:
            self._names[upload.hex()] = self._names_before[upload.hex()] = count

    def _take_moves(self, rows: _Rows) -> None:
        for upload, part, number, time_ms, front in rows:
            record = PartMoveStarted(upload.hex(), part, self.node_ids([number])[0], time_ms, front)
            self._copies[PartCopy(record.upload, part, record.target)] = record
            self.moves.know(record)

    def _take_doomed(self, rows: _Rows) -> None:
        self.doomed.know([(self.node_ids([row[0]])[0], *row[1:3], row[3].hex(), row[4]) for row in rows])

    def manifest_of(self, row: Sequence[Any]) -> Manifest:
        """Return the version that a row of the columns `VERSION` describes."""
        upload, size, created_ms, data, parity, unit, numbers, said, segment_of = row
        nodes = self.node_ids(numbers)
        more = decode_said(said), b"", "" if segment_of is None else segment_of.hex()
        return Manifest(upload.hex(), size, created_ms, data, parity, unit, nodes, *more)

    def known(self, upload: str) -> Manifest | None:
        """Return a version."""
        self.load(upload)
        return self._versions.get(upload)

    def add(self, packed: Packed) -> None:
        """Add a version."""
        manifest = self._packing.unpack(packed)
        self.load(manifest.upload)
        self._versions[manifest.upload] = self._added[manifest.upload] = manifest
        self._removed.discard(manifest.upload)

    def remove(self, upload: str) -> None:
        """Remove a version; do nothing if there is none."""
        if self._versions.pop(upload, None) is not None and self._added.pop(upload, None) is None:
            self._removed.add(upload)

    def pack(self, manifest: Manifest) -> Packed:
        """Pack a manifest."""
        return self._packing.pack(manifest)

    def flush(self) -> None:
        """Write what was changed."""
        execute = self._cursor.execute
        if self._removed:
            execute("DELETE FROM version WHERE upload = ANY(%s)", (_keys(self._removed),))
        if self._added:
            execute(_ADD, self._rows_of(self._added.values()))
        changed = {each for each, _ in self.moves.moved() if each in self._versions and each not in self._added}
        changed |= {each for each in self._versions if self._want(each) != self._wants.get(each)} - self._added.keys()
        if changed:
            now = [self.moves.place(self._versions[each]) for each in sorted(changed)]
            execute(_CHANGE, self._changes_of(now))
        self._flush_uploads()
        self._flush_names()
        self._flush_moves()
        self._flush_wants()
        self.doomed.flush(self._cursor, self.numbers_of, self._counts)

    def _want(self, upload: str) -> tuple[int, int, int] | None:
        return self.hurt.want(upload)

    def _rows_of(self, manifests: Iterable[Manifest]) -> list[Any]:
        placed = [self.moves.place(each) for each in manifests]
        return [
            *(array([getattr(each, name) for each in placed]) for name in ("size", "created_ms", "data", "unit")),
            array([encode_said(each.said) for each in placed]),
            array([bytes.fromhex(each.segment_of) if each.segment_of else None for each in placed]),
            *self._changes_of(placed),
        ]

    def _changes_of(self, manifests: Sequence[Manifest]) -> list[Any]:
        wants = [self._want(each.upload) or (None, None, None) for each in manifests]
        return [
            array([bytes.fromhex(each.upload) for each in manifests]),
            array_of_texts([array_of(self.numbers_of(each.nodes)) for each in manifests]),
            array([each.parity for each in manifests]),
            *(array([want[column] for want in wants]) for column in range(3)),
        ]

    def _flush_uploads(self) -> None:
        ended = self._began.keys() - self._uploads.keys()
        if ended:
            self._cursor.execute("DELETE FROM upload WHERE upload = ANY(%s)", (_keys(ended),))
        begun = [(each, way) for each, way in self._uploads.items() if self._began.get(each) is not way]
        if begun:
            columns = [
                array([bytes.fromhex(each) for each, _ in begun]),
                array([way.path.encode() for _, way in begun]),
                array_of_texts([array_of(self.numbers_of(way.nodes)) for _, way in begun]),
                array([way.time_ms for _, way in begun]),
                array_of_texts([way.front for _, way in begun]),
            ]
            self._cursor.execute(_BEGIN, columns)
        self._counts.add("uploads", len(self._uploads) - len(self._began))

    def _flush_names(self) -> None:
        gone = self._names_before.keys() - self._names.keys()
        if gone:
            self._cursor.execute("DELETE FROM shared WHERE upload = ANY(%s)", (_keys(gone),))
        changed = {each: names for each, names in self._names.items() if self._names_before.get(each) != names}
        if changed:
            query = """INSERT INTO shared SELECT * FROM unnest(%s::bytea[], %s::int[])
                ON CONFLICT (upload) DO UPDATE SET names = excluded.names"""
            self._cursor.execute(
                query, (array([bytes.fromhex(each) for each in changed]), array(list(changed.values())))
            )

    def _flush_moves(self) -> None:
        for copy in self._copies.keys() - self.moves.under_way.keys():
            query = "DELETE FROM move WHERE upload = %s AND part = %s AND node = %s"
            self._cursor.execute(query, (bytes.fromhex(copy.upload), copy.index, *self.numbers_of([copy.node])))
        for copy, record in self.moves.under_way.items():
            if copy not in self._copies:
                query = "INSERT INTO move VALUES (%s, %s, %s, %s, %s)"
                (number,) = self.numbers_of([copy.node])
                row = bytes.fromhex(copy.upload), copy.index, number, record.time_ms, record.front
                self._cursor.execute(query, row)

    def _flush_wants(self) -> None:
        for upload in {*self._wants, *self.hurt}:
            before, after = self._wants.get(upload), self._want(upload)
            for want, sign in ((before, -1), (after, 1)):
                if want is not None and before != after:
                    self._counts.add(f"hurt {want[0]}", sign)
                    self._counts.add("missing", sign * want[1])
                    self._counts.add("lacking", sign * want[2])


def _want_of(manifest: Manifest) -> tuple[int, int, int]:
    missing = manifest.missing
    size = sum(stored_size(manifest.part_size(index), manifest.unit) for index in missing)
    return manifest.spare, len(missing), size


def _key(upload: str) -> bytes | None:
    try:
        return key_of(upload)
    except ValueError:
        return None


def _keys(uploads: Iterable[str]) -> str:
    return array(sorted(map(bytes.fromhex, uploads)))


def _nothing() -> None:
    """Nothing was asked for."""


VERSION = "upload, size, created_ms, data, parity, unit, nodes, said, segment_of"
"""The columns of a version."""

_FIND = (
    f"SELECT {VERSION} FROM version WHERE upload = ANY(%s) ORDER BY upload",
    "SELECT upload, names FROM shared WHERE upload = ANY(%s) ORDER BY upload",
    "SELECT upload, part, node, time_ms, front FROM move WHERE upload = ANY(%s)",
    "SELECT node, serial, part, upload, is_copy FROM doomed WHERE upload = ANY(%s) ORDER BY serial, part",
)

_WHERE = (
    """WITH held AS MATERIALIZED (
        SELECT upload, path, nodes, time_ms, front FROM upload
        WHERE upload = ANY(%(keys)s::bytea[]) ORDER BY upload{locking})
    SELECT (SELECT count(*) FROM version WHERE upload = ANY(%(keys)s::bytea[])), """
    + ", ".join(
        f"EXISTS (SELECT FROM {table} WHERE upload = ANY(%(keys)s::bytea[]))"
        for table in ("shared", "move", "doomed", "continued")
    )
    + ", held.*{more} FROM (VALUES (1)) AS one(one) LEFT JOIN held ON true"
)
_TABLES = 5
"""The uploads under way, how many versions there are, and whether other tables have anything, of which so many columns
tell.
"""

_ADD = """INSERT INTO version
        (size, created_ms, data, unit, said, segment_of, upload, nodes, parity, spare, missing, lacking)
    SELECT size, created_ms, data, unit, said, segment_of, upload, nodes::smallint[], parity, spare, missing, lacking
    FROM unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::int[], %s::bytea[], %s::bytea[],
        %s::bytea[], %s::text[], %s::smallint[], %s::smallint[], %s::smallint[], %s::bigint[])
        AS new(size, created_ms, data, unit, said, segment_of, upload, nodes, parity, spare, missing, lacking)"""

_CHANGE = """UPDATE version v
    SET nodes = new.nodes::smallint[], parity = new.parity,
        spare = new.spare, missing = new.missing, lacking = new.lacking
    FROM unnest(%s::bytea[], %s::text[], %s::smallint[], %s::smallint[], %s::smallint[], %s::bigint[])
        AS new(upload, nodes, parity, spare, missing, lacking)
    WHERE v.upload = new.upload"""

_BEGIN = """INSERT INTO upload (upload, path, nodes, time_ms, front)
    SELECT upload, path, nodes::smallint[], time_ms, front
    FROM unnest(%s::bytea[], %s::bytea[], %s::text[], %s::bigint[], %s::text[])
        AS new(upload, path, nodes, time_ms, front)"""
