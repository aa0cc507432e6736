"""The object store: names, uploads and downloads behind one interface, which the front doors use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as SetOf
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from splitd.access.grants import Principal
from splitd.access.limited import LimitedStore
from splitd.access.limited_locks import LimitedLocks
from splitd.downloads.downloads import Downloads
from splitd.downloads.streams import PartLost
from splitd.errors import TOO_LARGE, FileLost, FileTooLarge, NotAFile, NotFound, QuotaExceeded, SplitdError
from splitd.interfaces.bin import IBin
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.continued import IContinuedLedger
from splitd.interfaces.keys import IKeys, KeyCopy, Listing
from splitd.interfaces.names import AskedLayout, Details, ILocks, INamespace
from splitd.interfaces.quotas import IQuotas
from splitd.interfaces.store import IDownload, IObjectStore, IUpload, Kept, Opened
from splitd.model.binned import Binned
from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.path_faults import OWN, is_own
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection, Member
from splitd.uploads.bounded import limit_size
from splitd.uploads.continued import NO_ROOM, ContinuedUploads
from splitd.uploads.uploads import Uploads
from storaged.system.clocks import WallClock
from storaged.system.parallel import is_done
from storaged.system.ranges import Span

_Result = TypeVar("_Result")

_SMALL_UPLOADS = 12 * 1024 * 1024
_SMALL_DOWNLOADS = 16 * 1024 * 1024
"""The most bytes of small files that are held whole at the same time; further ones are streamed as large files are."""


@implementer(IObjectStore, INamespace, IKeys)
class ObjectStore:
    """Files on nodes, under names in a catalog.

    :param keys: the catalog's keys.
    :param continued: the catalog's uploads that can be continued.
    :param bin_: the catalog's bin.
    :param wake_reaper: called when parts may be doomed.
    :param new_token: makes tokens of locks: URIs, never the same twice.
    :param wall: tells when a lock was taken.
    :ivar continued: uploads that can be continued: an `IContinuedUploads`.
    :ivar bin: what was deleted, and can be restored: an `IBin`.
    :param quotas: judge files before their bytes are taken; None for none.
    :param largest: returns the most bytes of a file; None for any number.
    """

    def __init__(
        self,
        catalog: ICatalog,
        namespace: INamespace,
        keys: IKeys,
        locks: ILocks,
        uploads: Uploads,
        continued: IContinuedLedger,
        downloads: Downloads,
        bin_: IBin,
        *,
        wake_reaper: Callable[[], object],
        new_token: Callable[[], str],
        wall: WallClock,
        quotas: IQuotas | None = None,
        largest: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._quotas = quotas
        self._largest = largest
        self._catalog = catalog
        self._namespace = namespace
        self._keys = keys
        self._locks = locks
        self._uploads = uploads
        self._downloads = downloads
        self._wake = wake_reaper
        self.continued = ContinuedUploads(catalog, continued, uploads, wake_reaper, largest, quotas, self._open_version)
        self.bin = ReapedBin(bin_, wake_reaper)
        self._new_token = new_token
        self._wall = wall

    def as_user(self, principal: Principal) -> tuple[LimitedStore, LimitedLocks]:
        """Return the store, and the locks, limited to what a user may see and do."""
        limited = LimitedStore(self, self, self, self.continued, principal, self.bin)
        return limited, LimitedLocks(self._locks, self, principal)

    def create(self, path: str, size: int | None, media: Media, condition: Condition) -> Deferred[IUpload]:
        """Begin to store a file; see `IObjectStore.create`."""
        return Deferred.fromCoroutine(self._create(path, size, media, condition))

    async def _create(self, path: str, size: int | None, media: Media, condition: Condition) -> IUpload:
        # All this is judged again at the commit; these checks spare the client from sending a body in vain.
        admission = await self._catalog.admit(path, condition)
        largest = self._largest()
        if largest is not None and size is not None and size > largest:
            raise FileTooLarge(TOO_LARGE.format(largest))
        room = None if self._quotas is None else await self._quotas.refuse(path, size)
        upload = await self._uploads.begin(path, size, media.compact(), admission.condition, admission.layout)
        if size is not None:
            return upload
        limits = (largest, FileTooLarge, TOO_LARGE), (room, QuotaExceeded, NO_ROOM)
        return limit_size(upload, [(most, kind(text.format(most))) for most, kind, text in limits if most is not None])

    def create_soon(
        self, path: str, size: int, media: Media, condition: Condition, *, assumes: bool = True
    ) -> IUpload | None:
        """Begin to store a small file without a wait; see `IObjectStore.create_soon`."""
        largest = self._largest()
        if largest is not None and size > largest:
            return None
        try:
            admitted = self._catalog.admit_at_once(path, condition)
        except SplitdError:
            return None
        if admitted is None or (admitted.is_assumed and not assumes):
            return None
        if self._quotas is not None and not is_done(self._quotas.refuse(path, size)):
            return None
        again = partial(self.create, path, size, media, condition) if admitted.is_assumed else None
        return self._uploads.begin_soon(path, size, media.compact(), admitted.condition, admitted.layout, again)

    def open(self, path: str, span_of: Callable[[Manifest], Span]) -> Deferred[Opened]:
        """Open a file for reading; see `IObjectStore.open`."""
        return Deferred.fromCoroutine(self._open(path, span_of))

    async def _open(self, path: str, span_of: Callable[[Manifest], Span]) -> Opened:
        manifest = await self._find(path)
        while True:
            try:
                return await self._downloads.open(manifest, span_of(manifest))
            except (PartLost, FileLost):
                # Between the look-up and the pin the file may have been replaced, or its parts moved, and the old parts
                # deleted.
                now = await self._find(path)
                if now == manifest:
                    raise
                manifest = now

    def read_kept(self, path: str) -> Kept | Deferred[Kept | None] | None:
        """Read a small file, if all of it and its name are in memory; see `IObjectStore.read_kept`."""
        return self._read_known(path, self._read_kept, self._downloads.has_kept)

    def stat_soon(self, path: str) -> Kept | Deferred[Kept | None] | None:
        """Look up a file, if its name is in memory; see `IObjectStore.stat_soon`."""
        return self._read_known(path, _without_bytes, lambda _: True)

    def read_soon(self, path: str) -> Kept | Deferred[Kept | None] | None:
        """Read a small file from memory or from its nodes, if its name is in memory; see `IObjectStore.read_soon`."""
        return self._read_known(path, self._read_soon, self._downloads.has_soon)

    def _read_known(
        self,
        path: str,
        read: Callable[[Manifest], Kept | Deferred[Kept | None] | None],
        is_worth: Callable[[Manifest], bool],
    ) -> Kept | Deferred[Kept | None] | None:
        """Read a file whose name is in memory, once it is proven to be there.

        :param is_worth: whether a proof is worth asking for.
        """
        known = None if is_own(path) else self._catalog.known_file(path)
        if known is None:
            return None
        manifest, prove = known
        if prove is None:
            return read(manifest)
        if not is_worth(manifest):
            return None
        # The bytes are taken after the proof: until then, they would be in memory without being counted.
        return prove().addCallback(lambda is_there: read(manifest) if is_there else None)

    def _read_kept(self, manifest: Manifest) -> Kept | None:
        data = self._downloads.read_kept(manifest)
        return None if data is None else (manifest, data)

    def _read_soon(self, manifest: Manifest) -> Kept | Deferred[Kept | None] | None:
        kept = self._read_kept(manifest)
        if kept is not None:
            return kept
        reading = self._downloads.read_soon(manifest)
        return None if reading is None else reading.addCallback(_with_its_file, manifest)

    async def _open_version(self, manifest: Manifest) -> IDownload:
        return (await self._downloads.open(manifest, Span(0, manifest.size))).download

    async def _find(self, path: str) -> Manifest:
        found = await self.stat(path)
        if found is None:
            raise NotFound(f"{path} does not exist")
        if isinstance(found, Collection):
            if path.endswith("/") and found.own is not None:
                return found.own
            raise NotAFile(f"{path} is a collection")
        return found

    def stat(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a path; see `IObjectStore.stat`."""
        return succeed(None) if is_own(path) else self._catalog.lookup(path)

    def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """List a page of a collection's members; see `IObjectStore.list_members`."""
        if is_own(path):
            return fail(NotFound(f"there is no {path}"))
        if path != "/":
            return self._catalog.list_members(path, after, limit)
        return Deferred.fromCoroutine(self._list_root(after, limit))

    async def _list_root(self, after: str, limit: int) -> list[Member]:
        """List a page of the root's members, without what the server has for itself."""
        page = await self._catalog.list_members("/", after, limit)
        seen = [member for member in page if not is_own("/" + member.name)]
        if len(seen) == len(page) or len(page) < limit:
            return seen
        # A page that is not full is the last one for callers.
        more = await self._catalog.list_members("/", page[-1].name, len(page) - len(seen))
        return seen + [member for member in more if not is_own("/" + member.name)]

    def make_collection(
        self, path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; see `IObjectStore.make_collection`."""
        return self._catalog.make_collection(path, condition, properties)

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file or a collection; see `IObjectStore.delete`."""
        return self._catalog.delete(path, condition).addCallback(self._wake_reaper)

    def move(self, source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Move a file or a collection to another path; see `INamespace.move`."""
        moved = self._namespace.move(source, target, condition, overwrite=overwrite)
        return moved.addCallback(self._wake_reaper)

    def copy(self, source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Copy a file or a collection; see `INamespace.copy`."""
        copied = self._namespace.copy(source, target, condition, deep=deep, overwrite=overwrite)
        return copied.addCallback(self._wake_reaper)

    def list_keys(
        self, collection: str, prefix: str, after: str, delimiter: str, limit: int, hidden: SetOf[str] = frozenset()
    ) -> Deferred[Listing]:
        """List a page of keys; see `IKeys.list_keys`."""
        if is_own(collection):
            return fail(NotFound(f"there is no {collection}"))
        return self._keys.list_keys(collection, prefix, after, delimiter, limit, hidden)

    def find_key(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a key; see `IKeys.find_key`."""
        return succeed(None) if is_own(path) else self._keys.find_key(path)

    def delete_key(self, path: str, condition: Condition) -> Deferred[bool]:
        """Delete one key; see `IKeys.delete_key`."""
        return self._keys.delete_key(path, condition).addCallback(self._wake_reaper)

    def copy_key(self, copy: KeyCopy) -> Deferred[tuple[Manifest, bool]]:
        """Copy one key; see `IKeys.copy_key`."""
        return self._keys.copy_key(copy).addCallback(self._wake_reaper)

    def delete_empty(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a collection that has nothing in it; see `IKeys.delete_empty`."""
        return self._keys.delete_empty(path, condition)

    def _wake_reaper(self, result: _Result) -> _Result:
        self._wake()
        return result

    def change_properties(self, path: str, changes: PropertyChanges, condition: Condition) -> Deferred[None]:
        """Change the properties of a file or collection; see `INamespace.change_properties`."""
        return self._namespace.change_properties(path, changes, condition)

    def details(self, paths: Sequence[str]) -> Deferred[list[Details]]:
        """Look up the properties and locks of some files and collections; see `INamespace.details`."""
        return self._namespace.details([OWN if is_own(path) else path for path in paths])  # that has no properties

    def asked_layout(self, path: str) -> Deferred[AskedLayout]:
        """Look up the layout that a collection asks for; see `INamespace.asked_layout`."""
        if is_own(path):
            return fail(NotFound(f"there is no {path}"))
        return self._namespace.asked_layout(path)

    def lock(
        self, path: str, scope: str, condition: Condition, *, deep: bool, owner: str, timeout_s: int, user: str = ""
    ) -> Deferred[tuple[Lock, bool]]:
        """Take a lock; see `IObjectStore.lock`."""
        now_ms = self._wall.steady_ms()
        requested = Lock(path, self._new_token(), scope, deep, owner, now_ms, now_ms + timeout_s * 1000, user)
        return self._locks.lock(requested, condition, self._uploads.empty_file()).addCallback(
            lambda is_new: (requested, is_new)
        )


def _without_bytes(manifest: Manifest) -> Kept:
    return manifest, b""


def _with_its_file(data: bytes | None, manifest: Manifest) -> Kept | None:
    return None if data is None else (manifest, data)


@implementer(IBin)
class ReapedBin:
    """The bin of a catalog, whose reaper is woken when something is purged.

    :param wake: called when parts may be doomed.
    """

    def __init__(self, bin_: IBin, wake: Callable[[], object]) -> None:
        self._bin = bin_
        self._wake = wake

    def put(self, path: str, condition: Condition, user: str) -> Deferred[Binned]:
        """Delete something so that it can be restored; see `IBin.put`."""
        return self._bin.put(path, condition, user)

    def restore(self, binned: Binned, target: str) -> Deferred[None]:
        """Put something from the bin back; see `IBin.restore`."""
        return self._bin.restore(binned, target)

    def purge(self, binned: Binned) -> Deferred[bool]:
        """Delete something in the bin for good; see `IBin.purge`."""

        def woken(was_there: bool) -> bool:
            self._wake()
            return was_there

        return self._bin.purge(binned).addCallback(woken)

    def find(self, key: str) -> Deferred[Binned | None]:
        """Look up something in the bin; see `IBin.find`."""
        return self._bin.find(key)

    def page(self, after: str, limit: int) -> Deferred[list[Binned]]:
        """List a page of what is in the bin; see `IBin.page`."""
        return self._bin.page(after, limit)
