"""The bin as one user sees it.  Here grants for it are judged: those of today, for the path where something was."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from splitd.access.grants import ADMIN, READ, WRITE
from splitd.access.judge import Judge
from splitd.errors import Forbidden, NotFound
from splitd.interfaces.bin import IBin
from splitd.model.binned import Binned
from splitd.model.conditions import Condition

_STEP = 200
"""Things that are looked at in one turn."""


@implementer(IBin)
class LimitedBin:
    """The bin, limited to what one user may see and do.

    They see what they have deleted, and what was where they may write, if they may read there.  `admin` there suffices,
    too.  How much is in a collection is told only to those who may see all of it.

    Besides the errors of the interface, each call raises `NotFound`, `Forbidden` or `LoginRequired` if the user may not
    do it.

    :param clock: gives others a turn while the user's own things are sought among many.
    """

    def __init__(self, bin_: IBin, judge: Judge, clock: IReactorTime) -> None:
        self._bin = bin_
        self._judge = judge
        self._clock = clock

    def sees(self, binned: Binned) -> bool:
        """Whether the user sees it."""
        rights = self._judge.grants.rights(binned.path)
        is_own = bool(binned.user) and binned.user == self._judge.principal.name
        return ADMIN in rights or (READ in rights and (is_own or WRITE in rights))

    def _sees_all(self, binned: Binned) -> bool:
        grants = self._judge.grants
        return any(grants.everywhere(binned.path, right) for right in (ADMIN, READ))

    def _shown(self, binned: Binned) -> Binned:
        """Return something as the user sees it."""
        return binned if self._sees_all(binned) else attrs.evolve(binned, bytes=0, files=0, is_size_hidden=True)

    def may_purge(self, binned: Binned) -> bool:
        """Whether the user may delete it for good: needs `write` or `admin` for all of it."""
        grants = self._judge.grants
        return any(grants.everywhere(binned.path, right) for right in (ADMIN, WRITE))

    def put(self, path: str, condition: Condition, user: str) -> Deferred[Binned]:
        """Delete something so that it can be restored; needs `write` for all that is in it."""
        assert not user
        refused = self._judge.refuse_change(path, condition, everywhere=True)
        if refused:
            return fail(refused)
        put = self._bin.put(path, self._judge.own(path, condition), self._judge.principal.name)
        return put.addCallback(self._shown)

    def restore(self, binned: Binned, target: str) -> Deferred[None]:
        """Put something back; needs `write` for all of the target, and `read` or `admin` for all of what it was."""
        return Deferred.fromCoroutine(self._restore(binned.key, target))

    async def _restore(self, key: str, target: str) -> None:
        binned = await self._known(key)
        refused = self._judge.refuse(target, WRITE, everywhere=True)
        # Elsewhere, what is hidden from the user where it was might not be.
        if not refused and not self._sees_all(binned):
            refused = self._judge.refusal(binned.path, READ, everywhere=True)
        if refused:
            raise refused
        await self._bin.restore(binned, target)

    def purge(self, binned: Binned) -> Deferred[bool]:
        """Delete something for good; needs `write` or `admin` for all of what it was."""
        return Deferred.fromCoroutine(self._purge(binned.key))

    async def _purge(self, key: str) -> bool:
        binned = await self._known(key)
        if not self.may_purge(binned):
            raise Forbidden(f"{binned.path}: {self._judge.principal.name} has no write grant for it and all in it")
        return await self._bin.purge(binned)

    async def _known(self, key: str) -> Binned:
        """Return something as the catalog knows it.

        :raise NotFound: the user sees no such thing.
        """
        found = await self._bin.find(key)
        if found is None or not self.sees(found):
            raise NotFound(f"{key[:60]} is not in the bin")
        return found

    def find(self, key: str) -> Deferred[Binned | None]:
        """Look up something that the user sees; see `IBin.find`."""

        def limited(found: Binned | None) -> Binned | None:
            return None if found is None or not self.sees(found) else self._shown(found)

        return self._bin.find(key).addCallback(limited)

    def page(self, after: str, limit: int) -> Deferred[list[Binned]]:
        """List a page of what the user sees; see `IBin.page`."""
        return Deferred.fromCoroutine(self._page(after, limit))

    async def _page(self, after: str, limit: int) -> list[Binned]:
        found, step = list[Binned](), max(limit, _STEP)
        while True:
            page = await self._bin.page(after, step)
            found += map(self._shown, filter(self.sees, page))
            if len(page) < step or len(found) >= limit:
                return found[:limit]
            after = page[-1].key
            await deferLater(self._clock, 0)  # a bin of others may be large
