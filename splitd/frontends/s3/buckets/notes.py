"""What is kept with buckets, whoever asks: whose they are, and which pages of other origins may use them."""

from __future__ import annotations

import hashlib

from splitd.access.grants import Principal
from splitd.frontends.s3.target import is_bucket_name
from splitd.interfaces.names import INamespace
from splitd.interfaces.store import IObjectStore
from splitd.model.buckets import BucketNotes, read_notes
from splitd.model.tree import Collection

Owner = tuple[str, str]
"""The id and the name of an owner."""


class Buckets:
    """The buckets, without a look at what somebody may do: nothing of this is told to those who may not see a bucket.

    :param store: all files.
    :param namespace: has the properties of collections.
    """

    def __init__(self, store: IObjectStore, namespace: INamespace) -> None:
        self._store = store
        self._namespace = namespace

    async def notes(self, bucket: str) -> BucketNotes:
        """Return what is kept with a bucket; nothing if there is none of this name."""
        if not is_bucket_name(bucket):
            return BucketNotes()
        [found] = await self._namespace.details([f"/{bucket}/"])
        return read_notes(found.properties)

    async def exists(self, bucket: str) -> bool:
        """Return whether there is a bucket of this name; a collection with a name that no bucket can have is none."""
        return is_bucket_name(bucket) and isinstance(await self._store.stat(f"/{bucket}/"), Collection)


def owner_of(name: str) -> Owner:
    """Return the id and the name under which a user owns buckets; those of the front itself if the name is empty."""
    name = name or "splitd"
    return hashlib.sha256(f"splitd: {name}".encode()).hexdigest(), name


def owner_of_bucket(notes: BucketNotes, principal: Principal) -> Owner:
    """Return the owner of a bucket.  One that came by another front door is told everybody as their own."""
    return owner_of(notes.owner or principal.name)
