"""What lies in the folder of a journal: snapshots and segments, by their names."""

from __future__ import annotations

import re

import attrs

from storaged.system.filesystem import UNFINISHED
from storaged.system.interfaces import IFilesystem

_NAME = re.compile(rf"\A(journal|snapshot)-([0-9]{{10}})\.jsonl({re.escape(UNFINISHED)})?\Z")


def segment_name(first: int) -> str:
    """The name of the segment that begins with this record."""
    return f"journal-{first:010}.jsonl"


def snapshot_name(upcoming: int) -> str:
    """The name of the snapshot of what was before this record."""
    return f"snapshot-{upcoming:010}.jsonl"


def is_unfinished_snapshot(name: str) -> bool:
    """Whether this is the name of a snapshot that is being written, or was not written to its end."""
    match = _NAME.match(name)
    return match is not None and match[1] == "snapshot" and match[3] is not None


@attrs.frozen
class Listing:
    """What lies in the folder.

    :param snapshot: the record before which the newest snapshot was made; None where there is none.
    :param segments: the first records of the segments that follow it, or of all; ascending.
    :param obsolete: the names of files that a journal does not need: what the snapshot replaces, and what was not
        written to its end.
    """

    snapshot: int | None
    segments: list[int]
    obsolete: list[str]


def list_folder(filesystem: IFilesystem, folder: str) -> Listing:
    """What lies in the folder of a journal; other files are passed over."""
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
