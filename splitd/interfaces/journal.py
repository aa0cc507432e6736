"""The interface of the journal, which only the catalog uses."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from splitd.model.records import Record


class JournalStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of the journal.

    :param records: the number of the last record.
    :param size: the bytes of the snapshot and all segments.
    :param segments: how many segments there are.
    :param appended: records appended since the start.
    :param syncs: syncs since the start.
    :param largest_batch: the most records that were written at once, since the start.
    :param compactions: snapshots made since the start.
    :param compacting: whether a snapshot is being made.
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
    """Records in the order in which they were appended, durable on demand.

    Only one process at a time can open a journal; a second one is refused.
    """

    def replay(apply: Callable[[Record], None]) -> Deferred[int]:
        """Read all records, oldest first, and make the journal ready for `append`.

        This must be called once, before any other call.  Lines at the end that a crash has torn are cut off.

        :param apply: called with each record, in the thread of the caller of `replay`.
        :return: a Deferred that fires with the number of records.
        :raise JournalDamaged: the journal has other damage; the message names file and line.  Nothing was changed.
        """

    def append(record: Record, *, durable: bool) -> Deferred[None]:
        """Append a record.

        Deferreds fire in the order of the calls.  One sync serves all records that wait for one.

        :param durable: whether to wait until the record would survive a power cut, not only until it is handed to the
            operating system.
        :return: a Deferred that fires with None.
        :raise CatalogReadOnly: writing or syncing failed, now or earlier.  The record may or may not be in the journal,
            and nothing can be appended any more.
        """

    def close() -> Deferred[None]:
        """Sync the appended records, and release the journal."""

    failure = Attribute("Why nothing can be appended any more: a str; empty while the journal works.")
