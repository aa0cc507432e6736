"""The lines of the journal: a record each, with its number and a checksum.  Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
from google_crc32c import value

from splitd.model.records.journal import JournalOpened, JournalRestored, SnapshotEnded
from splitd.model.records.names import (
    CollectionMade,
    CollectionTouched,
    DocumentDeleted,
    DocumentPut,
    EntryBinned,
    EntryCopied,
    EntryDeleted,
    EntryMoved,
    EntryRestored,
    FileCommitted,
    KeyCopied,
    KeyDeleted,
    LockReleased,
    LockTaken,
    PropertiesChanged,
)
from splitd.model.records.parts import (
    ContinuedUploadAborted,
    ContinuedUploadBegun,
    DiskChecked,
    LayoutChanged,
    NodeLost,
    PartCopyReaped,
    PartMoveAborted,
    PartMoved,
    PartMoveStarted,
    PartsGone,
    PartsLost,
    PartsReaped,
    SegmentCommitted,
    UploadAborted,
    UploadStarted,
    VersionKept,
)

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
    | EntryBinned
    | EntryRestored
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
