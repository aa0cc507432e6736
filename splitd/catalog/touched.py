"""What a record changes of look-ups, for those who keep look-ups and believe them until something changes.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from splitd.model import records
from splitd.model.paths import above, place_of
from splitd.model.records import Record

GROUPS = 4096
"""Paths are told apart by groups: with many names, some share one."""

_OF_NO_NAME = (
    records.UploadStarted,
    records.UploadAborted,
    records.SegmentCommitted,
    records.ContinuedUploadBegun,
    records.ContinuedUploadAborted,
    records.LockReleased,
    records.PartsReaped,
    records.PartsGone,
    records.PartMoveStarted,
    records.PartMoveAborted,
    records.PartCopyReaped,
    records.DiskChecked,
    records.DocumentPut,
    records.DocumentDeleted,
)
"""What these records change is in no look-up of a path."""

_OF_ONE_NAME = (
    records.FileCommitted,
    records.CollectionMade,
    records.KeyDeleted,
    records.LockTaken,
    records.PropertiesChanged,
)
"""These change what is found at their path, and at the collections that it lies in: nothing below it."""


def touched(record: Record) -> Iterable[str] | None:
    """Return the places of which a record changes what is found there; None for all."""
    if isinstance(record, _OF_NO_NAME):
        return ()
    if isinstance(record, _OF_ONE_NAME):
        return _with_above(record.path)
    return _with_above(record.target) if isinstance(record, records.KeyCopied) else None


def _with_above(path: str) -> Iterable[str]:
    place = place_of(path)
    return place, *above(place)


def group_of(place: str) -> int:
    """Return the group of a place, from 0 on."""
    return crc32(place.encode("utf-8", "surrogatepass")) % GROUPS
