"""Uploads that can be continued, limited to what one user may do."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from splitd.access.grants import READ, WRITE
from splitd.access.judge import Judge
from splitd.access.publishing import Publishing
from splitd.errors import AclsDisabled
from splitd.interfaces.continued import ContinuedUpload, IContinuedUploads, Segment
from splitd.interfaces.store import IDownload, IUpload
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Media


@implementer(IContinuedUploads)
class LimitedContinuedUploads:
    """The uploads at paths where one user may write.

    Besides the errors of the interface, each call raises `NotFound`, `Forbidden` or `LoginRequired` if the user may not
    do it.  To list uploads needs `read`, all else needs `write`.

    :param judge: judges the grants of the user.
    :param publishing: judges who may publish a file.
    """

    def __init__(self, uploads: IContinuedUploads, judge: Judge, publishing: Publishing) -> None:
        self._uploads = uploads
        self._judge = judge
        self._publishing = publishing
        self._grants = judge.grants

    def begin(
        self, path: str, media: Media, condition: Condition, size: int | None = None
    ) -> Deferred[ContinuedUpload]:
        """Begin an upload; needs `write`."""
        refused = self._judge.refuse_change(path, condition)
        if refused:
            return fail(refused)
        if media.acl:
            return Deferred.fromCoroutine(self._begin_published(path, media, condition, size))
        return self._uploads.begin(path, media, self._judge.own(path, condition), size)

    async def _begin_published(
        self, path: str, media: Media, condition: Condition, size: int | None
    ) -> ContinuedUpload:
        refused = await self._publishing.refuse(path)
        if refused:
            raise refused
        return await self._uploads.begin(path, media, self._judge.own(path, condition), size)

    def put_segment(
        self, path: str, upload: str, number: int, size: int | None, replaces: str | None = None
    ) -> Deferred[IUpload]:
        """Begin a segment; needs `write`."""
        refused = self._judge.refuse(path, WRITE)
        return fail(refused) if refused else self._uploads.put_segment(path, upload, number, size, replaces)

    def find(self, path: str, upload: str) -> Deferred[ContinuedUpload]:
        """Look up an upload; needs `write`."""
        refused = self._judge.refuse(path, WRITE)
        return fail(refused) if refused else self._uploads.find(path, upload)

    def list_segments(self, path: str, upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        """List a page of segments; needs `write`."""
        refused = self._judge.refuse(path, WRITE)
        return fail(refused) if refused else self._uploads.list_segments(path, upload, after, limit)

    def read(self, path: str, upload: str, segments: Sequence[Segment]) -> Deferred[IDownload]:
        """Read segments; needs `write`, since who sends an upload may go on with it."""
        refused = self._judge.refuse(path, WRITE)
        return fail(refused) if refused else self._uploads.read(path, upload, segments)

    def list_uploads(
        self, prefix: str, after: tuple[str, str], limit: int, *, to_abort: bool = False
    ) -> Deferred[list[ContinuedUpload]]:
        """List a page of the uploads whose paths the user may read; needs `read` where the prefix lies.  To abort them
        needs `write` there and below, and those that the user may not read are listed, too.
        """
        right, place = WRITE if to_abort else READ, prefix[: prefix.rfind("/")] or "/"
        refused = self._judge.refuse(place, right, everywhere=to_abort)
        if refused:
            return fail(refused)
        if to_abort:
            return self._uploads.list_uploads(prefix, after, limit)
        return Deferred.fromCoroutine(self._visible(prefix, after, limit))

    async def _visible(self, prefix: str, after: tuple[str, str], limit: int) -> list[ContinuedUpload]:
        found: list[ContinuedUpload] = []
        while True:
            page = await self._uploads.list_uploads(prefix, after, limit)
            found += [each for each in page if READ in self._grants.rights(each.path)]
            if len(page) < limit or len(found) >= limit:
                return found[:limit]
            after = page[-1].path, page[-1].upload

    def complete(
        self,
        path: str,
        upload: str,
        chosen: Sequence[tuple[int, str]],
        condition: Condition,
        media: Media | None = None,
    ) -> Deferred[tuple[Manifest, bool]]:
        """Make the file; needs `write`."""
        refused = self._judge.refuse_change(path, condition)
        if refused:
            return fail(refused)
        if media is not None and media.acl:
            return Deferred.fromCoroutine(self._complete_published(path, upload, chosen, condition, media))
        return self._uploads.complete(path, upload, chosen, self._judge.own(path, condition), media)

    async def _complete_published(
        self, path: str, upload: str, chosen: Sequence[tuple[int, str]], condition: Condition, media: Media
    ) -> tuple[Manifest, bool]:
        # The bucket may be another one of the same name.  If it takes no ACLs any more, this one does not count.
        refused = await self._publishing.refuse(path)
        if refused and not isinstance(refused, AclsDisabled):
            raise refused
        return await self._uploads.complete(path, upload, chosen, self._judge.own(path, condition), media)

    def abort(self, path: str, upload: str, reason: str) -> Deferred[None]:
        """End an upload without a file; needs `write`."""
        refused = self._judge.refuse(path, WRITE)
        return fail(refused) if refused else self._uploads.abort(path, upload, reason)
