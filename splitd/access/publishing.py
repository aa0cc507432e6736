"""What everybody may read by an ACL of S3: objects and buckets that their owner has published.

These are grants that are kept with what they are about, and not in the file of the users.
"""

from __future__ import annotations

from splitd.access.grants import ADMIN
from splitd.access.judge import Judge
from splitd.errors import AclsDisabled, Forbidden, SplitdError
from splitd.interfaces.names import INamespace
from splitd.model.buckets import PUBLIC_READ, BucketNotes, bucket_of, read_notes
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection


class Publishing:
    """Judges what is published, and who may publish.

    :param namespace: has the notes of buckets.
    :param judge: judges the grants of the one who asks.
    """

    def __init__(self, namespace: INamespace, judge: Judge) -> None:
        self._namespace = namespace
        self._judge = judge

    async def notes(self, path: str) -> BucketNotes:
        """Return what is kept with the bucket that a path is, or lies in."""
        [found] = await self._namespace.details([bucket_of(path)])
        return read_notes(found.properties)

    async def is_listed(self, path: str) -> bool:
        """Return whether everybody may list the keys of the bucket that a path is, or lies in."""
        notes = await self.notes(path)
        return notes.acl == PUBLIC_READ and notes.takes_acls

    async def is_read(self, path: str, entry: Manifest | Collection | None) -> bool:
        """Return whether everybody may read what has a path: the file, or the file that the collection itself is."""
        return is_published(entry) and (await self.notes(path)).takes_acls

    async def refuse(self, path: str) -> SplitdError | None:
        """Refuse to publish a path, or what is to be stored there: that is for the owner of its bucket, and for those
        with `admin` there.

        :return: (as a result) the error; None if the user may do it.  It is `AclsDisabled` for everybody where ACLs do
            not count.
        """
        notes = await self.notes(path)
        if not notes.takes_acls:
            return AclsDisabled(f"{path}: the bucket does not allow ACLs")
        return self._refuse_stranger(path, notes)

    async def refuse_stranger(self, path: str) -> SplitdError | None:
        """Refuse to say whether ACLs count: that is for those who may publish, also while none counts.

        :return: (as a result) the error; None if the user may do it.
        """
        return self._refuse_stranger(path, await self.notes(path))

    def _refuse_stranger(self, path: str, notes: BucketNotes) -> SplitdError | None:
        principal = self._judge.principal
        if ADMIN in self._judge.grants.rights(path):
            return None
        if principal.is_anonymous:
            return self._judge.refusal(path, ADMIN)
        if notes.owner == principal.name:
            return None
        return Forbidden(f"{path}: only the owner of its bucket, or somebody with an admin grant, may publish it")


def is_published(entry: Manifest | Collection | None) -> bool:
    """Return whether everybody may read a file, or the file that a collection itself is."""
    manifest = entry.own if isinstance(entry, Collection) else entry
    return manifest is not None and not isinstance(manifest.said, str) and manifest.said.acl == PUBLIC_READ
