"""The locks of a store as one user sees them."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from splitd.access.grants import ADMIN, READ, WRITE, Principal
from splitd.access.judge import Judge
from splitd.errors import Forbidden
from splitd.interfaces.names import ILocks, INamespace
from splitd.model.conditions import Condition
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest


@implementer(ILocks)
class LimitedLocks:
    """The locks of a store, limited to what one user may do: their own locks, and for an admin those of others."""

    def __init__(self, locks: ILocks, namespace: INamespace, principal: Principal) -> None:
        self._locks = locks
        self._namespace = namespace
        self._judge = Judge(principal)

    def lock(self, requested: Lock, condition: Condition, empty: Manifest) -> Deferred[bool]:
        """Take a lock, which is then the user's; needs `write` for all that it covers."""
        path = requested.path
        refused = self._judge.refuse_change(path, condition, everywhere=requested.deep)
        if refused:
            return fail(refused)
        requested = attrs.evolve(requested, user=self._judge.principal.name)
        return self._locks.lock(requested, self._judge.own(path, condition), empty)

    def refresh(self, path: str, expires_ms: int, condition: Condition) -> Deferred[list[Lock]]:
        """Refresh the user's own locks; needs `write`."""
        refused = self._judge.refuse_change(path, condition)
        return fail(refused) if refused else self._locks.refresh(path, expires_ms, self._judge.own(path, condition))

    def unlock(self, path: str, token: str, condition: Condition) -> Deferred[None]:
        """Release a lock of the user's own; needs `write`.  A lock of another user needs `admin` where it was taken,
        and no `write`.

        :raise Forbidden: another user has taken it.
        """
        is_admin = ADMIN in self._judge.grants.rights(path)
        refused = (
            self._judge.refuse_condition(path, condition) if is_admin else self._judge.refuse_change(path, condition)
        )
        return fail(refused) if refused else Deferred.fromCoroutine(self._unlock(path, token, condition))

    async def _unlock(self, path: str, token: str, condition: Condition) -> None:
        # The user of a lock never changes, so this holds when the lock is released, too.
        [found] = await self._namespace.details([path])
        for lock in found.locks:
            is_strange = lock.token == token and not lock.obeys(self._judge.principal.name)
            if is_strange and ADMIN not in self._judge.grants.rights(lock.path):
                raise Forbidden(f"{path}: the lock {token} is another user's")
        await self._locks.unlock(path, token, self._judge.own(path, condition))

    def check(self, path: str, condition: Condition, *, changing: bool) -> Deferred[None]:
        """Check a condition; needs `write` if a change is intended, and `read` otherwise."""
        refused = self._judge.refuse(path, WRITE if changing else READ) or self._judge.refuse_condition(path, condition)
        return (
            fail(refused) if refused else self._locks.check(path, self._judge.own(path, condition), changing=changing)
        )
