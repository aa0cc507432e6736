"""Objects by their buckets and keys, over the keys of the store: the key `a/b` of bucket `x` has the path `/x/a/b`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import Logger

from splitd.access.grants import WRITE, Grants
from splitd.errors import BadName, NotAFile, NotEmpty, NotFound, ParentMissing, PreconditionFailed, UploadUnknown
from splitd.frontends.s3.buckets.notes import Buckets
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.target import is_bucket_name
from splitd.interfaces.continued import ContinuedUpload, IContinuedUploads
from splitd.interfaces.keys import IKeys, KeyCopy, Listing
from splitd.interfaces.names import INamespace
from splitd.interfaces.store import IObjectStore, IUpload, Kept, Opened
from splitd.model.buckets import bucket_of, write_note
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import NO_BYTES, Labels, Media
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection
from storaged.system.ranges import Span

_PAGE = 1000
_TRIES = 10
_NO_UPLOAD = "0" * 32


class Keys:
    """The objects of a store, as one user sees them.

    :param store: the files.
    :param keys: their keys.
    :param parts: uploads in parts.
    :param names: the properties of collections.
    :param grants: what the user may do.
    :param buckets: all buckets.
    """

    _log = Logger()

    def __init__(
        self,
        store: IObjectStore,
        keys: IKeys,
        parts: IContinuedUploads,
        names: INamespace,
        grants: Grants,
        buckets: Buckets,
    ) -> None:
        self._store = store
        self._keys = keys
        self._names = names
        self._grants = grants
        self._buckets = buckets
        self.parts = parts

    # Buckets

    async def reach(self, name: str) -> None:
        """Refuse a bucket in which there is nothing for the user.  A grant for a part of it is enough.

        :raise S3Error: it is one, or there is none of this name.
        """
        if not (self._grants.allows_below(f"/{name}") and await self._buckets.exists(name)):
            await self.bucket(name)

    async def bucket(self, name: str) -> Collection:
        """Return a bucket.

        :raise S3Error: there is none of this name, or the user may not read it.
        """
        found = await self._store.stat(f"/{name}/") if is_bucket_name(name) else None
        if not isinstance(found, Collection):
            raise no_such_bucket(name)
        return found

    async def buckets(self) -> list[tuple[str, Collection]]:
        """Return all buckets with their names, in order."""
        found: list[tuple[str, Collection]] = []
        after = ""
        while True:
            page = await self._store.list_members("/", after, _PAGE)
            found += [
                (each.name.removesuffix("/"), each.entry)
                for each in page
                if isinstance(each.entry, Collection) and is_bucket_name(each.name.removesuffix("/"))
            ]
            if len(page) < _PAGE:
                return found
            after = page[-1].name

    async def make_bucket(self, name: str, notes: Mapping[str, str | Sequence[Any]]) -> None:
        """Make a bucket.

        :param notes: what is kept with it, by the names in `splitd.model.buckets`.
        :raise NameTaken: something has this name.
        """
        properties = {each: write_note(each, note) for each, note in notes.items() if note}
        await self._store.make_collection(f"/{name}", ALWAYS, properties)

    async def note(self, bucket: str, name: str, note: str | Sequence[Any]) -> None:
        """Keep a note with a bucket in place of the one before.

        :param name: one of those in `splitd.model.buckets`.
        :param note: empty for none.
        :raise S3Error: there is no such bucket, or the note is too long.
        """
        await self.bucket(bucket)
        changes = PropertyChanges({name: write_note(name, note)}, ()) if note else PropertyChanges({}, (name,))
        try:
            await self._names.change_properties(f"/{bucket}/", changes, ALWAYS)
        except NotFound:
            raise no_such_bucket(bucket) from None

    async def delete_bucket(self, name: str) -> None:
        """Delete a bucket, and end the uploads in parts that were begun in it.

        :raise S3Error: there is none of this name, or something is in it.
        """
        await self.bucket(name)
        # The catalog decides; but a bucket with an object is refused before its uploads are read, of which may be many.
        if self._grants.everywhere(f"/{name}", WRITE) and (await self.list(name, "", "", "", 1)).keys:
            raise _not_empty(name)
        # Those that are begun in the next bucket of this name are not of this one.
        begun = await self._uploads_in(name)
        try:
            await self._keys.delete_empty(f"/{name}/", ALWAYS)
        except NotEmpty:
            raise _not_empty(name) from None
        except NotFound:
            raise no_such_bucket(name) from None
        for start in range(0, len(begun), _PAGE):
            ends = [Deferred.fromCoroutine(self._end(*each)) for each in begun[start : start + _PAGE]]
            await gatherResults(ends, consumeErrors=True)

    async def _uploads_in(self, bucket: str) -> list[tuple[str, str]]:
        """Return the path and the id of each upload in parts, also of those that the user may not read.

        :raise Forbidden: the user may not write everywhere in the bucket.
        """
        found: list[tuple[str, str]] = []
        while True:
            after = found[-1] if found else ("", "")
            page = await self.parts.list_uploads(path_of(bucket, ""), after, _PAGE, to_abort=True)
            found += [(each.path, each.upload) for each in page]
            if len(page) < _PAGE:
                return found

    async def _end(self, path: str, upload: str) -> None:
        try:
            await self.parts.abort(path, upload, "its bucket was deleted")
        except UploadUnknown:
            pass  # it has ended meanwhile
        except CancelledError:
            raise
        except Exception:
            # The bucket is gone, whatever becomes of this one; after a while it ends as one that nobody continues.
            self._log.failure("{path}: upload {upload} of a deleted bucket was not aborted", path=path, upload=upload)

    # Objects

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
            await self.reach(bucket)
        return as_object(found)

    async def stat(self, bucket: str, key: str) -> Manifest:
        """Return an object.

        :raise S3Error: there is none of this key.
        """
        found = await self.find(bucket, key)
        if found is None:
            raise no_such_key(key)
        return found

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

    def create_soon(self, bucket: str, key: str, size: int, media: Media, condition: Condition) -> IUpload | None:
        """Begin to store a small object whose bytes are there; see `IObjectStore.create_soon`."""
        if not is_bucket_name(bucket):
            return None
        return self._store.create_soon(path_of(bucket, key), size, media, as_key(condition))

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
                await self.reach(bucket)
            return
        for _ in range(_TRIES):
            found = await self.find(bucket, key)
            if found is None:
                return
            condition = fits(found)
            try:
                await self._keys.delete_key(path_of(bucket, key), condition)
            except PreconditionFailed:
                continue  # it was deleted or replaced meanwhile
            return
        raise PreconditionFailed(f"{path_of(bucket, key)}: it was replaced again and again")

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
            await self.reach(bucket)
            raise no_such_key(key) from None
        return manifest

    def _refuse_bucket(self, name: str) -> None:
        if not is_bucket_name(name):
            raise no_such_bucket(name)

    async def list(self, bucket: str, prefix: str, after: str, delimiter: str, limit: int) -> Listing:
        """List a page of the keys of a bucket; see `IKeys.list_keys`.

        :raise S3Error: there is no such bucket.
        """
        await self.reach(bucket)
        return await self._keys.list_keys(f"/{bucket}/", prefix, after, delimiter, limit)


def path_of(bucket: str, key: str) -> str:
    """Return the path of a key."""
    return f"/{bucket}/{key}"


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


def _not_empty(name: str) -> S3Error:
    return S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty", BucketName=name)


def no_such_bucket(name: str) -> S3Error:
    """Return the refusal of a bucket that is not there."""
    return S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=name[:100])


def no_such_key(key: str) -> S3Error:
    """Return the refusal of a key that is not there."""
    return S3Error("NoSuchKey", "The specified key does not exist.", Key=key)
