"""The names of the files in a journal's folder: snapshots, their images, and segments."""

from __future__ import annotations

import re

import attrs

from storaged.system.filesystem import UNFINISHED
from storaged.system.interfaces import IFilesystem

_KINDS = {("journal", "jsonl"): "segment", ("snapshot", "jsonl"): "snapshot", ("snapshot", "image"): "image"}
_NAME = re.compile(rf"\A(journal|snapshot)-([0-9]{{10}})\.(jsonl|image)({re.escape(UNFINISHED)})?\Z")


def segment_name(first: int) -> str:
    """Return the name of the segment that begins with this record."""
    return f"journal-{first:010}.jsonl"


def snapshot_name(upcoming: int) -> str:
    """Return the name of the snapshot of all records before this one."""
    return f"snapshot-{upcoming:010}.jsonl"


def image_name(upcoming: int) -> str:
    """Return the name of the image of the snapshot of all records before this one."""
    return f"snapshot-{upcoming:010}.image"


def is_unfinished_snapshot(name: str) -> bool:
    """Whether this is the name of a snapshot or image that is being written, or was left unfinished."""
    match = _NAME.match(name)
    return match is not None and match[1] == "snapshot" and match[4] is not None


@attrs.frozen
class Listing:
    """The files of a journal's folder.

    :param snapshot: the number of the record before which the newest snapshot was made; None if there is no snapshot.
    :param segments: the numbers of the first records of the segments that follow the snapshot, ascending; of all
        segments if there is no snapshot.
    :param obsolete: the names of files that the journal does not need: those that the snapshot replaces, images of
        other snapshots, and unfinished files.
    """

    snapshot: int | None
    segments: list[int]
    obsolete: list[str]


def list_folder(filesystem: IFilesystem, folder: str) -> Listing:
    """List the files of a journal's folder; other files in it are skipped."""
    numbers: dict[str, list[int]] = {kind: [] for kind in _KINDS.values()}
    obsolete: list[str] = []
    for name, _, _ in filesystem.scan(folder):
        match = _NAME.match(name)
        kind = _KINDS.get((match[1], match[3])) if match is not None else None
        if match is None or kind is None:
            continue
        if match[4]:
            obsolete.append(name)
        else:
            numbers[kind].append(int(match[2]))
    snapshots, segments = numbers["snapshot"], numbers["segment"]
    snapshot = max(snapshots, default=None)
    obsolete += [image_name(number) for number in numbers["image"] if number != snapshot]
    if snapshot is not None:
        obsolete += [snapshot_name(number) for number in snapshots if number < snapshot]
        obsolete += [segment_name(first) for first in segments if first < snapshot]
        segments = [first for first in segments if first >= snapshot]
    return Listing(snapshot, sorted(segments), sorted(obsolete))
