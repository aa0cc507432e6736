"""The records of the journal, and their lines.  Pure.  The format is described in docs/journal-format.md."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec
from google_crc32c import value

from splitd.model.manifest import Manifest
from splitd.model.media import Media

VERSION = 1
"""The version of the journal's format, in its first record."""

MOST_GONE = 1000
"""The most parts that one `PartsGone` names."""


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", omit_defaults=True, gc=False):
    pass


class JournalOpened(_Record, frozen=True, tag="journal-opened"):
    """The first record of a journal; it says which cluster the journal belongs to.

    :param version: the version of the journal's format.
    :param cluster: the id of the cluster, 32 hexadecimal digits.
    """

    version: int
    cluster: str
    time_ms: int


class UploadStarted(_Record, frozen=True, tag="upload-started"):
    """From here on, parts of this upload may lie on these nodes.

    :param nodes: the ids of the nodes, by the parts' index; "" for a part that no node takes.
    :param front: the id of the front that began the upload; empty if an older splitd did.
    """

    upload: str
    path: str
    nodes: tuple[str, ...]
    time_ms: int
    front: str = ""


class UploadAborted(_Record, frozen=True, tag="upload-aborted"):
    """The upload ended without a commit; its parts are doomed."""

    upload: str
    reason: str
    time_ms: int


class FileCommitted(_Record, frozen=True, tag="file-committed"):
    """The file exists from here on, with this manifest, in place of the version before it.

    The parts of that version are doomed, unless it has another name.  Parts of the upload that the manifest does not
    place are doomed as copies.

    If the manifest is of a continued upload, that upload has ended: the segments that the manifest names are the
    file's, and the parts of its others are doomed.

    :param implies: whether missing collections that the path lies in are made, as implied ones; a collection of the
        same name is no contradiction then, and a path with a slash at its end is that of the collection, which is the
        file itself.
    """

    path: str
    manifest: Manifest
    implies: bool = False


class ContinuedUploadBegun(_Record, frozen=True, tag="continued-upload-begun"):
    """From here on, segments can be committed to this upload, also after a restart.

    :param path: the path that its file should get.
    :param said: the headers that the client sent when it began; see `Manifest.said`.
    """

    upload: str
    path: str
    time_ms: int
    said: str | Media = msgspec.field(default="", name="content_type")


class SegmentCommitted(_Record, frozen=True, tag="segment-committed"):
    """The continued upload `manifest.segment_of` has this segment from here on, in place of one of the same number.

    The segment is a version without a name.  The parts of the segment that it replaces are doomed.
    """

    number: int
    manifest: Manifest


class ContinuedUploadAborted(_Record, frozen=True, tag="continued-upload-aborted"):
    """The continued upload ended without a file; the parts of its segments are doomed."""

    upload: str
    reason: str
    time_ms: int


class VersionKept(_Record, frozen=True, tag="version-kept"):
    """There is this segment of a file that a later record commits.  For snapshots."""

    manifest: Manifest


class CollectionMade(_Record, frozen=True, tag="collection-made"):
    """An empty collection exists from here on.

    :param properties: those that the client set when it made the collection; see `PropertiesChanged`.
    :param implies: whether missing collections that the path lies in are made, as implied ones.
    :param implied: whether the collection is only implied.  For snapshots.
    """

    path: str
    time_ms: int
    properties: dict[str, str] = {}
    implies: bool = False
    implied: bool = False


class EntryDeleted(_Record, frozen=True, tag="entry-deleted"):
    """The file, or the collection with all in it, is deleted.

    The parts of versions that have no other name are doomed.  Implied collections that have become empty are gone.
    """

    path: str
    time_ms: int


class KeyDeleted(_Record, frozen=True, tag="key-deleted"):
    """The collection is no file itself any more, and only implied: it is gone if it is empty."""

    path: str
    time_ms: int


class EntryMoved(_Record, frozen=True, tag="entry-moved"):
    """The file, or the collection with all in it, is at `target` from here on; what was there is deleted.

    :param implies: whether missing collections that `target` lies in are made, as implied ones.
    """

    source: str
    target: str
    time_ms: int
    implies: bool = False


