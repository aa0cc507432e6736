"""The records of names: what there is at which path, its properties, its locks, and small documents.  Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.records.base import RecordBase


class FileCommitted(RecordBase, frozen=True, tag="file-committed"):
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


class CollectionMade(RecordBase, frozen=True, tag="collection-made"):
    """An empty collection exists from here on.

    :param properties: those that the client set when it made the collection; see `PropertiesChanged`.
    :param implies: whether missing collections that the path lies in are made, as implied ones.
    :param implied: whether the collection is only implied.  For snapshots.
    """

    path: str
    time_ms: int
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    implies: bool = False
    implied: bool = False


class EntryDeleted(RecordBase, frozen=True, tag="entry-deleted"):
    """The file, or the collection with all in it, is deleted.

    The parts of versions that have no other name are doomed.  Implied collections that have become empty are gone.
    """

    path: str
    time_ms: int


class KeyDeleted(RecordBase, frozen=True, tag="key-deleted"):
    """The collection is no file itself any more, and only implied: it is gone if it is empty."""

    path: str
    time_ms: int


class EntryMoved(RecordBase, frozen=True, tag="entry-moved"):
    """The file, or the collection with all in it, is at `target` from here on; what was there is deleted.

    :param implies: whether missing collections that `target` lies in are made, as implied ones.
    """

    source: str
    target: str
    time_ms: int
    implies: bool = False


class EntryBinned(RecordBase, frozen=True, tag="entry-binned"):
    """The file, or the collection with all in it, is deleted, and lies in the bin from here on: at `target`.

    The collections that `target` lies in are made as implied ones, but for `BIN` itself and what it lies in.  The one
    right below `BIN` gets the properties.

    :param properties: what is noted of it; see `splitd.model.binned`.
    """

    source: str
    target: str
    time_ms: int
    properties: dict[str, str]


class EntryRestored(RecordBase, frozen=True, tag="entry-restored"):
    """What lay in the bin, at `source`, is at `target` from here on, where there was nothing.

    Missing collections that `target` lies in are made.
    """

    source: str
    target: str
    time_ms: int


class EntryCopied(RecordBase, frozen=True, tag="entry-copied"):
    """Each file at `source` and below has one more name, at `target` and below; what was at `target` is deleted.

    :param depth: "infinity", or "0" for a collection without its members.
    :param implies: whether missing collections that `target` lies in are made, as implied ones.
    """

    source: str
    target: str
    depth: Literal["0", "infinity"]
    time_ms: int
    implies: bool = False


class KeyCopied(RecordBase, frozen=True, tag="key-copied"):
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


class PropertiesChanged(RecordBase, frozen=True, tag="properties-changed"):
    """The properties of a file or collection have changed.

    :param set: the new values, whole XML elements, by the properties' names: "{namespace}name", or the name alone.
    :param removed: the names of removed properties; they need not have existed.
    :param keeps: whether the collection is from here on more than implied.
    """

    path: str
    set: dict[str, str] = msgspec.field(default_factory=dict)
    removed: tuple[str, ...] = ()
    keeps: bool = False


class LockTaken(RecordBase, frozen=True, tag="lock-taken"):
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


class LockReleased(RecordBase, frozen=True, tag="lock-released"):
    """The lock with this token is released; it may have expired and been dropped before."""

    token: str


class DocumentPut(RecordBase, frozen=True, tag="document-put"):
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


class DocumentDeleted(RecordBase, frozen=True, tag="document-deleted"):
    """There is no document with this kind and key; it may have expired and been dropped before."""

    kind: str
    key: str


class CollectionTouched(RecordBase, frozen=True, tag="collection-touched"):
    """The collection was last modified at this time.  For snapshots; elsewhere it follows from the other records."""

    path: str
    time_ms: int
