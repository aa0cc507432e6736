"""Objects by their buckets and keys, over the tree of files: the key `a/b` of bucket `x` is the file `/x/a/b`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from splitd.errors import BadName, NameTaken, NotFound, ParentMissing
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.target import is_bucket_name
from splitd.interfaces.store import IObjectStore, IUpload, Opened
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.tree import Collection, check_path, parent
from storaged.system.ranges import Span

_PAGE = 1000


class Keys:
    """The objects of a store, as one user sees them."""

    def __init__(self, store: IObjectStore) -> None:
        self._store = store

    # Buckets

    async def bucket(self, name: str) -> Collection:
        """Return a bucket.

        :raise S3Error: there is none of this name.
        """
        found = await self._store.stat(f"/{name}") if is_bucket_name(name) else None
        if not isinstance(found, Collection):
            raise S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=name)
        return found

    async def buckets(self) -> list[tuple[str, Collection]]:
        """Return all buckets with their names, in order."""
        found: list[tuple[str, Collection]] = []
        after = ""
        while True:
            page = await self._store.list_members("/", after, _PAGE)
            found += [
                (each.name, each.entry)
                for each in page
                if isinstance(each.entry, Collection) and is_bucket_name(each.name)
            ]
            if len(page) < _PAGE:
                return found
            after = page[-1].name

    async def make_bucket(self, name: str) -> None:
        """Make a bucket.

        :raise NameTaken: something has this name.
        """
        await self._store.make_collection(f"/{name}")

    async def delete_bucket(self, name: str) -> None:
        """Delete a bucket.

        :raise S3Error: there is none of this name, or something is in it.
        """
        await self.bucket(name)
        if await self._store.list_members(f"/{name}", "", 1):
            raise S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty", BucketName=name)
        await self._store.delete(f"/{name}", ALWAYS)

    # Objects

    async def stat(self, bucket: str, key: str) -> Manifest:
        """Return an object.

        :raise S3Error: there is none of this key.
        """
        path = _path(bucket, key)
        found = None if path is None else await self._store.stat(path)
        if not isinstance(found, Manifest):
            raise await self._missing(bucket, key)
        return found

    async def _missing(self, bucket: str, key: str) -> S3Error:
        await self.bucket(bucket)
        return S3Error("NoSuchKey", "The specified key does not exist.", Key=key)

    async def open(self, bucket: str, key: str, span_of: Callable[[Manifest], Span]) -> Opened:
        """Open an object for reading; see `IObjectStore.open`.

        :raise S3Error: there is none of this key.
        """
        path = _path(bucket, key)
        if path is None:
            raise await self._missing(bucket, key)
        try:
            return await self._store.open(path, span_of)
        except NotFound:
            raise await self._missing(bucket, key) from None

    async def create(self, bucket: str, key: str, size: int | None, media: Media, condition: Condition) -> IUpload:
        """Begin to store an object; see `IObjectStore.create`."""
        await self.bucket(bucket)
        path = _path(bucket, key)
        if path is None:
            raise S3Error("NotImplemented", "this key is not supported", Key=key)
        try:
            return await self._store.create(path, size, media, condition)
        except ParentMissing:
            await self._make_collections(parent(path))
            return await self._store.create(path, size, media, condition)

    async def _make_collections(self, path: str) -> None:
        if await self._store.stat(path) is None:
            await self._make_collections(parent(path))
            with suppress(NameTaken):
                await self._store.make_collection(path)

    async def delete(self, bucket: str, key: str, condition: Condition) -> None:
        """Delete an object; does nothing if there is none of this key."""
        await self.bucket(bucket)
        path = _path(bucket, key)
        if path is None or not isinstance(await self._store.stat(path), Manifest):
            return
        try:
            await self._store.delete(path, condition)
        except NotFound:
            return

    async def page(self, bucket: str, prefix: str, after: str, limit: int) -> list[tuple[str, Manifest]]:
        """Return objects of a bucket with their keys, in order.

        :param after: list only keys greater than this.
        """
        await self.bucket(bucket)
        found: list[tuple[str, Manifest]] = []
        await self._walk(f"/{bucket}", "", prefix, found)
        found.sort(key=lambda each: each[0].encode())
        return [each for each in found if each[0].encode() > after.encode()][:limit]

    async def _walk(self, path: str, folder: str, prefix: str, found: list[tuple[str, Manifest]]) -> None:
        after = ""
        while True:
            page = await self._store.list_members(path, after, _PAGE)
            for each in page:
                key = f"{folder}{each.name}"
                if isinstance(each.entry, Manifest):
                    if key.startswith(prefix):
                        found.append((key, each.entry))
                elif key.startswith(prefix[: len(key)]):
                    await self._walk(f"{path}/{each.name}", f"{key}/", prefix, found)
            if len(page) < _PAGE:
                return
            after = page[-1].name


def _path(bucket: str, key: str) -> str | None:
    path = f"/{bucket}/{key}"
    try:
        check_path(path)
    except BadName:
        return None
    return path