class EntryCopied(_Record, frozen=True, tag="entry-copied"):
    """Each file at `source` and below has one more name, at `target` and below; what was at `target` is deleted.

    :param depth: "infinity", or "0" for a collection without its members.
    :param implies: whether missing collections that `target` lies in are made, as implied ones.
    """

    source: str
    target: str
    depth: Literal["0", "infinity"]
    time_ms: int
    implies: bool = False


class KeyCopied(_Record, frozen=True, tag="key-copied"):
    """The file `source` has one more name, `target`; the version that was there is deleted.

    Both are keys: a path with a slash at its end is that of a collection, which is the file itself.  Missing
    collections that `target` lies in are made, as implied ones.

    :param time_ms: the `created_ms` of the copy.
    :param media: the headers of the copy, as `Media.compact` returns them; None for those of the source.
    """

    source: str
    target: str
    time_ms: int
    media: str | Media | None = None


class PropertiesChanged(_Record, frozen=True, tag="properties-changed"):
    """The properties of a file or collection have changed.

    :param set: the new values, whole XML elements, by the properties' names: "{namespace}name", or the name alone.
    :param removed: the names of removed properties; they need not have existed.
    :param keeps: whether the collection is from here on more than implied.
    """

    path: str
    set: dict[str, str] = {}
    removed: tuple[str, ...] = ()
    keeps: bool = False


class LockTaken(_Record, frozen=True, tag="lock-taken"):
    """A lock was taken, or refreshed if there is one with this token already.

    Locks that had expired at `time_ms` are dropped.

    :param depth: "infinity" if everything below the path is locked, too.
    :param owner: the client's description of the owner: an XML element, or empty.
    :param file: the empty file that was made to be locked, because there was nothing at the path; else None.
    :param user: the user who took it; empty for nobody in particular.
    :param implies: whether missing collections that `file` lies in are made, as implied ones.
    """

    path: str
    token: str
    scope: Literal["exclusive", "shared"]
    depth: Literal["0", "infinity"]
    owner: str
    time_ms: int
    expires_ms: int
    file: Manifest | None = None
    user: str = ""
    implies: bool = False


class LockReleased(_Record, frozen=True, tag="lock-released"):
    """The lock with this token is released; it may have expired and been dropped before."""

    token: str


class DocumentPut(_Record, frozen=True, tag="document-put"):
    """There is this small document from here on, in place of the one with its kind and key; see `Document`.

    Documents that had expired at `time_ms` are dropped.

    :param time_ms: when it was put; 0 in snapshots.
    """

    kind: str
    key: str
    owner: str
    body: str
    expires_ms: int
    revision: int
    time_ms: int = 0


class DocumentDeleted(_Record, frozen=True, tag="document-deleted"):
    """There is no document with this kind and key; it may have expired and been dropped before."""

    kind: str
    key: str


class PartsReaped(_Record, frozen=True, tag="parts-reaped"):
    """The doomed parts of this upload are deleted from all nodes.  Older versions of splitd wrote it."""

    upload: str


class PartsGone(_Record, frozen=True, tag="parts-gone"):
    """These parts, which were doomed, are deleted from this node.  A part that is not doomed there is skipped.

    :param parts: part ids, `MOST_GONE` at most.
    """

    node: str
    parts: tuple[str, ...]


class PartMoveStarted(_Record, frozen=True, tag="part-move-started"):
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


class PartMoved(_Record, frozen=True, tag="part-moved"):
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


class PartsLost(_Record, frozen=True, tag="parts-lost"):
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


class NodeLost(_Record, frozen=True, tag="node-lost"):
    """Nothing on this node will ever be read again, and no part is put there."""

    node: str
    time_ms: int


class DiskChecked(_Record, frozen=True, tag="disk-checked"):
    """All parts that lay on this node were looked for on this disk; `PartsLost` names those that were not there.

    :param disk: the id of the node's disk.
    """

    node: str
    disk: str
    time_ms: int


