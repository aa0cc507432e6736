"""Objects by their buckets and keys, over the keys of the store: the key `a/b` of bucket `x` has the path `/x/a/b`."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred

from splitd.access.grants import READ, WRITE, Grants
from splitd.errors import BadName, NotAFile, NotFound, ParentMissing, PreconditionFailed
from splitd.frontends.s3.buckets.user_buckets import UserBuckets, no_such_bucket
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.target import is_bucket_name, path_of
from splitd.interfaces.continued import ContinuedUpload, IContinuedUploads
from splitd.interfaces.keys import IKeys, KeyCopy, Listing
from splitd.interfaces.store import IObjectStore, IUpload, Kept, Opened
from splitd.model.buckets import bucket_of
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import NO_BYTES, Labels, Media
from splitd.model.tree import Collection
from storaged.system.ranges import Span

_TRIES = 10
_NO_UPLOAD = "0" * 32


class Keys:
    """The objects of a store, as one user sees them.

    :param store: the files.
    :param keys: their keys.
    :param parts: uploads in parts.
    :param grants: what the user may do.
    :param buckets: the buckets, as the same user sees them.
    """

    def __init__(
        self, store: IObjectStore, keys: IKeys, parts: IContinuedUploads, grants: Grants, buckets: UserBuckets
    ) -> None:
        self._store = store
        self._keys = keys
        self._grants = grants
        self.parts = parts
        self.buckets = buckets

    async def find(self, bucket: str, key: str) -> Manifest | None:
        """Return an object; None if there is none of this key.

        :raise S3Error: there is no such bucket.
        """
        self._refuse_bucket(bucket)
        try:
            found = await self._keys.find_key(path_of(bucket, key))
        except BadName:
            found = None
        if found is None:
            await self.buckets.reach(bucket)
        return as_object(found)

    async def stat(self, bucket: str, key: str) -> Manifest:
        """Return an object.

        :raise S3Error: there is none of this key.
        """
        found = await self.find(bucket, key)
        if found is None:
            raise no_such_key(key)
        return found

    async def stat_granted(self, bucket: str, key: str) -> Manifest:
        """Return an object of which more may be told than its bytes and headers: its ACL does not allow that.

        :raise S3Error: there is none of this key, or the user may read it by its ACL only.
        """
        found = await self.stat(bucket, key)
        if not self.is_granted(bucket, key):
            raise S3Error("AccessDenied", "the object's ACL allows to read its bytes only: this needs a grant")
        return found

    def is_granted(self, bucket: str, key: str) -> bool:
        """Return whether a grant allows to read an object, be it there or not: an ACL may allow that, too."""
        return READ in self._grants.rights(path_of(bucket, key))

    async def open(self, bucket: str, key: str, span_of: Callable[[Manifest], Span]) -> Opened | Manifest:
        """Open an object for reading; see `IObjectStore.open`.

        :return: the manifest instead if it is a key of no bytes without a file.
        :raise S3Error: there is none of this key.
        """
        self._refuse_bucket(bucket)
        path = path_of(bucket, key)
        try:
            return await self._store.open(path, span_of)
        except (NotFound, NotAFile, BadName):
            found = await self.stat(bucket, key)
        if not key.endswith("/"):  # it was put there just now
            return await self._store.open(path, span_of)
        span_of(found)
        return found

    def read_kept(self, bucket: str, key: str) -> Kept | Deferred[Kept | None] | None:
        """Read a small object, if all of it and its name are in memory; see `IObjectStore.read_kept`."""
        return self._store.read_kept(path_of(bucket, key)) if is_bucket_name(bucket) else None

    def stat_soon(self, bucket: str, key: str) -> Kept | Deferred[Kept | None] | None:
        """Look up an object, if its name is in memory; see `IObjectStore.stat_soon`."""
        return self._store.stat_soon(path_of(bucket, key)) if is_bucket_name(bucket) else None

    def read_soon(self, bucket: str, key: str) -> Kept | Deferred[Kept | None] | None:
        """Read a small object, if its name is in memory; see `IObjectStore.read_soon`."""
        return self._store.read_soon(path_of(bucket, key)) if is_bucket_name(bucket) else None

    def create_soon(
        self, bucket: str, key: str, size: int, media: Media, condition: Condition, *, assumes: bool
    ) -> IUpload | None:
        """Begin to store a small object without a wait; see `IObjectStore.create_soon`."""
        if not is_bucket_name(bucket):
            return None
        return self._store.create_soon(path_of(bucket, key), size, media, as_key(condition), assumes=assumes)

    async def create(self, bucket: str, key: str, size: int | None, media: Media, condition: Condition) -> IUpload:
        """Begin to store an object; see `IObjectStore.create`.

        :raise S3Error: there is no such bucket.
        """
        self._refuse_bucket(bucket)
        try:
            return await self._store.create(path_of(bucket, key), size, media, as_key(condition))
        except ParentMissing:
            raise no_such_bucket(bucket) from None
        except PreconditionFailed:
            await self.refuse_missing(bucket, key, condition)
            raise

    async def refuse_missing(self, bucket: str, key: str, condition: Condition) -> None:
        """Refuse a condition about the present version if there is none: S3 has a code of its own for that.

        :raise S3Error: there is none.
        """
        if condition.match is not None and await self.find(bucket, key) is None:
            raise no_such_key(key)

    async def begin_parts(self, bucket: str, key: str, media: Media, condition: Condition) -> ContinuedUpload:
        """Begin an upload in parts; see `IContinuedUploads.begin`.

        :raise S3Error: there is no such bucket.
        """
        self._refuse_bucket(bucket)
        try:
            return await self.parts.begin(path_of(bucket, key), media, as_key(condition))
        except ParentMissing:
            raise no_such_bucket(bucket) from None
        except PreconditionFailed:
            await self.refuse_missing(bucket, key, condition)
            raise

    async def delete(self, bucket: str, key: str, fits: Callable[[Manifest], Condition] | None) -> None:
        """Delete an object; does nothing if there is none of this key.

        :param fits: judges an object that is there, and returns the condition that it is still the same; None for no
            condition.
        :raise S3Error: there is no such bucket.
        :raise PreconditionFailed: the condition does not hold.
        """
        self._refuse_bucket(bucket)
        if fits is None:
            # Who may write and not read deletes by name, without a look.
            try:
                was_there = await self._keys.delete_key(path_of(bucket, key), ALWAYS)
            except NotFound:
                was_there = False
            if not was_there:
                await self.buckets.reach(bucket)
            return
        for _ in range(_TRIES):
            found = await self.find(bucket, key)
            if found is None:
                self._refuse_unread(bucket, key)
                return
            condition = fits(found)
            try:
                await self._keys.delete_key(path_of(bucket, key), condition)
            except PreconditionFailed:
                continue  # it was deleted or replaced meanwhile
            return
        raise PreconditionFailed(f"{path_of(bucket, key)}: it was replaced again and again")

    def _refuse_unread(self, bucket: str, key: str) -> None:
        """Refuse to judge an object that the user may replace and delete, and not read: it may be there."""
        rights = self._grants.rights(path_of(bucket, key))
        if WRITE in rights and READ not in rights:
            raise S3Error("AccessDenied", "to delete an object under a condition needs a read grant, too")

    async def copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        labels: Labels,
        source_condition: Condition,
        condition: Condition,
    ) -> Manifest:
        """Copy an object, which shares its parts; see `IKeys.copy_key`.

        :param source: the bucket and the key.
        :param target: the bucket and the key of the copy.
        :raise S3Error: there is no such bucket or key.
        """
        self._refuse_bucket(target[0])
        copy = KeyCopy(path_of(*source), path_of(*target), labels, source_condition, condition)
        try:
            return await self._copy(*source, copy)
        except PreconditionFailed:
            await self.refuse_missing(*target, condition)
            raise

    async def relabel(self, bucket: str, key: str, labels: Labels) -> None:
        """Give an object other tags, or another ACL; it keeps its time.

        :raise S3Error: there is no such bucket or key.
        """
        self._refuse_bucket(bucket)
        path = path_of(bucket, key)
        try:
            await self._copy(bucket, key, KeyCopy(path, path, labels, relabels=True))
        except BadName:
            raise no_such_key(key) from None

    async def _copy(self, bucket: str, key: str, copy: KeyCopy) -> Manifest:
        try:
            manifest, _ = await self._keys.copy_key(copy)
        except ParentMissing:
            raise no_such_bucket(bucket_of(copy.target).strip("/")) from None
        except NotFound:
            await self.buckets.reach(bucket)
            raise no_such_key(key) from None
        return manifest

    def _refuse_bucket(self, name: str) -> None:
        if not is_bucket_name(name):
            raise no_such_bucket(name)

    async def list(self, bucket: str, prefix: str, after: str, delimiter: str, limit: int) -> Listing:
        """List a page of the keys of a bucket; see `IKeys.list_keys`.

        :raise S3Error: there is no such bucket.
        """
        await self.buckets.reach(bucket)
        return await self._keys.list_keys(f"/{bucket}/", prefix, after, delimiter, limit)


_ALWAYS_AS_KEY = Condition(is_key=True)


def as_key(condition: Condition) -> Condition:
    """Return the condition for a file that is put at a key."""
    return _ALWAYS_AS_KEY if condition is ALWAYS else attrs.evolve(condition, is_key=True)


def as_object(entry: Manifest | Collection | None) -> Manifest | None:
    """Return a key as an object: a collection that was made by itself is one of no bytes."""
    if not isinstance(entry, Collection):
        return entry
    if entry.own is not None:
        return entry.own
    return Manifest(_NO_UPLOAD, 0, entry.created_ms, 1, 0, 1, (), NO_BYTES)


def unchanged_since(found: Manifest) -> Condition:
    """Return the condition that an object is still the one that was found."""
    return ALWAYS if found.upload == _NO_UPLOAD else Condition((found.etag,))


def no_such_key(key: str) -> S3Error:
    """Return the refusal of a key that is not there."""
    return S3Error("NoSuchKey", "The specified key does not exist.", Key=key)
