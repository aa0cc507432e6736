"""Resumable uploads, whatever the protocol: begun, continued at an offset, completed."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer

from splitd.errors import UploadUnknown
from splitd.frontends.http.entrance import Cut
from splitd.frontends.resumable.exclusive import Exclusive, Holder
from splitd.frontends.resumable.notes import Note, note_of, read_length, say_length, with_note, without_note
from splitd.frontends.resumable.pieces import Bounded, Keeper, Ready, TooMuch
from splitd.frontends.resumable.sizes import Sizes
from splitd.frontends.resumable.writing import SegmentWriter
from splitd.interfaces.continued import ContinuedUpload, IContinuedUploads, Segment
from splitd.interfaces.store import IObjectStore, IUpload
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from storaged.http import BodyBroken, IRequest, reason_of, receive_body
from storaged.system.budget import Budget
from storaged.system.once import Once

_ALL_SMALL = 64 * 1024 * 1024
"""The most bytes of small requests that are held together; further ones are stored as large ones are."""

_PAGE = 1000


class Superseded(Cut):
    """Another request for the same upload has come: the client has lost the connection of this one."""


@attrs.frozen
class Current:
    """A resumable upload as it is now.

    :param size: the bytes that are durable; all of them, in order, from the first on.
    :param length: the bytes of its file; None if they are not known yet.
    :param media: the headers of its file.
    :param last: its last segment; None if it has none.
    :param touched_ms: when the last bytes came, milliseconds since 1970.
    :param is_complete: whether its file has been made.
    """

    upload: str
    path: str
    size: int
    length: int | None
    note: Note
    media: Media
    last: Segment | None = None
    touched_ms: int = 0
    is_complete: bool = False


Checks = Callable[[IConsumer], tuple[IConsumer, Callable[[], None]]]
"""Puts a computation of a checksum before a consumer; returns it, and what raises if the checksum is wrong."""


class Shared:
    """What all requests of all users share.

    :param sizes: how large segments become.
    :param exclusive: lets one request at a time use an upload.
    :ivar small: limits the bytes that are held of small requests.
    """

    def __init__(self, sizes: Sizes, exclusive: Exclusive) -> None:
        self.sizes = sizes
        self.exclusive = exclusive
        self.small = Budget(_ALL_SMALL)


class ResumableUploads:
    """The resumable uploads of one user.

    :param uploads: uploads in segments, as the user may use them.
    :param store: the files, as the user sees them.
    :param user: the user's name; empty for somebody who has not logged in.
    """

    def __init__(self, uploads: IContinuedUploads, store: IObjectStore, user: str, shared: Shared) -> None:
        self._uploads = uploads
        self._store = store
        self._user = user
        self._shared = shared
        self._sizes = shared.sizes
        self.leave = shared.exclusive.leave

    async def enter(self, path: str, upload: str) -> Holder:
        """Use an upload of the user; see `Exclusive.enter`.

        :raise UploadUnknown: there is no such upload, or another user began it.  No request was ended.
        """
        try:
            self._own_note(await self._uploads.find(path, upload))
        except UploadUnknown:
            await self.find(path, upload)  # its file may have been made
        return await self._shared.exclusive.enter(upload)

    async def begin(self, path: str, media: Media, note: Note, condition: Condition) -> Current:
        """Begin an upload.

        :raise SplitdError: see `IContinuedUploads.begin`.
        """
        note = msgspec.structs.replace(note, user=self._user)
        begun = await self._uploads.begin(path, with_note(media, note), condition, note.length)
        return Current(begun.upload, path, 0, note.length, note, media, None, begun.touched_ms)

    async def find(self, path: str, upload: str) -> Current:
        """Look up an upload; also one whose file has been made, as long as that is at its path.

        :raise UploadUnknown: there is no such upload, or another user began it.
        """
        try:
            found = await self._uploads.find(path, upload)
        except UploadUnknown:
            entry = await self._store.stat(path)
            if not isinstance(entry, Manifest) or entry.upload != upload:
                raise
            size, made_ms = entry.size, entry.created_ms
            return Current(upload, path, size, size, Note(size), entry.media, None, made_ms, is_complete=True)
        note = self._own_note(found)
        last = await self._last(found)
        length = note.length if last is None or note.length is not None else read_length(last.note)
        return Current(upload, path, found.size, length, note, without_note(found.media), last, found.touched_ms)

    def _own_note(self, found: ContinuedUpload) -> Note:
        note = note_of(found.media)
        if note is None or note.user != self._user:
            raise UploadUnknown(f"no upload {found.upload} of {found.path} is under way")
        return note

    async def _last(self, found: ContinuedUpload) -> Segment | None:
        if not found.last:
            return None
        page = await self._uploads.list_segments(found.path, found.upload, found.last - 1, 1)
        return page[0] if page else None

    async def list_uploads(
        self, prefix: str, after: tuple[str, str], limit: int
    ) -> tuple[list[tuple[ContinuedUpload, Note]], tuple[str, str] | None]:
        """List a page of the user's own uploads; see `IContinuedUploads.list_uploads`.

        :return: uploads with their notes, possibly none; and what the next page comes after, None for the last page.
        """
        page = await self._uploads.list_uploads(prefix, after, limit)
        noted = [(each, note) for each in page if (note := note_of(each.media)) is not None]
        own = [(each, note) for each, note in noted if note.user == self._user]
        return own, (page[-1].path, page[-1].upload) if len(page) == limit else None

    async def append(
        self,
        request: IRequest,
        current: Current,
        holder: Holder,
        checks: Checks | None = None,
        told: Callable[[int], object] = lambda _: None,
    ) -> Current:
        """Append the body of a request.  What has arrived is kept, whatever happens, unless there are checks.

        :param current: the upload as it is; its length may be one that was learnt just now.
        :param holder: the place of this request.
        :param checks: judge the body; it is kept only if it is whole and they hold.
        :param told: called with the offset, each time that more bytes are durable.
        :return: the upload as it is afterwards.
        :raise TooMuch: there are more bytes than the file has; those of before are kept.
        :raise Superseded: another request has come.
        :raise BodyBroken: the client left.
        :raise SplitdError: not all could be stored.
        """
        size, known = request.body.length, current.length
        if size is not None and known is not None and size > known - current.size:
            raise TooMuch(f"the file has {known} bytes, and {current.size} of them are stored already")
        learnt = known is not None and current.note.length is None
        if size == 0 and not (learnt and (current.last is None or not current.last.note)):
            return current
        if size is not None and size <= self._sizes.small and self._shared.small.take(size):
            try:
                await self._append_small(request, current, holder, checks)
            finally:
                self._shared.small.give_back(size)
        else:
            await self._append_large(request, current, holder, checks, told)
        return attrs.evolve(await self.find(current.path, current.upload), length=current.length)

    async def _append_small(self, request: IRequest, current: Current, holder: Holder, checks: Checks | None) -> None:
        keeper = Keeper()
        ended = await self._receive(request, keeper, Once(), holder, checks)
        data, last = bytes(keeper.data), current.last
        number, replaces = (last.number + 1 if last else 1), ""
        if data or ended is None:
            is_open = last is not None and last.size < self._sizes.least_segment(current.length, current.size)
            if last is not None and is_open and last.size + len(data) <= self._sizes.small:
                number, replaces, data = last.number, last.upload, await self._stored(current, last) + data
            upload = await self._uploads.put_segment(current.path, current.upload, number, len(data), replaces)
            await _store(upload, data, say_length(current.length))
        if ended is not None:
            raise ended

    async def _stored(self, current: Current, segment: Segment) -> bytes:
        if not segment.size:
            return b""
        download = await self._uploads.read(current.path, current.upload, [segment])
        found = bytearray()
        try:
            while pieces := await download.read():
                found += b"".join(pieces)
        finally:
            download.close()
        return bytes(found)

    async def _append_large(
        self,
        request: IRequest,
        current: Current,
        holder: Holder,
        checks: Checks | None,
        told: Callable[[int], object],
    ) -> None:
        last, length = current.last, current.length
        joined = last if last is not None and last.size < self._sizes.least_segment(length, current.size) else None
        offset = current.size - (joined.size if joined else 0)

        def more(size: int) -> None:
            nonlocal offset
            offset += size
            told(offset)

        number = 1 if last is None else last.number + (joined is None)
        most = None if checks is not None else self._sizes.most_segment(length, current.size)
        replaces = joined.upload if joined else ""
        writer = SegmentWriter(self._opener(current), number, replaces, most, say_length(length), more)
        await writer.start()
        try:
            if joined is not None and joined.size:
                await writer.copy(await self._uploads.read(current.path, current.upload, [joined]))
            broken: Once[Exception] = Once()
            writer.when_broken().addCallback(broken.fire)
            bounded = writer if length is None else Bounded(writer, length - current.size, broken)
            ended = await self._receive(request, bounded, broken, holder, checks)
        except BaseException as problem:
            await writer.abort(reason_of(problem))
            raise
        await writer.finish()
        if ended is not None:
            raise ended

    def _opener(self, current: Current) -> Callable[[int, str], Deferred[IUpload]]:
        def begin(number: int, replaces: str) -> Deferred[IUpload]:
            return self._uploads.put_segment(current.path, current.upload, number, None, replaces)

        return begin

    async def _receive(
        self,
        request: IRequest,
        consumer: IConsumer,
        broken: Once[Exception],
        holder: Holder,
        checks: Checks | None,
    ) -> Exception | None:
        """Write the body to a consumer.

        :param broken: fires when the consumer can take no more.
        :return: why the body has ended too early; None if it has come whole.
        :raise Exception: the consumer can take no more, or a check does not hold; with checks, also if it has ended too
            early.
        """
        holder.stop = lambda: broken.fire(Superseded())
        if holder.is_ended:
            holder.stop()
        judge = _nothing
        if checks is not None:
            consumer, judge = checks(consumer)
        try:
            await receive_body(request, consumer, broken.wait())
            judge()
        except (BodyBroken, Superseded) as problem:
            if checks is not None:
                raise
            return problem
        finally:
            holder.stop = _nothing
        return None

    async def complete(self, current: Current, condition: Condition) -> tuple[Manifest, bool]:
        """Make the file.

        :return: its manifest, and whether no file had its path before.
        :raise SplitdError: see `IContinuedUploads.complete`; the upload is kept.
        """
        segments = await self.segments(current)
        chosen = [(each.number, each.upload) for each in segments if each.size]
        return await self._uploads.complete(current.path, current.upload, chosen, condition, current.media)

    async def segments(self, current: Current) -> list[Segment]:
        """List all segments of an upload."""
        found: list[Segment] = []
        while True:
            after = found[-1].number if found else 0
            page = await self._uploads.list_segments(current.path, current.upload, after, _PAGE)
            found += page
            if len(page) < _PAGE:
                return found

    async def pieces(self, current: Current, take: Callable[[bytes], object]) -> None:
        """Read all bytes that are stored.

        :param take: called with them, in order.
        """
        segments = [each for each in await self.segments(current) if each.size]
        if not segments:
            return
        download = await self._uploads.read(current.path, current.upload, segments)
        try:
            while some := await download.read():
                for piece in some:
                    take(bytes(piece))
        finally:
            download.close()

    async def join(self, current: Current, parts: list[Current]) -> None:
        """Append the bytes of other uploads, one after the other.

        :raise SplitdError: one of them cannot be read, or not all could be stored.
        """
        size = current.length
        writer = SegmentWriter(
            self._opener(current), 1, "", self._sizes.most_segment(size, 0), say_length(size), lambda _: None
        )
        await writer.start()
        try:
            for part in parts:
                segments = [each for each in await self.segments(part) if each.size]
                if segments:
                    await writer.copy(await self._uploads.read(part.path, part.upload, segments))
        except BaseException as problem:
            await writer.abort(reason_of(problem))
            raise
        await writer.finish()

    async def abort(self, current: Current, reason: str) -> None:
        """End an upload without a file.

        :raise UploadUnknown: it is not under way any more.
        """
        await self._uploads.abort(current.path, current.upload, reason)


def _nothing() -> None:
    """Nothing is to be checked, or to be stopped."""


async def _store(upload: IUpload, data: bytes, note: str) -> None:
    upload.registerProducer(Ready(), True)
    upload.write(data)
    upload.unregisterProducer()
    await upload.finish(note)
