"""Sends a collection, or some of its members, as one ZIP archive, which is made while it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote
from zlib import crc32

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from splitd.errors import FileUnavailable, NotFound, SplitdError
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.names import read_path, show_name, show_path
from splitd.frontends.http.zip_format import (
    Entry,
    Length,
    central_header,
    descriptor,
    end_of_archive,
    local_header,
)
from splitd.interfaces.store import IDownload, IObjectStore
from splitd.model.manifest import Manifest
from splitd.model.paths import check_catalog_path, check_shape, folder_of, join
from splitd.model.tree import Collection, Member
from storaged.http import IRequest, send_body
from storaged.system.budget import Budget
from storaged.system.buffers import Piece
from storaged.system.ranges import Span

MOST = 100_000
"""The most members of an archive: their names, sizes and checksums are in memory until its end."""

_TOGETHER = 300_000
_PAGE = 500
_BACKSLASH = "\uff3c"
"""What stands for a backslash in an archive: the one of full width, as in rclone."""

_AT_ONCE = 64 * 1024
"""Bytes of the directory at the end that are made at once."""


@attrs.frozen
class _File:
    """A member: a file at a path, or a folder.

    :param upload: the version that is archived; empty for a folder.
    """

    entry: Entry
    path: str
    upload: str


class Archives:
    """Makes archives, so many at a time that their lists of members are bounded.

    :param clock: schedules calls.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._members = Budget(_TOGETHER)

    async def send(self, request: IRequest, store: IObjectStore, path: str, shown: str, names: Sequence[str]) -> None:
        """Answer with an archive.  It has the right length, and is cut off if a file in it cannot be read, or has
        changed since the answer began.

        :param store: the files, as the client may see them.
        :param path: a collection.
        :param shown: what the archive is called, without ".zip".
        :param names: the members that it has, as they are shown, or what lies below them, as "2026/a.jpg"; none for
            all.  One that lies in another one comes with that.
        :raise NotFound: there is no such member.
        :raise BadName: no member can have such a name.
        :raise Refused: there are too many files in it.
        """
        files: list[_File] = []
        length = Length()
        try:

            def add(file: _File) -> None:
                if len(files) == MOST:
                    raise Refused(413, f"there are more than {MOST} files and folders in it: take some of them")
                if not self._members.take(1):
                    raise Refused(503, "too many archives are being made; try again later", Retry_After="10")
                length.add(file.entry)
                files.append(file)

            await self._find(store, path, names, add)
            _describe(request, shown, length.total())
            if request.method == b"HEAD":
                request.finish()
                return
            archive = _Archive(store, files)
            try:
                await send_body(request, archive.read)
            except SplitdError:
                # Only a cut connection tells the client that the rest will not come.
                request.abort()
                raise
            finally:
                archive.close()
            request.finish()
        finally:
            self._members.give_back(length.members)

    async def _find(self, store: IObjectStore, path: str, names: Sequence[str], add: Callable[[_File], object]) -> None:
        """Find the members of an archive, page by page.

        :param add: called with each of them.
        """
        waiting: list[tuple[str, str]] = [] if names else [(path, "")]

        def found(file: _File) -> None:
            add(file)
            if not file.upload:
                waiting.append((file.path, file.entry.name.decode()))

        folders: set[str] = set()
        for shown in sorted(set(names)):  # a folder comes before what is in it
            inner = _path_of(path, shown)
            if folders.isdisjoint(_above(shown)):
                file = await _find_one(store, inner, shown)
                if not file.upload:
                    folders.add(shown)
                found(file)
        while waiting:
            folder, prefix = waiting.pop()
            after = ""
            while page := await store.list_members(folder, after, _PAGE):
                for member in page:
                    found(_look(member, folder, prefix))
                await deferLater(self._clock, 0)  # others have a turn
                if len(page) < _PAGE:
                    break
                after = page[-1].name


def _above(shown: str) -> Iterator[str]:
    """Iterate over the collections that a member lies in, as they are shown."""
    while "/" in shown:
        shown = shown.rpartition("/")[0]
        yield shown


def _path_of(path: str, shown: str) -> str:
    """Return the path of what lies below a collection.

    :raise BadName: nothing can have this path; so no more is done about what is too long for one.
    :raise NotFound: it is the collection itself.
    """
    if not shown:
        raise NotFound(f"{join(path, shown)} does not exist")
    check_shape(f"/{shown}")
    inner = path.removesuffix("/") + read_path(f"/{shown}")
    check_catalog_path(inner)
    return inner


