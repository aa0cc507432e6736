"""Copies a catalog from a journal into a database, in one transaction, and checks the copy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import attrs
import msgspec

from splitd.catalog.compaction import fold
from splitd.catalog.effects import enact
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.sql.connecting import Statements
from splitd.catalog.sql.counts import read_counts
from splitd.catalog.sql.exclusion import no_front
from splitd.catalog.sql.migrations import migrate
from splitd.catalog.sql.names import COLUMNS, JOINED
from splitd.catalog.sql.state import Common, StoredState
from splitd.catalog.state import State
from splitd.errors import CatalogOutdated
from splitd.model.manifest import Manifest
from splitd.model.packing import Packing
from splitd.model.records import JournalOpened, JournalRestored, Record
from storaged.system.interfaces import IFilesystem

BATCH = 500
"""How many records are applied before their effects are written."""


@attrs.frozen
class Contents:
    """What two catalogs must have in common.

    :param digest: a sum over all files, each with its manifest; equal for equal files in any order.
    """

    files: int
    bytes: int
    doomed: int
    uploads: int
    continued: int
    documents: int
    parts_on: dict[str, int]
    digest: int


def contents_of(state: State) -> Contents:
    """Describe what the records of a journal result in."""
    files = (state.moves.place(manifest) for manifest in state.tree.files())
    return Contents(
        state.files,
        state.bytes_stored,
        state.doomed.parts,
        len(state.uploads),
        len(state.continued),
        len(state.documents),
        {node: count for node, count in sorted(state.parts_on.items()) if count},
        _digest(files),
    )


def stored_contents(cursor: Any) -> Contents:
    """Describe what a database has."""
    counts = read_counts(cursor)
    parts = {key.removeprefix("parts on "): count for key, count in counts.items() if key.startswith("parts on ")}
    doomed = sum(count for key, count in counts.items() if key.startswith("doomed on "))
    return Contents(
        counts.get("files", 0),
        counts.get("bytes", 0),
        doomed,
        counts.get("uploads", 0),
        counts.get("continued", 0),
        counts.get("documents", 0),
        dict(sorted(parts.items())),
        _digest(_manifests(cursor)),
    )


def _manifests(cursor: Any) -> Iterator[Manifest]:
    """Iterate over the manifests of all files, page by page."""
    names = StoredState(cursor, Packing(), Common(), 0, locks=False).stored_names
    seen: tuple[int, bytes] = (-(2**62), b"")
    query = f"SELECT {COLUMNS} FROM {JOINED} WHERE (e.parent, e.name) > (%s, %s) ORDER BY e.parent, e.name LIMIT 1000"
    while rows := cursor.execute(query, seen).fetchall():
        for row in rows:
            if row[7] is not None and row[0] >= 0:
                yield names.manifest_of(row[7:])
        seen = rows[-1][0], rows[-1][1]


def _digest(files: Iterable[Manifest]) -> int:
    return sum(int.from_bytes(hashlib.sha256(msgspec.msgpack.encode(each)).digest()[:16]) for each in files) % 2**128


def read_journal(filesystem: IFilesystem, folder: str) -> State:
    """Return what the records of a journal result in.

    :raise JournalDamaged: it cannot be read.
    """
    return fold(JournalReader(filesystem, folder))


def copy_journal(
    connection: Any, state: State, epoch: int, progress: Callable[[int], object], front: str = ""
) -> Contents:
    """Copy a catalog into an empty database.  If it is interrupted, nothing is there, and it can be repeated.

    A front that is started on the database meanwhile is refused.

    :param state: what the journal's records result in.
    :param epoch: the journal's epoch.
    :param progress: called with the number of records that were copied.
    :param front: the id of the journal's folder; empty if it has none.
    :return: what was copied, which the database has been checked for.
    :raise CatalogOutdated: the database has a catalog already, or another copy into it is under way.
    :raise ValueError: the copy is not like its original.
    """
    migrate(connection)
    common, done, expected = Common(), 0, contents_of(state)
    cursor = Statements(connection)
    with no_front(connection), connection.transaction():
        cursor.execute("LOCK TABLE catalog")
        if cursor.execute("SELECT EXISTS (SELECT FROM catalog)").fetchone()[0]:
            raise CatalogOutdated("the database has a catalog already; copy into an empty database or schema")
        records = iter(records_of(state))
        opened = next(records)
        assert isinstance(opened, JournalOpened)
        query = "INSERT INTO catalog (one, cluster, epoch, front) VALUES (1, %s, %s, %s)"
        cursor.execute(query, (opened.cluster, epoch, front))
        query = "INSERT INTO entry (parent, name, id, created_ms, modified_ms) VALUES (0, '', 1, %s, %s)"
        cursor.execute(query, (opened.time_ms, opened.time_ms))
        cursor.execute("INSERT INTO node VALUES (0, '') ON CONFLICT DO NOTHING")
        while batch := list(islice(records, BATCH)):
            _apply(cursor, common, batch)
            done += len(batch)
            progress(done)
        found = stored_contents(cursor)
        if found != expected:
            raise ValueError(f"the copy differs: {found} in place of {expected}")
    return expected


def _apply(cursor: Any, common: Common, batch: list[Record]) -> None:
    state = StoredState(cursor, Packing(), common, 0, locks=True)
    paths = {getattr(record, "path", "") or getattr(record, "target", "") for record in batch}
    state.load((path, True) for path in paths if path.startswith("/"))
    for record in batch:
        if not isinstance(record, JournalRestored):  # it holds the sweep of a journal that was restored
            enact(state, record)
    state.flush()
    common.widest = max(common.widest, state.widest)
