"""The names of the files in a journal's folder: snapshots and segments."""

from __future__ import annotations

import re

import attrs

from storaged.system.filesystem import UNFINISHED
from storaged.system.interfaces import IFilesystem

_NAME = re.compile(rf"\A(journal|snapshot)-([0-9]{{10}})\.jsonl({re.escape(UNFINISHED)})?\Z")


def segment_name(first: int) -> str:
    """Return the name of the segment that begins with this record."""
    return f"journal-{first:010}.jsonl"


def snapshot_name(upcoming: int) -> str:
    """Return the name of the snapshot of all records before this one."""
    return f"snapshot-{upcoming:010}.jsonl"


def is_unfinished_snapshot(name: str) -> bool:
    """Whether this is the name of a snapshot that is being written, or was left unfinished."""
    match = _NAME.match(name)
    return match is not None and match[1] == "snapshot" and match[3] is not None


@attrs.frozen
class Listing:
    """The files of a journal's folder.

    :param snapshot: the number of the record before which the newest snapshot was made; None if there is no snapshot.
    :param segments: the numbers of the first records of the segments that follow the snapshot, ascending; of all
        segments if there is no snapshot.
    :param obsolete: the names of files that the journal does not need: those that the snapshot replaces, and unfinished
        ones.
    """

    snapshot: int | None
    segments: list[int]
    obsolete: list[str]


def list_folder(filesystem: IFilesystem, folder: str) -> Listing:
    """List the files of a journal's folder; other files in it are skipped."""
    snapshots: list[int] = []
    segments: list[int] = []
    obsolete: list[str] = []
    for name, _, _ in filesystem.scan(folder):
        match = _NAME.match(name)
        if match is None:
            continue
        if match[3]:
            obsolete.append(name)
        else:
            (snapshots if match[1] == "snapshot" else segments).append(int(match[2]))
    snapshot = max(snapshots, default=None)
    if snapshot is not None:
        obsolete += [snapshot_name(number) for number in snapshots if number < snapshot]
        obsolete += [segment_name(first) for first in segments if first < snapshot]
        segments = [first for first in segments if first >= snapshot]
    return Listing(snapshot, sorted(segments), sorted(obsolete))
