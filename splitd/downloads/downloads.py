"""All downloads of the front: opens each the right way, pins what is read, and limits and caches small files."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from splitd.downloads.cache import VersionCache
from splitd.downloads.finding import Segmentation
from splitd.downloads.pins import IPins
from splitd.downloads.plain import PlainReads, is_plain
from splitd.downloads.segmented import SegmentedDownload
from splitd.downloads.small import MOST_AT_ONCE, SmallDownload, read_small
from splitd.downloads.sources import Sources
from splitd.downloads.streamed import Download
from splitd.downloads.survivors import Found, ignore_finding, refuse_lost
from splitd.errors import FileDamaged, FileUnavailable, SplitdError
from splitd.interfaces.store import IDownload, Opened
from splitd.model.manifest import Manifest, largest_part
from splitd.model.traffic import Traffic
from storaged.system.budget import Budget
from storaged.system.parallel import gather
from storaged.system.ranges import Span

_SMALL_BYTES = 16 * 1024 * 1024
"""The most bytes of small files that are held whole at the same time; further small files are streamed."""

_STRIPES_BYTES = 32 * 1024 * 1024
"""The most bytes of stripes that are held whole at the same time while all is well; further downloads hold a column."""


_SMALL_AT_ONCE = 8
"""The most segments of a small file that are read at the same time."""


class Downloads:
    """Opens committed versions of files for reading.

    :param pins: keep the parts of a version in place while it is read.
    :param segmentation: finds the segments of files.
    :param unpinned: called with a version that nobody reads any more.
    :param cache: small files that were read or stored recently.
    :param small_part: a file is small if each of its parts takes at most this many stored bytes; it is read whole.
    :param found: called for each part that is missing or damaged on its node.
    :param stripes_limit: bytes of stripes of healthy files that may be in memory at the same time.
    """

    def __init__(
        self,
        sources: Sources,
        segmentation: Segmentation,
        pins: IPins,
        unpinned: Callable[[Manifest], object],
        cache: VersionCache,
        traffic: Traffic,
        *,
        small_part: int,
        found: Found = ignore_finding,
        stripes_limit: int = _STRIPES_BYTES,
    ) -> None:
        self._sources = sources
        self._segmentation = segmentation
        self._pins = pins
        self._unpinned = unpinned
        self._cache = cache
        self._traffic = traffic
        self._found = found
        self._small_part = small_part
        self._small = Budget(_SMALL_BYTES)
        self._stripes = Budget(stripes_limit)
        self._plain = PlainReads(sources)

    async def open(self, manifest: Manifest, span: Span) -> Opened:
        """Open a range of a version.

        :param span: the range; it must lie inside the file.
        :raise FileUnavailable: a node that holds a part of the file cannot be read now.
        :raise FileDamaged: stored bytes are wrong; `PartLost` if a node has lost its part, and `FileLost` if so many
            parts are gone for good that the file can never be read again.
        """
        try:
            return await self._open(manifest, span)
        except (FileUnavailable, FileDamaged):
            refuse_lost(manifest, self._sources.registry.node_ids())
            raise

    def has_kept(self, manifest: Manifest) -> bool:
        """Return whether `read_kept` would find all bytes of a version now."""
        return 0 < manifest.size <= MOST_AT_ONCE and manifest.upload in self._cache

    def read_kept(self, manifest: Manifest) -> bytes | None:
        """Read all bytes of a version at once, if they are in memory; None if not, or if they are none or many.

        It counts as a download.
        """
        if not 0 < manifest.size <= MOST_AT_ONCE:
            return None
        data = self._cache.find(manifest.upload)
        if data is not None:
            self._traffic.downloads_finished += 1
            self._traffic.bytes_out += len(data)
        return data

    def read_soon(self, manifest: Manifest) -> Deferred[bytes | None] | None:
        """Read all bytes of a version from its nodes at once, if it is small, and needs all its parts.

        It counts as a download if it succeeds.

        :return: a Deferred that fires with the bytes, or with None if only `open` can tell why they cannot be read;
            None if nothing was begun.
        """
        if not (self._is_near(manifest) and self._take_small(manifest)):
            return None
        # Nobody waits for the pin: see `_read_small`.
        self._pins.pin(manifest).addErrback(lambda _: None)
        return self._plain.read(manifest).addCallback(self._read_soon, manifest)

    def has_soon(self, manifest: Manifest) -> bool:
        """Return whether `read_kept` would find all bytes of a version now, or `read_soon` would ask for them."""
        return self.has_kept(manifest) or (self._is_near(manifest) and self._is_small(manifest))

    def _is_near(self, manifest: Manifest) -> bool:
        """Return whether a version needs all its parts, and no node is known to be away that has one.

        Where one is away, all the others would be asked in vain by `read_soon`, and once more by `open`.
        """
        if manifest.size > MOST_AT_ONCE or not is_plain(manifest):
            return False
        return all(map(self._sources.registry.is_usable, manifest.nodes))

    def _read_soon(self, data: bytes | None, manifest: Manifest) -> bytes | None:
        self._unpin(manifest)
        self._small.give_back(manifest.size)
        if data is not None:
            self._cache.misses += 1
            self._cache.keep(manifest.upload, data)
            self._traffic.downloads_finished += 1
            self._traffic.bytes_out += len(data)
        return data

    async def _open(self, manifest: Manifest, span: Span) -> Opened:
        traffic = self._traffic
        if self._take_small(manifest):
            return await self._open_small(manifest, span, traffic)
        stream = self._stream_segments if manifest.packed_segments else self._stream
        return Opened(
            manifest,
            await stream(manifest, span, traffic),
            lambda more: Deferred.fromCoroutine(stream(manifest, more, traffic)),
        )

    def _take_small(self, manifest: Manifest) -> bool:
        """Return whether a file is small and is to be held whole now, and count its bytes if so."""
        return self._is_small(manifest) and self._small.take(manifest.size)

    def _is_small(self, manifest: Manifest) -> bool:
        size = manifest.size
        return bool(size) and largest_part(manifest.layout, size) <= self._small_part

    async def _open_small(self, manifest: Manifest, span: Span, traffic: Traffic) -> Opened:
        size = manifest.size
        try:
            data = await self._read_small(manifest, traffic)
        except BaseException:
            self._small.give_back(size)
            raise
        small = SmallDownload(data, span, traffic, lambda: self._small.give_back(size))
        # The budget counts the bytes until the first download is closed; the others end before that.
        return Opened(manifest, small, lambda more: succeed(SmallDownload(data, more, traffic, lambda: None)))

    async def _stream_segments(self, manifest: Manifest, span: Span, traffic: Traffic) -> IDownload:
        pinned, inner = self._pins.pin(manifest), Traffic()
        try:
            await pinned
            # From the pin on, no part is deleted from where it lies, though the file may be deleted or its parts moved.
            places = await self._segmentation.find(manifest, span)
        except BaseException:
            self._unpin(manifest)
            raise

        def open_segment(segment: Manifest, part: Span) -> Deferred[IDownload]:
            return Deferred.fromCoroutine(self._open_segment(segment, part, inner))

        download = SegmentedDownload(places, open_segment, traffic, inner, lambda: self._unpin(manifest))
        await download.open()
        return download

    async def _open_segment(self, segment: Manifest, span: Span, traffic: Traffic) -> IDownload:
        now = await self._segmentation.find_again(segment)
        try:
            if self._take_small(now):
                return (await self._open_small(now, span, traffic)).download
            return await self._stream(now, span, traffic)
        except (FileUnavailable, FileDamaged):
            refuse_lost(now, self._sources.registry.node_ids())
            raise

    async def _stream(self, manifest: Manifest, span: Span, traffic: Traffic) -> IDownload:
        pinned = self._pins.pin(manifest)
        try:
            await pinned
        except BaseException:
            self._unpin(manifest)
            raise
        stripe = min(manifest.layout.stripe, manifest.size)
        whole = self._stripes.take(stripe)

        def closed() -> None:
            if whole:
                self._stripes.give_back(stripe)
            self._unpin(manifest)

        download = Download(manifest, span, self._sources, traffic, self._found, closed, whole=whole)
        await download.open()
        return download

    async def _read_small(self, manifest: Manifest, traffic: Traffic) -> bytes:
        data = self._cache.get(manifest.upload)
        if data is None:
            # Nobody waits for the pin: parts that are gone before it is known are not found, and looked up again.
            self._pins.pin(manifest).addErrback(lambda _: None)
            try:
                data = await self._read_whole(manifest, traffic)
            except SplitdError:
                traffic.downloads_failed += 1
                raise
            finally:
                self._unpin(manifest)
            self._cache.keep(manifest.upload, data)
        return data

    async def _read_whole(self, manifest: Manifest, traffic: Traffic) -> bytes:
        if not manifest.packed_segments:
            return await read_small(manifest, self._sources, traffic, self._found)
        places = await self._segmentation.find(manifest, Span(0, manifest.size))
        inner, data = Traffic(), list[bytes]()
        for start in range(0, len(places), _SMALL_AT_ONCE):
            some = places[start : start + _SMALL_AT_ONCE]
            data += await gather([read_small(each, self._sources, inner, self._found) for each, _ in some])
        traffic.downloads_degraded += bool(inner.downloads_degraded)
        return b"".join(data)

    def _unpin(self, manifest: Manifest) -> None:
        if self._pins.unpin(manifest):
            self._unpinned(manifest)
