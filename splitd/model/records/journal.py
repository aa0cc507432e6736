"""The records of the journal itself.  Pure."""

from __future__ import annotations

from splitd.model.records.base import RecordBase

VERSION = 1
"""The version of the journal's format, in its first record."""


class JournalOpened(RecordBase, frozen=True, tag="journal-opened"):
    """The first record of a journal; it says which cluster the journal belongs to.

    :param version: the version of the journal's format.
    :param cluster: the id of the cluster, 32 hexadecimal digits.
    """

    version: int
    cluster: str
    time_ms: int


class JournalRestored(RecordBase, frozen=True, tag="journal-restored"):
    """The records before this one come from a backup: parts may lie on the nodes that they do not know, and that newer
    ones knew.

    :param taken_ms: when the backup was taken.
    :param until_ms: until when no part is trashed because it is unknown.
    """

    taken_ms: int
    time_ms: int
    until_ms: int


class SnapshotEnded(RecordBase, frozen=True, tag="snapshot-ended"):
    """The last record of a snapshot; it occurs nowhere else.

    :param next: the number of the record that comes next in the journal.
    """

    next: int