async def _find_one(store: IObjectStore, path: str, shown: str) -> _File:
    """Find a member.

    :param shown: the path that it has in the archive.
    :raise NotFound: nothing is there.
    """
    entry = await store.stat(path)
    if entry is None:
        raise NotFound(f"{show_path(path)} does not exist")
    folder = folder_of(path)
    return _look(Member(path.removeprefix(folder), entry), folder, shown[: shown.rfind("/") + 1])


def _describe(request: IRequest, shown: str, length: int) -> None:
    request.setHeader("Content-Type", "application/zip")
    request.setHeader("Content-Length", str(length))
    request.setHeader("Content-Disposition", f"attachment; filename*=UTF-8''{quote(shown, safe='')}.zip")
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("X-Content-Type-Options", "nosniff")


def _look(member: Member, folder: str, prefix: str) -> _File:
    """Describe a member of a collection.

    :param prefix: what the names of the collection's members begin with in the archive.
    """
    entry, path = member.entry, join(folder, member.name)
    # Windows takes a backslash for a slash, and a name with ..\ in it would lead out of where the archive is unpacked.
    shown = (prefix + show_name(member.name)).replace("\\", _BACKSLASH)
    if isinstance(entry, Collection):
        return _File(Entry(f"{shown.removesuffix('/')}/".encode(), 0, entry.modified_ms), path, "")
    return _File(Entry(shown.encode(), entry.size, entry.created_ms), path, entry.upload)


class _Archive:
    """The bytes of an archive.

    :param files: its members.
    """

    def __init__(self, store: IObjectStore, files: Sequence[_File]) -> None:
        self._store = store
        self._files = files
        self._at = 0  # the member that comes next
        self._download: IDownload | None = None
        self._crc = 0
        self._left = 0  # of the present member
        self._offset = 0
        self._made: list[tuple[int, int]] = []  # the checksum and the place of each member
        self._directory = 0  # bytes of it that were given out
        self._listed = 0
        self._ended = False

    def read(self) -> Deferred[Sequence[Piece]]:
        """Read on.

        :return: a Deferred that fires with the next pieces; an empty sequence at the end.
        """
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[Piece]:
        if self._left:
            return await self._read_file()
        if self._at < len(self._files):
            return await self._begin(self._files[self._at])
        return self._read_directory()

    async def _begin(self, file: _File) -> Sequence[Piece]:
        """Begin a member: its header, and the whole of it if it is empty."""
        entry = file.entry
        head = local_header(entry)
        self._made.append((0, self._offset))
        self._offset += len(head) + entry.size + len(descriptor(entry, 0))
        self._crc, self._left = 0, entry.size
        if not entry.size:
            self._at += 1
            return [head, descriptor(entry, 0)]

        def span_of(manifest: Manifest) -> Span:
            if manifest.upload != file.upload or manifest.size != entry.size:
                raise FileUnavailable(f"{file.path} has changed while the archive was made")
            return Span(0, manifest.size)

        self._download = (await self._store.open(file.path, span_of)).download
        return [head]

    async def _read_file(self) -> Sequence[Piece]:
        assert self._download is not None
        pieces = await self._download.read()
        for piece in pieces:
            self._crc = crc32(piece, self._crc)
            self._left -= len(piece)
        if self._left:
            return pieces
        self.close()
        self._made[-1] = self._crc, self._made[-1][1]
        entry = self._files[self._at].entry
        self._at += 1
        return [*pieces, descriptor(entry, self._crc)]

    def _read_directory(self) -> Sequence[Piece]:
        if self._ended:
            return []
        pieces: list[bytes] = []
        size = 0
        while self._listed < len(self._files) and size < _AT_ONCE:
            crc, offset = self._made[self._listed]
            pieces.append(central_header(self._files[self._listed].entry, crc, offset))
            size += len(pieces[-1])
            self._listed += 1
        self._directory += size
        if self._listed == len(self._files):
            self._ended = True
            pieces.append(end_of_archive(len(self._files), self._offset, self._directory))
        return [b"".join(pieces)]

    def close(self) -> None:
        """End the download of the present member."""
        download, self._download = self._download, None
        if download is not None:
            download.close()