class LayoutChanged(_Record, frozen=True, tag="layout-changed"):
    """The version has so many parity parts from here on.

    Further ones are missing at first; those that are too many are doomed, as copies.  Nothing happens if no file has
    the version any more.
    """

    upload: str
    parity: int
    time_ms: int


class PartMoveAborted(_Record, frozen=True, tag="part-move-aborted"):
    """The part stays where it is; its copy on the node `target` is doomed."""

    upload: str
    index: int
    target: str
    reason: str
    time_ms: int


class PartCopyReaped(_Record, frozen=True, tag="part-copy-reaped"):
    """The doomed copy of this part is deleted from this node.  Older versions of splitd wrote it."""

    upload: str
    index: int
    node: str


class JournalRestored(_Record, frozen=True, tag="journal-restored"):
    """The records before this one come from a backup: parts may lie on the nodes that they do not know, and that newer
    ones knew.

    :param taken_ms: when the backup was taken.
    :param until_ms: until when no part is trashed because it is unknown.
    """

    taken_ms: int
    time_ms: int
    until_ms: int


class CollectionTouched(_Record, frozen=True, tag="collection-touched"):
    """The collection was last modified at this time.  For snapshots; elsewhere it follows from the other records."""

    path: str
    time_ms: int


class SnapshotEnded(_Record, frozen=True, tag="snapshot-ended"):
    """The last record of a snapshot; it occurs nowhere else.

    :param next: the number of the record that comes next in the journal.
    """

    next: int


Record = (
    JournalOpened
    | UploadStarted
    | UploadAborted
    | FileCommitted
    | ContinuedUploadBegun
    | SegmentCommitted
    | ContinuedUploadAborted
    | VersionKept
    | CollectionMade
    | EntryDeleted
    | KeyDeleted
    | EntryMoved
    | EntryCopied
    | KeyCopied
    | PropertiesChanged
    | LockTaken
    | LockReleased
    | DocumentPut
    | DocumentDeleted
    | PartsReaped
    | PartsGone
    | PartMoveStarted
    | PartMoved
    | PartMoveAborted
    | PartCopyReaped
    | PartsLost
    | NodeLost
    | DiskChecked
    | LayoutChanged
    | JournalRestored
    | CollectionTouched
    | SnapshotEnded
)

LINE_BEGIN = b'{"seq":'
"""The beginning of a line.  It occurs nowhere else in one: JSON escapes quotes inside of values."""

# The line around the record is matched byte by byte, so that the checksum need not cover it.
_LINE = re.compile(
    rb'\{"seq":([1-9][0-9]{0,18}),"synced":(0|[1-9][0-9]{0,18}),"crc":"([0-9a-f]{8})","record":(\{.*\})\}\n?\Z'
)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class Line(NamedTuple):
    """A line of a journal.

    :param sequence: the number of the record, from 1.
    :param synced: all records up to this number were durable when the line was made.
    """

    sequence: int
    synced: int
    record: Record


def encode_line(sequence: int, synced: int, record: Record) -> bytes:
    """Encode a record as one line of a journal, newline included; see `Line`.

    :raise ValueError: the record holds a lone surrogate, which no Unicode text may contain.
    """
    body = _encoder.encode(record)
    checksum = value(b"%d %d %b" % (sequence, synced, body))
    return b'{"seq":%d,"synced":%d,"crc":"%08x","record":%b}\n' % (sequence, synced, checksum, body)


def decode_line(line: bytes) -> Line:
    """Read a line of a journal, with its newline or without.

    :raise ValueError: the line is not, byte for byte, one that `encode_line` made.
    """
    match = _LINE.match(line)
    if match is None:
        raise ValueError(f"not a line of a journal: {line[:100]!r}")
    sequence, synced, checksum, body = match.groups()
    found = b"%08x" % value(b"%b %b %b" % (sequence, synced, body))
    if found != checksum:
        raise ValueError(f"record {int(sequence)}: its checksum is {found.decode()}, the line says {checksum.decode()}")
    try:
        return Line(int(sequence), int(synced), _decoder.decode(body))
    except msgspec.MsgspecError as problem:
        raise ValueError(f"record {int(sequence)}: {problem}") from problem
