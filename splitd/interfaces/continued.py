"""The interfaces for uploads that can be continued: a file is sent in segments, over many requests and restarts."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.interfaces.store import IDownload, IUpload
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Media


@attrs.frozen
class ContinuedUpload:
    """An upload that can be continued, as it is now.

    :param upload: its id, 32 hexadecimal digits; its file gets it, too.
    :param path: the path that its file should get.
    :param media: the headers that the client sent when it began.
    :param began_ms: when it was begun, milliseconds since 1970.
    :param touched_ms: when it was begun, or when its last segment was committed.
    :param segments: how many segments it has.
    :param last: the highest number of a segment; 0 if it has none.
    :param size: the bytes of all its segments.
    :param layout: the layout that the collection of the path asks for, as "6+2"; empty if none does.
    """

    upload: str
    path: str
    media: Media
    began_ms: int
    touched_ms: int
    segments: int
    last: int
    size: int
    layout: str = ""


@attrs.frozen
class Segment:
    """A segment that is durable.

    :param number: its number, from 1 to `MAX_SEGMENTS`.
    :param upload: the id of its own upload, which no other segment has.
    :param size: its bytes.
    :param note: the text that the front door wanted kept beside it.
    :param committed_ms: when it was committed, milliseconds since 1970.
    """

    number: int
    upload: str
    size: int
    note: str
    committed_ms: int

    @classmethod
    def of(cls, number: int, manifest: Manifest) -> Segment:
        """Describe the segment with this manifest."""
        note = manifest.said if isinstance(manifest.said, str) else ""
        return cls(number, manifest.upload, manifest.size, note, manifest.created_ms)


class IContinuedUploads(Interface):
    """Uploads that can be continued, for front doors.  `IObjectStore` has its counterpart for files that come at once.

    A file is sent as *segments*, each an upload of its own that is durable once it is committed.  Segments may come in
    any order and several at a time, as the parts of a multipart upload.  `complete` makes a file of chosen segments in
    one step; no byte is copied.  Uploads survive restarts of the front, and a takeover; one that nobody touches for
    `continued_uploads_days` is aborted.

    A protocol whose bytes come in order with an offset (tus, the IETF's resumable uploads) keeps one such upload for
    each of its own.  It gives the segments the numbers 1, 2, 3, ….  The offset that is safe to tell a client is
    `ContinuedUpload.size`: all of these bytes are durable.  For each request with bytes, it begins the segment
    `ContinuedUpload.last + 1` with an unknown size, writes what arrives, and calls `finish`, also when the client has
    left in the middle: what has arrived is then a segment.  To lose little when a connection is lost without a sign, it
    may do so after each 64 MiB, and go on with the next number.  It must take bytes of one upload from one request at a
    time.  At the end it completes all segments that `list_segments` lists.

    Every call names the path with the upload's id, and finds no upload if it was begun for another path.
    """

    def begin(path: str, media: Media, condition: Condition, size: int | None = None) -> Deferred[ContinuedUpload]:
        """Begin an upload.

        :param path: the path that its file should get.
        :param media: the headers that the client sent; the file gets them unless `complete` is given others.
        :param condition: a condition that must hold now; `complete` is given its own.
        :param size: the bytes of the file, if they are known: then a file that is too large, that a quota does not
            allow, or that no nodes have room for is refused now.
        :return: a Deferred that fires with the upload when it would survive a power cut.
        :raise SplitdError: what `IObjectStore.create` raises before it looks for nodes, for the same reasons.
        :raise QuotaExceeded: a quota of files has as many unfinished uploads already.
        """

    def put_segment(
        path: str, upload: str, number: int, size: int | None, replaces: str | None = None
    ) -> Deferred[IUpload]:
        """Begin a segment.  Cancelling it begins none.

        `finish` takes the segment's note, at most `MAX_NOTE` characters, in place of `said`.  It fires with the
        segment's manifest, whose `upload` is the id of the segment, and whether no segment had this number before.  A
        segment that had is replaced; of two that are sent at the same time, the one that is committed last stays.  It
        raises `UploadUnknown` if the upload has ended meanwhile; then nothing of the segment is left.

        :param number: its number, from 1 to `MAX_SEGMENTS`.
        :param size: its bytes, or None if unknown: then `finish` commits what has arrived, and may be called when a
            client has left.  Then the segment breaks as soon as the file would be too large, or exceed a quota.
        :param replaces: the id of the segment that must have the number at the commit; empty if none must have it; None
            if it does not matter.  If it is another one, `finish` raises `SegmentsRefused`, and nothing has changed.
        :return: a Deferred that fires with the upload of the segment when bytes can flow.
        :raise UploadUnknown: no such upload is under way.
        :raise UploadTooLarge: the number is too high, or the upload would have more than `MAX_SIZE` bytes.
        :raise QuotaExceeded: a quota has no room for it; `finish` raises it, too.
        :raise NotEnoughNodes: too few nodes can take a part, or have room for one.
        :raise CatalogReadOnly: the journal has failed.
        """

    def find(path: str, upload: str) -> Deferred[ContinuedUpload]:
        """Look up an upload.

        :return: a Deferred that fires with the upload.
        :raise UploadUnknown: no such upload is under way.
        """

    def list_segments(path: str, upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        """List a page of an upload's segments, in the order of their numbers.

        :param after: list only higher numbers; 0 for the first page.
        :param limit: how many at most.
        :return: a Deferred that fires with the segments.
        :raise UploadUnknown: no such upload is under way.
        """

    def read(path: str, upload: str, segments: Sequence[Segment]) -> Deferred[IDownload]:
        """Read segments of an upload, one after the other.

        :param segments: as `list_segments` has listed them.
        :return: a Deferred that fires with their bytes, open for reading; see `IObjectStore.open` for its errors.
        :raise UploadUnknown: no such upload is under way.
        """

    def list_uploads(
        prefix: str, after: tuple[str, str], limit: int, *, to_abort: bool = False
    ) -> Deferred[list[ContinuedUpload]]:
        """List a page of the uploads whose paths begin with a text, in the order of their paths by code point; those of
        one path in the order in which they began.  Its cost depends on `limit` only.

        :param prefix: the text, which begins with a slash.
        :param after: the path and id of the last upload of the page before; ("", "") for the first page.  They need not
            exist: a path of "/a/b" and the highest code point skips all paths that begin with "/a/b".
        :param limit: how many at most.
        :param to_abort: whether they are listed to be aborted, and not to be shown.
        :return: a Deferred that fires with the uploads.
        """

    def complete(
        path: str, upload: str, chosen: Sequence[tuple[int, str]], condition: Condition, media: Media | None = None
    ) -> Deferred[tuple[Manifest, bool]]:
        """Make the file of chosen segments, and end the upload.  The other segments are dropped.

        It is idempotent: if the upload was completed with the same segments already, and its file is still at the path,
        it fires as if it had been completed now, with False.

        :param chosen: the number and the id of each segment, in ascending order of the numbers; none for an empty file.
        :param condition: the condition for the file.
        :param media: the headers of the file, in place of those that the upload began with.
        :return: a Deferred that fires with the manifest and whether no file had this path before, when the file would
            survive a power cut.
        :raise UploadUnknown: no such upload is under way.
        :raise SegmentsRefused: a chosen segment is not one of the upload, or was replaced; or the order is wrong.
        :raise SplitdError: what `IUploadLedger.commit_all` raises.  The upload stays under way after all of these
            errors but `UploadUnknown`.
        """

    def abort(path: str, upload: str, reason: str) -> Deferred[None]:
        """End an upload without a file.  Its segments are dropped, and those on their way will not be committed.

        :param reason: why, for the journal.
        :return: a Deferred that fires with None when this would survive a power cut.
        :raise UploadUnknown: no such upload is under way.
        """


@attrs.frozen
class Completion:
    """The completion of an upload that can be continued; see `IContinuedUploads.complete`.

    :param said: the headers of the file, as `Media.compact` returns them; None for those that the upload began with.
    :param made: what else the manifest of the file says: its layout, as a manifest without parts or segments.
    :param largest: the most bytes that the file may have; None for any number.
    """

    path: str
    chosen: Sequence[tuple[int, str]]
    condition: Condition
    said: str | Media | None
    made: Manifest
    largest: int | None = None


class IContinuedLedger(Interface):
    """Uploads that can be continued, as the catalog keeps them: what `IContinuedUploads` needs of it.  It keeps the
    rules of `ICatalog` for changes.

    Segments are begun and committed as other uploads are (`IUploadLedger`): see `Commit.number`.  A segment is a
    version without a name: it can be moved, hurt, lost and doomed as any version.
    """

    def begin(upload: str, path: str, said: str | Media) -> Deferred[None]:
        """Record that an upload was begun.

        :param upload: its id, which no other upload has.
        :return: a Deferred that fires with None when the change is durable.
        :raise BadName: the text is not a path.
        :raise QuotaExceeded: a quota of files has as many unfinished uploads already.
        """

    def find(upload: str) -> Deferred[ContinuedUpload | None]:
        """Look up an upload.

        :return: a Deferred that fires with it; None if no such upload is under way.
        """

    def list_segments(upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        """List segments of an upload; see `IContinuedUploads.list_segments`."""

    def list_uploads(prefix: str, after: tuple[str, str], limit: int) -> Deferred[list[ContinuedUpload]]:
        """List uploads; see `IContinuedUploads.list_uploads`."""

    def complete(completion: Completion) -> Deferred[tuple[Manifest, bool]]:
        """Make a file of segments; see `IContinuedUploads.complete`.  The upload is that of `completion.made`."""

    def abort(upload: str, reason: str) -> Deferred[bool]:
        """End an upload without a file.

        :return: a Deferred that fires with whether it was under way, when its end is durable.
        """
