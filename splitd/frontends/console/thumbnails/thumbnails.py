"""Thumbnails of stored images, kept in memory by version."""

from __future__ import annotations

from typing import Any

from cachetools import LRUCache, TTLCache
from twisted.internet.defer import CancelledError

from splitd.errors import Busy, NotAFile, NotFound
from splitd.frontends.console.thumbnails.painters import Broken, NotPainted, Painters
from splitd.frontends.http.names import show_path
from splitd.interfaces.store import IObjectStore, Opened
from splitd.model.manifest import Manifest
from storaged.http import BodyBroken, IRequest
from storaged.system.ranges import Span

MOST_BYTES = 32 << 20
"""The bytes of the largest image of which a thumbnail is made."""

_MEMORY = 32 << 20
_ENTRY = 400  # bytes of an entry beside its thumbnail
_MOST_WAITING = 200
_MOST_UNFIT = 10_000
_UNFIT_S = 3600.0


class Thumbnails:
    """Makes thumbnails, a few at once, and keeps those that were asked for last.

    A committed version never changes, so a thumbnail cannot be stale.

    :param reactor: starts the processes that make them, and measures time.
    """

    def __init__(self, reactor: Any) -> None:
        self._painters = Painters(reactor)
        self._made: LRUCache[str, bytes] = LRUCache(_MEMORY, getsizeof=lambda made: len(made) + _ENTRY)
        self._unfit: TTLCache[str, str] = TTLCache(_MOST_UNFIT, _UNFIT_S, timer=reactor.seconds)

    async def find(self, store: IObjectStore, path: str, request: IRequest) -> tuple[Manifest, bytes]:
        """Return the present version of a file, and its thumbnail as WebP.

        :param store: the files as the one who asks may see them.
        :param request: waits for it, until it has ended.
        :raise NotFound: nothing that may be read has this path.
        :raise NotAFile: a collection has this path.
        :raise NotPainted: the file is no image of which a thumbnail can be made; for an hour, nobody tries again.
        :raise Busy: too many others wait for theirs.
        :raise BodyBroken: the client left before its turn.
        """
        manifest = await store.stat(path)
        if manifest is None:
            raise NotFound(f"{show_path(path)} does not exist")
        if not isinstance(manifest, Manifest):
            raise NotAFile(f"{show_path(path)} is a collection")
        made = self._kept(manifest)
        if made is not None:
            return manifest, made
        if self._painters.waiting >= _MOST_WAITING:
            raise Busy(f"{_MOST_WAITING} others wait for a thumbnail")
        await self._turn(request)
        try:
            opened = await store.open(path, lambda manifest: Span(0, manifest.size))
            try:
                return opened.manifest, self._kept(opened.manifest) or await self._make(opened)
            finally:
                opened.download.close()
        finally:
            self._painters.release()

    async def stop(self) -> None:
        """End the processes."""
        await self._painters.stop()

    async def _turn(self, request: IRequest) -> None:
        turn = self._painters.turn()
        request.at_end(turn.cancel)
        try:
            await turn
        except CancelledError:
            raise BodyBroken("the client left before its turn") from None

    def _kept(self, manifest: Manifest) -> bytes | None:
        """Return the thumbnail of a version; None if it is not made yet.

        :raise NotPainted: there can be none.
        """
        why = "" if manifest.size <= MOST_BYTES else f"it has more than {MOST_BYTES >> 20} MiB"
        why = why or self._unfit.get(manifest.upload, "")
        if why:
            raise NotPainted(why)
        kept: bytes | None = self._made.get(manifest.upload)
        return kept

    async def _make(self, opened: Opened) -> bytes:
        upload = opened.manifest.upload
        try:
            made = await self._paint(opened)
        except NotPainted as problem:
            self._unfit[upload] = str(problem)
            raise
        self._made[upload] = made
        return made

    async def _paint(self, opened: Opened) -> bytes:
        size = opened.manifest.size
        try:
            return await self._painters.paint(size, opened.download.read)
        except Broken:  # perhaps of something else, while it waited for this image
            again = await opened.another(Span(0, size))
            try:
                return await self._painters.paint(size, again.read)
            finally:
                again.close()
