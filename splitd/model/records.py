"""The records of the journal: what happened, in the order it happened.  Pure.  The page is docs/journal-format.md."""

from __future__ import annotations

import msgspec

from splitd.model.manifest import Manifest


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", omit_defaults=True):
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
    """An empty collection exists from here on."""

    path: str
    time_ms: int


class EntryDeleted(_Record, frozen=True, tag="entry-deleted"):
    """The file, or the collection with all in it, exists no more; its parts are to go."""

    path: str
    time_ms: int


class PartsReaped(_Record, frozen=True, tag="parts-reaped"):
    """The parts of this upload are gone from all nodes."""

    upload: str


Record = JournalOpened | UploadStarted | UploadAborted | FileCommitted | CollectionMade | EntryDeleted | PartsReaped
