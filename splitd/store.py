"""Files and collections by their paths: what the front doors use."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from splitd.budget import Budget
from splitd.download import Download, PartLost
from splitd.errors import NotAFile, NotFound, ParentMissing, PreconditionFailed, SplitdError
from splitd.group_commit import GroupCommit
from splitd.interfaces import ICatalog, INodeRegistry, IObjectStore, IUpload, IUploadLedger, Opened
from splitd.lanes import Intent, Lanes, find_room
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.striping import Layout, part_size
from splitd.model.tree import Collection, Member, check_path, parent
from splitd.reaper import Pins, Reaper
from splitd.small_download import SmallDownload, read_small
from splitd.small_upload import SmallUpload
from splitd.traffic import Traffic
from splitd.upload import Upload
from splitd.version_cache import VersionCache
from storaged.partfile import stored_size
from storaged.ranges import Span

_SMALL_UPLOADS = 12 * 1024 * 1024
_SMALL_DOWNLOADS = 16 * 1024 * 1024
"""The bytes of small files that are held whole at the same time; what comes on top takes the way of the large ones."""


@implementer(IObjectStore)
class ObjectStore:
    """Files on nodes, under names in a catalog.

    :param layout: how new files are cut.
    :param small_part: parts of at most so many stored bytes are small ones: they travel whole.
    :param cache: keeps small files that were asked for.
    :param new_id: makes ids of uploads: 32 hexadecimal digits, never the same twice.
    :param clock: tells the time since 1970, and calls later.
    """

    def __init__(
        self,
        catalog: ICatalog,
        ledger: IUploadLedger,
        registry: INodeRegistry,
        reaper: Reaper,
        pins: Pins,
        *,
        layout: Layout,
        small_part: int,
        cache: VersionCache,
        new_id: Callable[[], str],
        clock: IReactorTime,
    ) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._registry = registry
        self._reaper = reaper
        self._pins = pins
        self._layout = layout
        self._small_part = small_part
        self.cache = cache
        self._new_id = new_id
        self._clock = clock
        self._group = GroupCommit(ledger, registry, reaper, cache, new_id=new_id, clock=clock)
        self._uploading = Budget(_SMALL_UPLOADS)
        self._downloading = Budget(_SMALL_DOWNLOADS)
        self._uploads: set[Upload | SmallUpload] = set()
        self.traffic = Traffic()

    def create(self, path: str, size: int | None, content_type: str, condition: Condition) -> Deferred[IUpload]:
        """Begin to store a file; see `IObjectStore.create`."""
        return Deferred.fromCoroutine(self._create(path, size, content_type, condition))

    async def _create(self, path: str, size: int | None, content_type: str, condition: Condition) -> IUpload:
        check_path(path)
        present = await self._catalog.lookup(path)
        # Judged again at the commit; here it spares the client from sending a body in vain.
        self._check(path, present, condition)
        if isinstance(present, Collection):
            raise NotAFile(f"{path} is a collection")
        if present is None and not isinstance(await self._catalog.lookup(parent(path)), Collection):
            raise ParentMissing(f"the collection {parent(path)} does not exist; make it first")
        intent = Intent(self._new_id(), path, size, content_type, condition, self._layout)
        if size and self._is_small(size, self._layout):
            largest = intent.stored(0) or 0
            await find_room(self._registry, lambda: self._registry.check_room(intent.layout.width, largest))
            if self._uploading.take(size):
                return self._create_small(intent)
        lanes = [] if size == 0 else await Lanes(self._registry, intent).connect()
        upload = Upload(
            intent,
            lanes,
            self._ledger,
            self._registry,
            self._reaper,
            self.traffic,
            self._upload_ended,
            self._clock.seconds,
        )
        self._uploads.add(upload)
        self.traffic.upload_began()
        await upload.start()
        return upload

    def _is_small(self, size: int, layout: Layout) -> bool:
        """Whether the parts of a file are small ones."""
        return stored_size(part_size(layout, size, 0), layout.unit) <= self._small_part

    def _create_small(self, intent: Intent) -> IUpload:
        def ended(upload: SmallUpload, committed: bool) -> None:
            self._uploading.give_back(upload.size)
            self._upload_ended(upload, committed)

        upload = SmallUpload(intent, self._group, self.traffic, ended)
        self._uploads.add(upload)
        self.traffic.upload_began()
        return upload

    def _upload_ended(self, upload: Upload | SmallUpload, committed: bool) -> None:
        self._uploads.discard(upload)
        self.traffic.upload_ended(committed=committed)

    async def abort_uploads(self, reason: str) -> None:
        """Give up all uploads under way, and wait until they are over."""
        await DeferredList([upload.abort(reason) for upload in list(self._uploads)])
        await self._group.settle()

    def _check(self, path: str, present: Manifest | Collection | None, condition: Condition) -> None:
        etag = present.etag if isinstance(present, Manifest) else None if present is None else ""
        failed = condition.failed(etag)
        if failed:
            raise PreconditionFailed(f"{path}: {failed} does not hold")

    def open(self, path: str, span_of: Callable[[Manifest], Span]) -> Deferred[Opened]:
        """Open a file for reading; see `IObjectStore.open`."""
        return Deferred.fromCoroutine(self._open(path, span_of))

    async def _open(self, path: str, span_of: Callable[[Manifest], Span]) -> Opened:
        manifest = await self._find(path)
        while True:
            try:
                return await self._open_version(manifest, span_of(manifest))
            except PartLost:
                # It may have been replaced, or its parts moved, and reaped, between the look and the pin.
                now = await self._find(path)
                if now == manifest:
                    raise
                manifest = now

    async def _find(self, path: str) -> Manifest:
        found = await self._catalog.lookup(path)
        if found is None:
            raise NotFound(f"{path} does not exist")
        if isinstance(found, Collection):
            raise NotAFile(f"{path} is a collection")
        return found

    async def _open_version(self, manifest: Manifest, span: Span) -> Opened:
        size = manifest.size
        if size and self._is_small(size, manifest.layout) and self._downloading.take(size):
            try:
                data = await self._read_small(manifest)
            except BaseException:
                self._downloading.give_back(size)
                raise
            return Opened(manifest, SmallDownload(data, span, self.traffic, lambda: self._downloading.give_back(size)))
        self._pins.pin(manifest)
        download = Download(manifest, span, self._registry, self.traffic, lambda: self._unpin(manifest))
        await download.open()
        return Opened(manifest, download)

    async def _read_small(self, manifest: Manifest) -> bytes:
        data = self.cache.get(manifest.upload)
        if data is None:
            self._pins.pin(manifest)
            try:
                data = await read_small(manifest, self._registry)
            except SplitdError:
                self.traffic.downloads_failed += 1
                raise
            finally:
                self._unpin(manifest)
            self.cache.keep(manifest.upload, data)
        return data

    def _unpin(self, manifest: Manifest) -> None:
        if self._pins.unpin(manifest):
            self._reaper.unpinned(manifest.upload)

    def stat(self, path: str) -> Deferred[Manifest | Collection | None]:
        """What there is of this name; see `IObjectStore.stat`."""
        return self._catalog.lookup(path)

    def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """A page of a collection; see `IObjectStore.list_members`."""
        return self._catalog.list_members(path, after, limit)

    def make_collection(self, path: str) -> Deferred[Collection]:
        """Make an empty collection; see `IObjectStore.make_collection`."""
        return self._catalog.make_collection(path)

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file or a collection; see `IObjectStore.delete`."""
        return self._catalog.delete(path, condition).addCallback(lambda _: self._reaper.wake())
