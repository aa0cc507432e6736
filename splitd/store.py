"""Files and collections by their paths: what the front doors use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from splitd.downloads.cache import VersionCache
from splitd.downloads.pins import Pins
from splitd.downloads.small import SmallDownload, read_small
from splitd.downloads.streamed import Download, PartLost
from splitd.errors import NotAFile, NotFound, ParentMissing, SplitdError
from splitd.interfaces.catalog import ICatalog, IUploadLedger
from splitd.interfaces.names import Details, ILocks, INamespace
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.store import IDownload, IObjectStore, IUpload, Opened
from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.properties import PropertyChanges
from splitd.model.striping import Layout, part_size
from splitd.model.traffic import Traffic
from splitd.model.tree import Collection, Member, check_path, parent
from splitd.upkeep.reaper import Reaper
from splitd.uploads.group import GroupCommit
from splitd.uploads.lanes import Intent, Lanes, find_room
from splitd.uploads.small import SmallUpload
from splitd.uploads.streamed import Upload
from storaged.parts.format import stored_size
from storaged.system.budget import Budget
from storaged.system.clocks import WallClock
from storaged.system.ranges import Span

_Result = TypeVar("_Result")

_SMALL_UPLOADS = 12 * 1024 * 1024
_SMALL_DOWNLOADS = 16 * 1024 * 1024
"""The bytes of small files that are held whole at the same time; what comes on top takes the way of the large ones."""


@implementer(IObjectStore, INamespace)
class ObjectStore:
    """Files on nodes, under names in a catalog.

    :param layout: how new files are cut.
    :param small_part: parts of at most so many stored bytes are small ones: they travel whole.
    :param cache: keeps small files that were asked for.
    :param new_id: makes ids of uploads: 32 hexadecimal digits, never the same twice.
    :param new_token: makes tokens of locks: URIs, never the same twice.
    :param clock: tells the time since 1970, and calls later.
    """

    def __init__(
        self,
        catalog: ICatalog,
        ledger: IUploadLedger,
        namespace: INamespace,
        locks: ILocks,
        registry: INodeRegistry,
        reaper: Reaper,
        pins: Pins,
        *,
        layout: Layout,
        small_part: int,
        cache: VersionCache,
        new_id: Callable[[], str],
        new_token: Callable[[], str],
        clock: IReactorTime,
        wall: WallClock,
    ) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._namespace = namespace
        self._locks = locks
        self._registry = registry
        self._reaper = reaper
        self._pins = pins
        self._layout = layout
        self._small_part = small_part
        self.cache = cache
        self._new_id = new_id
        self._new_token = new_token
        self._wall = wall
        self._group = GroupCommit(ledger, registry, reaper, cache.keep, new_id=new_id, clock=clock, wall=wall)
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
        condition = await self._locks.check(path, condition, changing=True)
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
            self._wall,
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
            small = SmallDownload(data, span, self.traffic, lambda: self._downloading.give_back(size))
            return Opened(manifest, small, lambda more: succeed(SmallDownload(data, more, self.traffic, _nothing)))
        return Opened(
            manifest,
            await self._download(manifest, span),
            lambda more: Deferred.fromCoroutine(self._download(manifest, more)),
        )

    async def _download(self, manifest: Manifest, span: Span) -> IDownload:
        self._pins.pin(manifest)
        download = Download(manifest, span, self._registry, self.traffic, lambda: self._unpin(manifest))
        await download.open()
        return download

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

    def make_collection(
        self, path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; see `IObjectStore.make_collection`."""
        return self._catalog.make_collection(path, condition, properties)

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file or a collection; see `IObjectStore.delete`."""
        return self._catalog.delete(path, condition).addCallback(self._wake_reaper)

    def move(self, source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Give a file or a collection another name; see `INamespace.move`."""
        moved = self._namespace.move(source, target, condition, overwrite=overwrite)
        return moved.addCallback(self._wake_reaper)

    def copy(self, source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Make a copy of a file or a collection; see `INamespace.copy`."""
        copied = self._namespace.copy(source, target, condition, deep=deep, overwrite=overwrite)
        return copied.addCallback(self._wake_reaper)

    def _wake_reaper(self, result: _Result) -> _Result:
        self._reaper.wake()
        return result

    def change_properties(self, path: str, changes: PropertyChanges, condition: Condition) -> Deferred[None]:
        """Change what is noted of a file or collection; see `INamespace.change_properties`."""
        return self._namespace.change_properties(path, changes, condition)

    def details(self, paths: Sequence[str]) -> Deferred[list[Details]]:
        """What is known of some files and collections; see `INamespace.details`."""
        return self._namespace.details(paths)

    def lock(
        self, path: str, scope: str, condition: Condition, *, deep: bool, owner: str, timeout_s: int
    ) -> Deferred[tuple[Lock, bool]]:
        """Take a lock; see `IObjectStore.lock`."""
        now_ms = self._wall.steady_ms()
        wish = Lock(path, self._new_token(), scope, deep, owner, now_ms, now_ms + timeout_s * 1000)
        layout = self._layout
        empty = Manifest(self._new_id(), 0, self._wall.now_ms(), layout.data, layout.parity, layout.unit, ())
        return self._locks.lock(wish, condition, empty).addCallback(lambda is_new: (wish, is_new))


def _nothing() -> None:
    """Nothing is to be given back: another download has it."""
