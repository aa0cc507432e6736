"""The seam below the catalog: its journal."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from splitd.model.records import Record


class JournalStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The catalog's journal.

    :param records: the number of the last record.
    :param size: bytes of the snapshot and all segments.
    :param segments: how many segments there are.
    :param appended: records appended since the start.
    :param syncs: syncs since the start.
    :param largest_batch: the most records that were written at once, since the start.
    :param compactions: snapshots made since the start.
    :param compacting: whether one is being made.
    :param compaction_problem: why the last compaction failed; empty if it succeeded.
    :param failure: why nothing can be changed until a restart; empty if the journal works.
    """

    records: int
    size: int
    segments: int
    appended: int
    syncs: int
    largest_batch: int
    compactions: int
    compacting: bool
    compaction_problem: str
    failure: str


class IJournal(Interface):
    """Records in the order they were appended, durable on demand.  Known to the catalog alone.

    One process at a time; a second one is refused when it opens it.
    """

    def replay(apply: Callable[[Record], None]) -> Deferred[int]:
        """Read all records, oldest first, and make the journal ready for `append`.  To be called once, first.

        A last line that a crash has torn is cut off.

        :param apply: called with each record, in the thread of the caller of `replay`.
        :return: a Deferred of how many records there were.
        :raise JournalDamaged: there is other damage; the message names file and line.  Nothing was changed.
        """

    def append(record: Record, *, durable: bool) -> Deferred[None]:
        """Append a record.

        Deferreds fire in the order of the calls.  One sync serves all records that wait for one.

        :param durable: fire when the record would survive a power cut, not when it is handed to the system.
        :raise CatalogReadOnly: writing or syncing failed, now or earlier; the record may or may not be in the
            journal, and nothing is appended any more.
        """

    def close() -> Deferred[None]:
        """Sync what was appended, and let go of the journal."""

    failure = Attribute("Why nothing can be appended any more: a str; empty while all is well.")
