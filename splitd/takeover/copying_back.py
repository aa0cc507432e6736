"""Copies a catalog from a database into a new journal, and checks the copy.  Everything here blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from splitd.catalog import snapshot_records
from splitd.catalog.compaction import fold
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import write_snapshot
from splitd.catalog.sql.connecting import Statements
from splitd.catalog.sql.copying import Contents, contents_of, stored_contents
from splitd.catalog.sql.exclusion import no_front
from splitd.catalog.sql.migrations import refuse_newer, refuse_older, version_of
from splitd.catalog.sql.state import Common, StoredState
from splitd.catalog.sql.trees import is_trash_empty, take_slice
from splitd.errors import CatalogOutdated
from splitd.model.packing import Packing
from splitd.model.records import Record
from splitd.takeover.folders import make_journal_folder, refuse_used_folder
from splitd.takeover.history import History, new_history, save_history
from storaged.system.interfaces import IFilesystem

_UNFINISHED = "journal.copying"
_NEXT = 2
"""The number of the journal's next record; the snapshot takes the place of the first one."""
_AT_ONCE = 5000
"""How many versions are loaded by one statement."""

_UPLOADS = """SELECT upload FROM version UNION SELECT upload FROM entry WHERE upload IS NOT NULL
    UNION SELECT upload FROM upload UNION SELECT upload FROM move UNION SELECT upload FROM doomed"""


def copy_back(connection: Any, data: Path, filesystem: IFilesystem, new_id: Callable[[], str]) -> Contents:
    """Copy a catalog into a new journal.  If it is interrupted, no journal is there, and it can be repeated.

    The database is not changed, but for names that were deleted and are not taken apart yet.  A front that is started
    on it or on the folder meanwhile is refused, and so are changes of one that had stood still.

    :param data: the data folder of the front that is to use the journal; it must be empty.
    :param new_id: makes the id of the journal's folder, if the catalog never was in one: 16 hexadecimal digits.
    :return: what was copied, which the journal has been checked for.
    :raise RecoveryRefused: the folder is not empty, or another process makes a journal in it.
    :raise CatalogOutdated: the database has no catalog, or another schema, or a front or another copy uses it.
    :raise ValueError: the copy is not like its original.
    """
    refuse_used_folder(data, _UNFINISHED)
    _refuse_used(connection)
    with no_front(connection):
        return _copy_alone(connection, data, filesystem, new_id)


def _copy_alone(connection: Any, data: Path, filesystem: IFilesystem, new_id: Callable[[], str]) -> Contents:
    while not _is_settled(connection):
        pass
    cursor = Statements(connection)
    with connection.transaction():
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        _refuse_fronts(cursor)
        expected = stored_contents(cursor)
        epoch, front = cursor.execute("SELECT epoch, front FROM catalog").fetchone()

        def make(folder: Path) -> None:
            filesystem.make_folder(str(folder))
            write_snapshot(filesystem, str(folder), _NEXT, records_of(cursor))
            found = contents_of(fold(JournalReader(filesystem, str(folder))))
            if found != expected:
                raise ValueError(f"the copy differs: {found} in place of {expected}")
            # No copy on a node has this epoch, so that each is replaced.
            history = new_history(front or new_id())
            save_history(filesystem, str(folder), History(history.version, history.front, ((epoch + 1, 1),), epoch))

        data.mkdir(parents=True, exist_ok=True)
        make_journal_folder(data, _UNFINISHED, filesystem, make)
    return expected


def _refuse_used(connection: Any) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        version = version_of(connection)
        if not version:
            raise CatalogOutdated("the database has no catalog")
        refuse_newer(version)
        refuse_older(version)
        _refuse_fronts(cursor)


def _refuse_fronts(cursor: Any) -> None:
    (fronts,) = cursor.execute("SELECT count(*) FROM front WHERE expires > now()").fetchone()
    if fronts:
        raise CatalogOutdated(f"fronts use the catalog: {fronts}. Stop them; one that was killed counts for 20 s more")


def _is_settled(connection: Any) -> bool:
    """Take some of what was deleted apart, which a journal does not know; return whether nothing is left."""
    cursor = Statements(connection)
    with connection.transaction():
        state = StoredState(cursor, Packing(), Common(), 0, locks=True)
        more = take_slice(cursor, state.forget_rows) | state.drop_some()
        state.flush()
        return not more and is_trash_empty(cursor)


def records_of(cursor: Any) -> Iterator[Record]:
    """Iterate over records that result in the catalog of a database."""
    state = StoredState(cursor, Packing(), Common(), 0, locks=False)
    state.load_all(cursor.execute("SELECT cluster FROM catalog").fetchone()[0])
    uploads = iter(sorted(upload.hex() for (upload,) in cursor.execute(_UPLOADS).fetchall()))
    while some := list(islice(uploads, _AT_ONCE)):
        state.parts.load(*some)
    state.doomed.sort()
    yield from snapshot_records.records_of(state)
