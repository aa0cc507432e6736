"""The records of the journal: what happened, in the order it happened.  Pure.  The page is docs/journal-format.md."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec
from google_crc32c import value

from splitd.model.manifest import Manifest

VERSION = 1
"""The version of the journal's format, in its first record."""

MOST_GONE = 1000
"""How many parts one record confirms at most."""


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", omit_defaults=True, gc=False):
    pass


class JournalOpened(_Record, frozen=True, tag="journal-opened"):
    """The first record there is: which cluster's journal this is.

    :param version: of the journal's format.
    :param cluster: the id of the cluster, 32 hexadecimal digits.
    """

    version: int
    cluster: str
    time_ms: int


class UploadStarted(_Record, frozen=True, tag="upload-started"):
    """Parts of this upload may lie on these nodes, by the parts' index."""

    upload: str
    path: str
    nodes: tuple[str, ...]
    time_ms: int


class UploadAborted(_Record, frozen=True, tag="upload-aborted"):
    """The upload ended without a commit; its parts are to go."""

    upload: str
    reason: str
    time_ms: int


class FileCommitted(_Record, frozen=True, tag="file-committed"):
    """The file exists from here on, with this manifest; the version before it is to go."""

    path: str
    manifest: Manifest


class CollectionMade(_Record, frozen=True, tag="collection-made"):
    """An empty collection exists from here on.

    :param properties: what the client noted of it when it was made; see `PropertiesChanged`.
    """

    path: str
    time_ms: int
    properties: dict[str, str] = {}


class EntryDeleted(_Record, frozen=True, tag="entry-deleted"):
    """The file, or the collection with all in it, exists no more; its parts are to go."""

    path: str
    time_ms: int


class EntryMoved(_Record, frozen=True, tag="entry-moved"):
    """The file, or the collection with all in it, has another name from here on; what was there is gone."""

    source: str
    target: str
    time_ms: int


class EntryCopied(_Record, frozen=True, tag="entry-copied"):
    """The files at the source, and below, have one more name each; what was at the target is gone.

    :param depth: "infinity", or "0" for a collection without its members.
    """

    source: str
    target: str
    depth: Literal["0", "infinity"]
    time_ms: int


class PropertiesChanged(_Record, frozen=True, tag="properties-changed"):
    """What clients note of a file or collection is another from here on.

    :param set: whole XML elements, by the properties' names: "{namespace}name", or the name alone.
    :param removed: the names of those that are no more; they need not have been there.
    """

    path: str
    set: dict[str, str] = {}
    removed: tuple[str, ...] = ()


class LockTaken(_Record, frozen=True, tag="lock-taken"):
    """Who names this token may change what others may not; or, where the token is known, may go on to.

    Locks that had expired at `time_ms` are no more.

    :param depth: "infinity" where all that lies below is locked, too.
    :param owner: an XML element, or empty.
    :param file: the empty file that was made to be locked, where there was nothing.
    """

    path: str
    token: str
    scope: Literal["exclusive", "shared"]
    depth: Literal["0", "infinity"]
    owner: str
    time_ms: int
    expires_ms: int
    file: Manifest | None = None


class LockReleased(_Record, frozen=True, tag="lock-released"):
    """There is no lock of this token any more."""

    token: str


class PartsReaped(_Record, frozen=True, tag="parts-reaped"):
    """The parts of this upload are gone from all nodes."""

    upload: str


class PartsGone(_Record, frozen=True, tag="parts-gone"):
    """These parts, which were to be deleted, are gone from this node.  One that was not to be deleted counts as gone.

    :param parts: part ids, `MOST_GONE` at most.
    """

    node: str
    parts: tuple[str, ...]


class PartMoveStarted(_Record, frozen=True, tag="part-move-started"):
    """A copy of this part may lie on this node from now on.

    :param index: which part of the upload.
    :param target: the node.
    """

    upload: str
    index: int
    target: str
    time_ms: int


class PartMoved(_Record, frozen=True, tag="part-moved"):
    """The part lies on another node from here on; the copy on the node where it lay is to go.

    :param path: a file that the part is of.
    :param source: the node where it lay.
    :param target: the node where it lies now, a part move to which was under way.
    """

    path: str
    upload: str
    index: int
    source: str
    target: str


class PartMoveAborted(_Record, frozen=True, tag="part-move-aborted"):
    """The part stays where it is; the copy on this node is to go."""

    upload: str
    index: int
    target: str
    reason: str
    time_ms: int


class PartCopyReaped(_Record, frozen=True, tag="part-copy-reaped"):
    """The copy of this part that was to go is gone from this node."""

    upload: str
    index: int
    node: str


class CollectionTouched(_Record, frozen=True, tag="collection-touched"):
    """The collection was modified last at this time.  In snapshots: elsewhere it follows from the other records."""

    path: str
    time_ms: int


class SnapshotEnded(_Record, frozen=True, tag="snapshot-ended"):
    """The last record of a snapshot, and only there.

    :param next: the number of the record that comes next in the journal.
    """

    next: int


Record = (
    JournalOpened
    | UploadStarted
    | UploadAborted
    | FileCommitted
    | CollectionMade
    | EntryDeleted
    | EntryMoved
    | EntryCopied
    | PropertiesChanged
    | LockTaken
    | LockReleased
    | PartsReaped
    | PartsGone
    | PartMoveStarted
    | PartMoved
    | PartMoveAborted
    | PartCopyReaped
    | CollectionTouched
    | SnapshotEnded
)

# The line around the record is matched byte by byte, so that the checksum need not cover it.
_LINE = re.compile(
    rb'\{"seq":([1-9][0-9]{0,18}),"synced":(0|[1-9][0-9]{0,18}),"crc":"([0-9a-f]{8})","record":(\{.*\})\}\n?\Z'
)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class Line(NamedTuple):
    """A line of a journal.

    :param sequence: the number of the record, from 1.
    :param synced: all records up to this one were durable when the line was made.
    """

    sequence: int
    synced: int
    record: Record


def encode_line(sequence: int, synced: int, record: Record) -> bytes:
    """A record as one line of a journal, newline included; see `Line`.

    :raise ValueError: it holds text that is not Unicode, a lone surrogate.
    """
    body = _encoder.encode(record)
    checksum = value(b"%d %d %b" % (sequence, synced, body))
    return b'{"seq":%d,"synced":%d,"crc":"%08x","record":%b}\n' % (sequence, synced, checksum, body)


def decode_line(line: bytes) -> Line:
    """Read a line of a journal, with its newline or without.

    :raise ValueError: it is not, bit by bit, a line that `encode_line` made.
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
