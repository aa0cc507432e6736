"""The buckets of a store, as one user sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import Logger

from splitd.access.grants import READ, WRITE, Grants
from splitd.errors import NotEmpty, NotFound, UploadUnknown
from splitd.frontends.s3.buckets.notes import Buckets
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.target import is_bucket_name, path_of
from splitd.interfaces.continued import IContinuedUploads
from splitd.interfaces.keys import IKeys
from splitd.interfaces.names import INamespace
from splitd.interfaces.store import IObjectStore
from splitd.model.buckets import write_note
from splitd.model.conditions import ALWAYS
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection

_PAGE = 1000


class UserBuckets:
    """The buckets of a store, as one user sees them.

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
        self._parts = parts
        self._names = names
        self._grants = grants
        self._buckets = buckets

    async def reach(self, name: str) -> None:
        """Refuse a bucket in which there is nothing for the user.  Any grant for a part of it, or its ACL, is enough.

        :raise S3Error: it is one, or there is none of this name.
        """
        if not (self._has_grant(name) and await self._buckets.exists(name)):
            await self._find_listed(name)

    def _has_grant(self, name: str) -> bool:
        return bool(self._grants.rights(f"/{name}")) or self._grants.allows_below(f"/{name}")

    async def reach_granted(self, name: str) -> None:
        """Refuse a bucket in which the user has no grant, also if its ACL lets everybody list its keys.

        :raise S3Error: it is one, or there is none of this name.
        """
        await self.reach(name)
        if not self._has_grant(name):
            self._refuse_listed(name)

    async def reach_to_change(self, name: str) -> None:
        """Refuse a bucket that the user may not change as a whole.

        :raise S3Error: it is one, or there is none of this name.
        """
        await self.find(name)
        if not self._grants.everywhere(f"/{name}", WRITE):
            raise S3Error("AccessDenied", "this needs a write grant for the bucket and for all that is in it")

    async def find(self, name: str) -> Collection:
        """Return a bucket.

        :raise S3Error: there is none of this name, or the user may not read it, but for its keys by its ACL.
        """
        found = await self._find_listed(name)
        self._refuse_listed(name)
        return found

    async def _find_listed(self, name: str) -> Collection:
        found = await self._store.stat(f"/{name}/") if is_bucket_name(name) else None
        if not isinstance(found, Collection):
            raise no_such_bucket(name)
        return found

    def _refuse_listed(self, name: str) -> None:
        if READ not in self._grants.rights(f"/{name}"):
            raise S3Error("AccessDenied", "the bucket's ACL allows to list its keys only: this needs a grant")

    async def all(self) -> list[tuple[str, Collection]]:
        """Return all buckets with their names, in order.

        :raise S3Error: the user may not read the root.
        """
        found: list[tuple[str, Collection]] = []
        after = ""
        while True:
            try:
                page = await self._store.list_members("/", after, _PAGE)
            except NotFound:
                raise S3Error("AccessDenied", "to list the buckets needs a read grant for /") from None
            found += [
                (each.name.removesuffix("/"), each.entry)
                for each in page
                if isinstance(each.entry, Collection) and is_bucket_name(each.name.removesuffix("/"))
            ]
            if len(page) < _PAGE:
                return found
            after = page[-1].name

    async def make(self, name: str, notes: Mapping[str, str | Sequence[Any]]) -> None:
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
        await self.find(bucket)
        changes = PropertyChanges({name: write_note(name, note)}, ()) if note else PropertyChanges({}, (name,))
        try:
            await self._names.change_properties(f"/{bucket}/", changes, ALWAYS)
        except NotFound:
            raise no_such_bucket(bucket) from None

    async def delete(self, name: str) -> None:
        """Delete a bucket, and end the uploads in parts that were begun in it.

        :raise S3Error: there is none of this name, or something is in it.
        """
        await self.find(name)
        # The catalog decides; but a bucket with an object is refused before its uploads are read, of which may be many.
        if self._grants.everywhere(f"/{name}", WRITE) and await self._has_keys(name):
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

    async def _has_keys(self, name: str) -> bool:
        listing = await self._keys.list_keys(path_of(name, ""), "", "", "", 1)
        return bool(listing.keys)

    async def _uploads_in(self, bucket: str) -> list[tuple[str, str]]:
        """Return the path and the id of each upload in parts, also of those that the user may not read.

        :raise Forbidden: the user may not write everywhere in the bucket.
        """
        found: list[tuple[str, str]] = []
        while True:
            after = found[-1] if found else ("", "")
            page = await self._parts.list_uploads(path_of(bucket, ""), after, _PAGE, to_abort=True)
            found += [(each.path, each.upload) for each in page]
            if len(page) < _PAGE:
                return found

    async def _end(self, path: str, upload: str) -> None:
        try:
            await self._parts.abort(path, upload, "its bucket was deleted")
        except UploadUnknown:
            pass  # it has ended meanwhile
        except CancelledError:
            raise
        except Exception:
            # The bucket is gone, whatever becomes of this one; after a while it ends as one that nobody continues.
            self._log.failure("{path}: upload {upload} of a deleted bucket was not aborted", path=path, upload=upload)


def _not_empty(name: str) -> S3Error:
    return S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty", BucketName=name)


def no_such_bucket(name: str) -> S3Error:
    """Return the refusal of a bucket that is not there."""
    return S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=name[:100])
