"""The store as one user sees it.  Here, and nowhere else, grants are judged.

A place that the user may not read does not exist for them, but for what S3's ACLs have published there (see
`Publishing`).  Each call is judged before the store does anything: nothing was begun, and no byte of a body was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as SetOf

import attrs
import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from splitd.access.grants import READ, WRITE, Principal
from splitd.access.judge import Judge
from splitd.access.limited_bin import LimitedBin
from splitd.access.limited_continued import LimitedContinuedUploads
from splitd.access.publishing import Publishing, is_published
from splitd.errors import BadName, Forbidden, LoginRequired, NotAFile, NotFound, SplitdError
from splitd.interfaces.bin import IBin
from splitd.interfaces.continued import IContinuedUploads
from splitd.interfaces.keys import IKeys, KeyCopy, Listing
from splitd.interfaces.names import AskedLayout, Details, INamespace
from splitd.interfaces.store import IObjectStore, IUpload, Kept, Opened
from splitd.model.branch import NO_PROPERTIES
from splitd.model.buckets import ACL, OWNERSHIP, bucket_of
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.paths import join
from splitd.model.properties import OWN, PropertyChanges
from splitd.model.tree import Collection, Member
from storaged.system.ranges import Span

_HIDDEN = Details({}, ())


@implementer(IObjectStore, INamespace, IKeys)
class LimitedStore:
    """The files, names and keys of a store, limited to what one user may do.

    Besides the errors of the interfaces, each call raises `NotFound`, `Forbidden` or `LoginRequired` if the user may
    not do it.

    :ivar continued: the uploads that can be continued, limited in the same way.
    """

    def __init__(
        self,
        store: IObjectStore,
        namespace: INamespace,
        keys: IKeys,
        continued: IContinuedUploads,
        principal: Principal,
        bin_: IBin | None = None,
    ) -> None:
        self._store = store
        self._namespace = namespace
        self._keys = keys
        self._judge = Judge(principal)
        self._publishing = Publishing(namespace, self._judge)
        self._grants = principal.grants
        self.principal = principal
        self._bin = bin_
        self.continued = LimitedContinuedUploads(continued, self._judge, self._publishing)

    def bin(self, clock: IReactorTime) -> LimitedBin:
        """Return what was deleted, and can be restored, limited in the same way.

        :param clock: see `LimitedBin`.
        """
        assert self._bin is not None
        return LimitedBin(self._bin, self._judge, clock)

    def create(self, path: str, size: int | None, media: Media, condition: Condition) -> Deferred[IUpload]:
        """Begin to store a file; needs `write`."""
        refused = self._judge.refuse_change(path, condition)
        if refused:
            return fail(refused)
        if media.acl:
            return Deferred.fromCoroutine(self._create_published(path, size, media, condition))
        return self._store.create(path, size, media, self._judge.own(path, condition))

    def create_soon(
        self, path: str, size: int, media: Media, condition: Condition, *, assumes: bool = True
    ) -> IUpload | None:
        """Begin to store a small file without a wait; needs `write`."""
        if media.acl or self._judge.refuse_change(path, condition):
            return None
        return self._store.create_soon(path, size, media, self._judge.own(path, condition), assumes=assumes)

    async def _create_published(self, path: str, size: int | None, media: Media, condition: Condition) -> IUpload:
        refused = await self._publishing.refuse(path)
        if refused:
            raise refused
        return await self._store.create(path, size, media, self._judge.own(path, condition))

    def open(self, path: str, span_of: Callable[[Manifest], Span]) -> Deferred[Opened]:
        """Open a file for reading; needs `read`, unless it is published."""
        if READ in self._grants.rights(path):
            return self._store.open(path, span_of)
        return Deferred.fromCoroutine(self._open_published(path, span_of))

    def read_kept(self, path: str) -> Kept | Deferred[Kept | None] | None:
        """Read a small file, if all of it and its name are in memory; needs `read`."""
        return self._store.read_kept(path) if READ in self._grants.rights(path) else None

    def stat_soon(self, path: str) -> Kept | Deferred[Kept | None] | None:
        """Look up a file, if its name is in memory; needs `read`."""
        return self._store.stat_soon(path) if READ in self._grants.rights(path) else None

    def read_soon(self, path: str) -> Kept | Deferred[Kept | None] | None:
        """Read a small file, if its name is in memory; needs `read`."""
        return self._store.read_soon(path) if READ in self._grants.rights(path) else None

    async def _open_published(self, path: str, span_of: Callable[[Manifest], Span]) -> Opened:
        refused = self._judge.refusal(path, READ)
        if not (await self._publishing.notes(path)).takes_acls:
            raise refused

        def published_span(manifest: Manifest) -> Span:
            if not is_published(manifest):
                raise refused
            return span_of(manifest)

        try:
            return await self._store.open(path, published_span)
        except (NotFound, NotAFile, BadName):
            if await self._publishing.is_listed(path):
                raise
            raise refused from None

    def stat(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a path; None if the user may not read it, and it is not published.

        :raise LoginRequired: somebody who has not logged in has no right at all there.
        """
        return self._look_up(path, self._store.stat)

    def _look_up(
        self, path: str, look_up: Callable[[str], Deferred[Manifest | Collection | None]]
    ) -> Deferred[Manifest | Collection | None]:
        if READ in self._grants.rights(path):
            return look_up(path)
        return Deferred.fromCoroutine(self._look_up_published(path, look_up))

    async def _look_up_published(
        self, path: str, look_up: Callable[[str], Deferred[Manifest | Collection | None]]
    ) -> Manifest | Collection | None:
        try:
            found = await look_up(path)
        except BadName:
            found = None
        if await self._publishing.is_read(path, found):
            return found
        is_bucket = isinstance(found, Collection) and bucket_of(path) == join(path, "")
        if (found is None or is_bucket) and await self._publishing.is_listed(path):
            return found
        if self.principal.is_anonymous and not self._grants.rights(path):
            raise LoginRequired(f"{path}: log in to do this")
        return None

    def list_members(self, path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """List a page of the members that the user may read; needs `read`."""
        refused = self._judge.refuse(path, READ)
        if refused:
            return fail(refused)
        if not self._grants.hides_below(path):
            return self._store.list_members(path, after, limit)
        return Deferred.fromCoroutine(self._visible(path, after, limit))

    async def _visible(self, path: str, after: str, limit: int) -> list[Member]:
        # A page that is not full is the last one for callers, so hidden members are made up for.  There are no more of
        # them than grants, so this takes few rounds.
        found = list[Member]()
        while True:
            page = await self._store.list_members(path, after, limit)
            found += [each for each in page if READ in self._grants.rights(join(path, each.name))]
            if len(page) < limit or len(found) >= limit:
                return found[:limit]
            after = page[-1].name

    def make_collection(
        self, path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection; needs `write`."""
        refused = self._judge.refuse_change(path, condition)
        return (
            fail(refused)
            if refused
            else self._store.make_collection(path, self._judge.own(path, condition), properties)
        )

    def delete(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a file or a collection; needs `write` for all that is in it."""
        refused = self._judge.refuse_change(path, condition, everywhere=True)
        return fail(refused) if refused else self._store.delete(path, self._judge.own(path, condition))

    def lock(
        self, path: str, scope: str, condition: Condition, *, deep: bool, owner: str, timeout_s: int, user: str = ""
    ) -> Deferred[tuple[Lock, bool]]:
        """Take a lock, which is then the user's; needs `write` for all that it covers."""
        assert not user
        refused = self._judge.refuse_change(path, condition, everywhere=deep)
        if refused:
            return fail(refused)
        condition, name = self._judge.own(path, condition), self.principal.name
        return self._store.lock(path, scope, condition, deep=deep, owner=owner, timeout_s=timeout_s, user=name)

    def move(self, source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Move a file or a collection; needs `read` and `write` for all of it, and `write` for all of the target."""
        refused = (
            self._judge.refuse(source, READ, everywhere=True)
            or self._judge.refuse_change(source, condition, everywhere=True)
            or self._judge.refuse(target, WRITE, everywhere=True)
        )
        if refused:
            return fail(refused)
        return self._namespace.move(source, target, self._own(source, target, condition), overwrite=overwrite)

    def copy(self, source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Copy a file or a collection; needs `read` for all that is copied, and `write` for all of the target."""
        refused = (
            self._judge.refuse(source, READ, everywhere=deep)
            or self._judge.refuse_condition(source, condition)
            or self._judge.refuse(target, WRITE, everywhere=True)
        )
        if refused:
            return fail(refused)
        condition = self._judge.own(target, condition)
        return self._namespace.copy(source, target, condition, deep=deep, overwrite=overwrite)

    def _own(self, source: str, target: str, condition: Condition) -> Condition:
        ours = self._judge.own(source, condition)
        return ours if ours is not condition else self._judge.own(target, condition)

    def change_properties(self, path: str, changes: PropertyChanges, condition: Condition) -> Deferred[None]:
        """Change the properties of a file or collection; needs `write`.

        Properties of splitd's own say what becomes of all that is in a bucket, so they need `write` for all of it.
        Those that publish, or let ACLs count, also need what publishing needs.
        """
        changed = {*changes.set, *changes.removed}
        refused = self._judge.refuse_change(
            path, condition, everywhere=any(name.startswith(f"{{{OWN}}}") for name in changed)
        )
        if refused:
            return fail(refused)
        if ACL in changed or OWNERSHIP in changed:
            return Deferred.fromCoroutine(self._publish(path, changes, condition, is_acl=ACL in changed))
        return self._namespace.change_properties(path, changes, self._judge.own(path, condition))

    async def _publish(self, path: str, changes: PropertyChanges, condition: Condition, *, is_acl: bool) -> None:
        publishing = self._publishing
        refused = await (publishing.refuse(path) if is_acl else publishing.refuse_stranger(path))
        if refused:
            raise refused
        await self._namespace.change_properties(path, changes, self._judge.own(path, condition))

    def details(self, paths: Sequence[str]) -> Deferred[list[Details]]:
        """Look up properties and locks; a path that the user may not read has none."""
        found = self._namespace.details(paths)
        if all(READ in self._grants.rights(path) for path in paths):
            return found
        return found.addCallback(
            lambda details: [
                each if READ in self._grants.rights(path) else _HIDDEN
                for path, each in zip(paths, details, strict=True)
            ]
        )

    def asked_layout(self, path: str) -> Deferred[AskedLayout]:
        """Look up the layout that a collection asks for; needs `read`."""
        refused = self._judge.refuse(path, READ)
        return fail(refused) if refused else self._namespace.asked_layout(path)

    def list_keys(
        self, collection: str, prefix: str, after: str, delimiter: str, limit: int, hidden: SetOf[str] = frozenset()
    ) -> Deferred[Listing]:
        """List a page of the keys that the user may read; needs `read` for the collection that the prefix leads to,
        unless the bucket is published.
        """
        base = join(collection, prefix[: prefix.rfind("/") + 1])
        refused = self._judge.refuse(base, READ)
        if refused:
            return Deferred.fromCoroutine(self._list_published(refused, collection, prefix, after, delimiter, limit))
        # Places on the way to there are not hidden, even if they themselves may not be read.
        hidden = hidden | self._grants.hidden_below(base)
        return self._keys.list_keys(collection, prefix, after, delimiter, limit, hidden)

    async def _list_published(
        self, refused: SplitdError, collection: str, prefix: str, after: str, delimiter: str, limit: int
    ) -> Listing:
        if not await self._publishing.is_listed(collection):
            raise refused
        hidden = self._grants.hidden_below(collection)
        return await self._keys.list_keys(collection, prefix, after, delimiter, limit, hidden)

    def find_key(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a key; None if the user may not read it, and it is not published.

        :raise LoginRequired: somebody who has not logged in has no right at all there.
        """
        return self._look_up(path, self._keys.find_key)

    def delete_key(self, path: str, condition: Condition) -> Deferred[bool]:
        """Delete one key; needs `write`."""
        refused = self._judge.refuse_change(path, condition)
        return fail(refused) if refused else self._keys.delete_key(path, self._judge.own(path, condition))

    def copy_key(self, copy: KeyCopy) -> Deferred[tuple[Manifest, bool]]:
        """Copy one key; needs `read` for the source, unless it is published, and `write` for the target.

        The tags of a source that is only published are not copied: it is refused if it has some, and the copy takes
        them.
        """
        unread = self._judge.refuse(copy.source, READ)
        refused = self._judge.refuse_condition(copy.source, copy.source_condition) or self._judge.refuse_change(
            copy.target, copy.condition
        )
        if unread or copy.labels.acl:
            return Deferred.fromCoroutine(self._copy_published(copy, unread, refused))
        return fail(refused) if refused else self._copy_own(copy)

    def _copy_own(self, copy: KeyCopy) -> Deferred[tuple[Manifest, bool]]:
        condition = self._judge.own(copy.target, copy.condition)
        return self._keys.copy_key(msgspec.structs.replace(copy, condition=condition))

    async def _copy_published(
        self, copy: KeyCopy, unread: SplitdError | None, refused: SplitdError | None
    ) -> tuple[Manifest, bool]:
        if unread:
            found = await self._keys.find_key(copy.source)
            if not await self._publishing.is_read(copy.source, found):
                raise unread
            assert isinstance(found, Manifest)
            if copy.labels.tags is None and found.media.tags:
                refused = refused or Forbidden(
                    f"{copy.source} is published, but its tags are not: copy it without them"
                )
            copy = _only_of(found, copy)
        if refused is None and copy.labels.acl:
            refused = await self._publishing.refuse(copy.target)
        if refused:
            raise refused
        return await self._copy_own(copy)

    def delete_empty(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a collection that has nothing in it; needs `write` for all that is in it."""
        refused = self._judge.refuse_change(path, condition, everywhere=True)
        return fail(refused) if refused else self._keys.delete_empty(path, self._judge.own(path, condition))


def _only_of(found: Manifest, copy: KeyCopy) -> KeyCopy:
    """Return a copy that is made only if its source still is a file that was found.  The user may read no other one.

    It takes no tags along that the source gets meanwhile.
    """
    condition, tag, labels = copy.source_condition, found.etag, copy.labels
    is_named = condition.match in {None, ("*",)} or tag in (condition.match or ())
    only = attrs.evolve(condition, match=(tag,) if is_named else ())
    if labels.tags is None:
        labels = msgspec.structs.replace(labels, tags=())
    return msgspec.structs.replace(copy, source_condition=only, labels=labels)
