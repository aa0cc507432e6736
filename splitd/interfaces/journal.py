"""The interface of the journal, which only the catalog uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from splitd.interfaces.restoring import IRestorer
from splitd.model.records import Record


class HolderReport(msgspec.Struct, frozen=True):
    """A node that holds a copy of the journal, or gets one.

    :param state: "in sync", "behind", or "away" if it does not answer.
    :param counts: whether an acknowledged record may rely on it.
    :param behind: how many records it lacks.
    :param problem: why it is away; empty if it is not.
    """

    node: str
    state: str
    counts: bool
    behind: int
    problem: str


class CopiesReport(msgspec.Struct, frozen=True, kw_only=True):
    """The copies of the journal on nodes.

    :param wanted: how many there should be.
    :param present: how many count, and take records.
    :param epoch: the epoch of the front.
    :param front: the id of the front's journal folder.
    :param confirmed: whether a majority of the nodes has confirmed the epoch a short time ago.
    :param problem: why changes are refused just now; empty if they are not.
    """

    wanted: int
    present: int
    epoch: int
    front: str
    confirmed: bool
    problem: str
    holders: list[HolderReport]


class JournalStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of the journal.

    :param records: the number of the last record.
    :param size: the bytes of the snapshot and of the lines in all segments.
    :param segments: how many segments there are.
    :param appended: records appended since the start.
    :param syncs: syncs since the start.
    :param largest_batch: the most records that were written at once, since the start.
    :param compactions: snapshots made since the start.
    :param compacting: whether a snapshot is being made.
    :param compaction_problem: why the last compaction failed; empty if it succeeded.
    :param failure: why nothing can be changed until a restart; empty if the journal works.
    :param copies: the copies on nodes; null if there are none by the settings.
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
    copies: CopiesReport | None = None


class IJournalCopies(Interface):
    """The copies of the journal on nodes: the journal tells them what it writes, they tell what is acknowledged."""

    confirmed = Attribute("All durable records before this number may be acknowledged: an int, which only grows.")
    unavailable = Attribute("Why changes are refused just now: a str; empty if they are not.")

    def watch(confirmed: Callable[[], None], refused: Callable[[str], None]) -> None:
        """Set what to call.

        :param confirmed: called when `confirmed` has grown.
        :param refused: called with the reason when another front has taken over, so that nothing may be changed any
            more.
        """

    def opened(upcoming: int, base: int) -> Deferred[None]:
        """Take note of the journal's records, before the first call of `send`.

        :param upcoming: the number of the next record.
        :param base: the number of the record before which its snapshot was made; 1 if it has none.
        :raise OSError: the epoch could not be written down.
        """

    def send(lines: list[bytes], *, durable: bool) -> None:
        """Send the next lines, which are about to be written.

        :param durable: whether one of them waits until it is durable; otherwise they may wait for such a line.
        """

    def written(upcoming: int, durable: bool) -> None:
        """Take note that all records before a number are in the journal's files, or even durable there."""

    def compacted() -> None:
        """Take note that there is a new snapshot."""

    def report() -> CopiesReport:
        """Describe the copies."""


class IJournal(Interface):
    """Records in the order in which they were appended, durable on demand.

    Only one process at a time can open a journal; a second one is refused.
    """

    def replay(apply: Callable[[Record], None], restorer: IRestorer | None = None) -> Deferred[int]:
        """Read all records, oldest first, and make the journal ready for `append_all`.

        This must be called once, before any other call.  Lines at the end that a crash has torn are cut off.

        :param apply: called with each record, in the thread of the caller of `replay`.
        :param restorer: takes the image of the snapshot in place of its records, if there is one that can be used; it
            is called in that thread, too.  If None, all records are read.
        :return: a Deferred that fires with the number of records.
        :raise JournalDamaged: the journal has other damage; the message names file and line.  Nothing was changed.
        """

    def append_all(records: Sequence[Record], *, durable: bool) -> Deferred[None]:
        """Append some records, at least one, one after the other.

        Deferreds fire in the order of the calls.  One sync serves all records that wait for one.

        :param durable: whether to wait until all of them would survive a power cut, not only until they are handed to
            the operating system.
        :return: a Deferred that fires with None.
        :raise CatalogReadOnly: writing or syncing failed, now or earlier.  Each of the records may be in the journal or
            not, and nothing can be appended any more.
        """

    def together() -> AbstractContextManager[None]:
        """Return a context in which records are only collected; those of a block are written and synced together.

        Nothing may be awaited in the block.
        """

    def close() -> Deferred[None]:
        """Sync the appended records, and release the journal."""

    failure = Attribute("Why nothing can be appended any more: a str; empty while the journal works.")
    unavailable = Attribute("Why nothing should be appended just now: a str; empty if nothing speaks against it.")
