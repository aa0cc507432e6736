"""The records of uploads, of versions, and of their parts on the nodes.  Pure."""

from __future__ import annotations

import msgspec

from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.records.base import RecordBase

MOST_GONE = 1000
"""The most parts that one `PartsGone` names."""


class UploadStarted(RecordBase, frozen=True, tag="upload-started"):
    """From here on, parts of this upload may lie on these nodes.

    :param nodes: the ids of the nodes, by the parts' index; "" for a part that no node takes.
    :param front: the id of the front that began the upload; empty if an older splitd did.
    """

    upload: str
    path: str
    nodes: tuple[str, ...]
    time_ms: int
    front: str = ""


class UploadAborted(RecordBase, frozen=True, tag="upload-aborted"):
    """The upload ended without a commit; its parts are doomed."""

    upload: str
    reason: str
    time_ms: int


class ContinuedUploadBegun(RecordBase, frozen=True, tag="continued-upload-begun"):
    """From here on, segments can be committed to this upload, also after a restart.

    :param path: the path that its file should get.
    :param said: the headers that the client sent when it began; see `Manifest.said`.
    """

    upload: str
    path: str
    time_ms: int
    said: str | Media = msgspec.field(default="", name="content_type")


class SegmentCommitted(RecordBase, frozen=True, tag="segment-committed"):
    """The continued upload `manifest.segment_of` has this segment from here on, in place of one of the same number.

    The segment is a version without a name.  The parts of the segment that it replaces are doomed.
    """

    number: int
    manifest: Manifest


class ContinuedUploadAborted(RecordBase, frozen=True, tag="continued-upload-aborted"):
    """The continued upload ended without a file; the parts of its segments are doomed."""

    upload: str
    reason: str
    time_ms: int


class VersionKept(RecordBase, frozen=True, tag="version-kept"):
    """There is this segment of a file that a later record commits.  For snapshots."""

    manifest: Manifest


class PartsReaped(RecordBase, frozen=True, tag="parts-reaped"):
    """The doomed parts of this upload are deleted from all nodes.  Older versions of splitd wrote it."""

    upload: str


class PartsGone(RecordBase, frozen=True, tag="parts-gone"):
    """These parts, which were doomed, are deleted from this node.  A part that is not doomed there is skipped.

    :param parts: part ids, `MOST_GONE` at most.
    """

    node: str
    parts: tuple[str, ...]


class PartMoveStarted(RecordBase, frozen=True, tag="part-move-started"):
    """From here on, a copy of this part may lie on another node.

    :param index: which part of the upload.
    :param target: the id of that node.
    :param front: the id of the front that began the move; empty if an older splitd did.
    """

    upload: str
    index: int
    target: str
    time_ms: int
    front: str = ""


class PartMoved(RecordBase, frozen=True, tag="part-moved"):
    """The part lies on another node from here on; its copy on the node where it lay is doomed.

    If no file has the version any more, the copy on `target` is doomed.

    :param source: the node where it lay; "" if it was missing, and was rebuilt.
    :param target: the node where it lies now; a move of the part to it was in progress.
    :param path: a file that the part belongs to.  Older versions of splitd wrote it.
    """

    upload: str
    index: int
    source: str
    target: str
    path: str = ""


class PartsLost(RecordBase, frozen=True, tag="parts-lost"):
    """These parts of versions are missing from here on: the node does not hold them, or holds wrong bytes.

    A part that does not lie there is skipped.

    :param parts: part ids, `MOST_GONE` at most.
    :param remains: whether bytes of them may be left there; if so, these are doomed.
    """

    node: str
    parts: tuple[str, ...]
    reason: str
    time_ms: int
    remains: bool = True


class NodeLost(RecordBase, frozen=True, tag="node-lost"):
    """Nothing on this node will ever be read again, and no part is put there."""

    node: str
    time_ms: int


class DiskChecked(RecordBase, frozen=True, tag="disk-checked"):
    """All parts that lay on this node were looked for on this disk; `PartsLost` names those that were not there.

    :param disk: the id of the node's disk.
    """

    node: str
    disk: str
    time_ms: int


class LayoutChanged(RecordBase, frozen=True, tag="layout-changed"):
    """The version has so many parity parts from here on.

    Further ones are missing at first; those that are too many are doomed, as copies.  Nothing happens if no file has
    the version any more.
    """

    upload: str
    parity: int
    time_ms: int


class PartMoveAborted(RecordBase, frozen=True, tag="part-move-aborted"):
    """The part stays where it is; its copy on the node `target` is doomed."""

    upload: str
    index: int
    target: str
    reason: str
    time_ms: int


class PartCopyReaped(RecordBase, frozen=True, tag="part-copy-reaped"):
    """The doomed copy of this part is deleted from this node.  Older versions of splitd wrote it."""

    upload: str
    index: int
    node: str
