"""Uploads that can be continued, as front doors use them: segments are ordinary uploads, the rest is the catalog's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.errors import TOO_LARGE, FileTooLarge, QuotaExceeded, SplitdError, UploadTooLarge, UploadUnknown
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.continued import Completion, ContinuedUpload, IContinuedLedger, IContinuedUploads, Segment
from splitd.interfaces.quotas import IQuotas
from splitd.interfaces.store import IDownload, IUpload
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.segments import MAX_SEGMENTS, MAX_SIZE, SegmentRef, pack_segments
from splitd.uploads.bounded import limit_size
from splitd.uploads.uploads import Uploads

NO_ROOM = "a quota has room for {} bytes only"


@implementer(IContinuedUploads)
class ContinuedUploads:
    """Uploads whose segments are versions in the catalog.

    :param uploads: stores the segments.
    :param wake_reaper: called when parts may be doomed.
    :param largest: returns the most bytes of a file; None for any number.
    :param quotas: judge files before their bytes are taken; None for none.
    :param open_version: opens a version for reading, from its first byte to its last.
    """

    def __init__(
        self,
        catalog: ICatalog,
        ledger: IContinuedLedger,
        uploads: Uploads,
        wake_reaper: Callable[[], object],
        largest: Callable[[], int | None],
        quotas: IQuotas | None,
        open_version: Callable[[Manifest], Awaitable[IDownload]],
    ) -> None:
        self._largest = largest
        self._quotas = quotas
        self._open = open_version
        self._catalog = catalog
        self._ledger = ledger
        self._uploads = uploads
        self._wake = wake_reaper

    def begin(
        self, path: str, media: Media, condition: Condition, size: int | None = None
    ) -> Deferred[ContinuedUpload]:
        """Begin an upload; see `IContinuedUploads.begin`."""
        return Deferred.fromCoroutine(self._begin(path, media, condition, size))

    async def _begin(self, path: str, media: Media, condition: Condition, size: int | None) -> ContinuedUpload:
        # All of this is judged again at the end; now it spares the client from sending a file in vain.
        admission = await self._catalog.admit(path, condition)
        if size is not None:
            self._refuse_too_large(size)
            if self._quotas is not None:
                await self._quotas.refuse(path, size)
            await self._uploads.find_room(size, admission.layout)
        upload = self._uploads.new_id()
        await self._ledger.begin(upload, path, media.compact())
        return await self._find(path, upload)

    def put_segment(
        self, path: str, upload: str, number: int, size: int | None, replaces: str | None = None
    ) -> Deferred[IUpload]:
        """Begin a segment; see `IContinuedUploads.put_segment`."""
        return Deferred.fromCoroutine(self._put_segment(path, upload, number, size, replaces))

    async def _put_segment(
        self, path: str, upload: str, number: int, size: int | None, replaces: str | None
    ) -> IUpload:
        found = await self._find(path, upload)
        if not 1 <= number <= MAX_SEGMENTS:
            raise UploadTooLarge(f"segments have numbers from 1 to {MAX_SEGMENTS}, not {number}")
        self._refuse_too_large(size or 0)
        limits = await self._limits(found, number, size)
        segment = await self._uploads.begin(
            path, size, "", ALWAYS, found.layout, segment_of=upload, number=number, replaces=replaces
        )
        return limit_size(segment, limits) if size is None else segment

    def _refuse_too_large(self, size: int) -> None:
        if size > MAX_SIZE:
            raise UploadTooLarge(f"a file with segments has at most {MAX_SIZE} bytes, not {size}")
        largest = self._largest()
        if largest is not None and size > largest:
            raise FileTooLarge(TOO_LARGE.format(largest))

    async def _limits(self, found: ContinuedUpload, number: int, size: int | None) -> list[tuple[int, SplitdError]]:
        """Return how many bytes a segment of unknown size may have, and the error of one that has more.

        :raise QuotaExceeded: a quota has no room for a segment of this size.
        """
        present = await self._ledger.list_segments(found.upload, number - 1, 1) if number <= found.last else []
        replaced = sum(each.size for each in present if each.number == number)
        others = found.size - replaced
        largest = self._largest()
        room = None if self._quotas is None else await self._quotas.refuse(found.path, size, replaced)
        limits: list[tuple[int, SplitdError]] = [
            (MAX_SIZE - others, UploadTooLarge(f"a file with segments has at most {MAX_SIZE} bytes"))
        ]
        if largest is not None:
            limits.append((max(largest - others, 0), FileTooLarge(TOO_LARGE.format(largest))))
        if room is not None:
            limits.append((room, QuotaExceeded(NO_ROOM.format(room))))  # the quota counts the other segments
        return limits

    def find(self, path: str, upload: str) -> Deferred[ContinuedUpload]:
        """Look up an upload; see `IContinuedUploads.find`."""
        return Deferred.fromCoroutine(self._find(path, upload))

    async def _find(self, path: str, upload: str) -> ContinuedUpload:
        found = await self._ledger.find(upload)
        if found is None or found.path != path:
            raise UploadUnknown(f"no upload {upload[:40]} of {path} is under way")
        return found

    def list_segments(self, path: str, upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        """List a page of segments; see `IContinuedUploads.list_segments`."""
        return Deferred.fromCoroutine(self._list_segments(path, upload, after, limit))

    async def _list_segments(self, path: str, upload: str, after: int, limit: int) -> list[Segment]:
        await self._find(path, upload)
        return await self._ledger.list_segments(upload, after, limit)

    def read(self, path: str, upload: str, segments: Sequence[Segment]) -> Deferred[IDownload]:
        """Open segments for reading; see `IContinuedUploads.read`."""
        return Deferred.fromCoroutine(self._read(path, upload, segments))

    async def _read(self, path: str, upload: str, segments: Sequence[Segment]) -> IDownload:
        found = await self._find(path, upload)
        refs = [SegmentRef(each.upload, each.size, each.number) for each in segments]
        # It is read as a file of these segments would be.  Each segment is in one file, so its id stands for the bytes.
        whole = self._uploads.new_version(refs[0].upload if len(refs) == 1 else self._uploads.new_id(), found.layout)
        size = sum(ref.size for ref in refs)
        return await self._open(msgspec.structs.replace(whole, size=size, packed_segments=pack_segments(refs)))

    def list_uploads(
        self,
        prefix: str,
        after: tuple[str, str],
        limit: int,
        *,
        to_abort: bool = False,  # noqa: ARG002 - of the interface
    ) -> Deferred[list[ContinuedUpload]]:
        """List a page of uploads; see `IContinuedUploads.list_uploads`."""
        return self._ledger.list_uploads(prefix, after, limit)

    def complete(
        self,
        path: str,
        upload: str,
        chosen: Sequence[tuple[int, str]],
        condition: Condition,
        media: Media | None = None,
    ) -> Deferred[tuple[Manifest, bool]]:
        """Make the file; see `IContinuedUploads.complete`."""
        return Deferred.fromCoroutine(self._complete(path, upload, chosen, condition, media))

    async def _complete(
        self, path: str, upload: str, chosen: Sequence[tuple[int, str]], condition: Condition, media: Media | None
    ) -> tuple[Manifest, bool]:
        found = await self._ledger.find(upload)
        if found is not None and found.path != path:
            raise UploadUnknown(f"no upload {upload[:40]} of {path} is under way")
        # If there is none, it may have been completed before: the catalog knows.
        made = self._uploads.new_version(upload, "" if found is None else found.layout)
        said = None if media is None else media.compact()
        completed = await self._ledger.complete(Completion(path, chosen, condition, said, made, self._largest()))
        self._wake()
        return completed

    def abort(self, path: str, upload: str, reason: str) -> Deferred[None]:
        """End an upload without a file; see `IContinuedUploads.abort`."""
        return Deferred.fromCoroutine(self._abort(path, upload, reason))

    async def _abort(self, path: str, upload: str, reason: str) -> None:
        await self._find(path, upload)
        if not await self._ledger.abort(upload, reason):
            raise UploadUnknown(f"no upload {upload} of {path} is under way")
        self._wake()
