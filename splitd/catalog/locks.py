"""The locks of the journalled catalog."""

from __future__ import annotations

from functools import partial

import attrs
from twisted.internet.defer import Deferred, execute, fail
from zope.interface import implementer

from splitd.catalog.changes import Changes
from splitd.catalog.judging import refuse_failed, refuse_locked_file, refuse_locked_name
from splitd.catalog.lock_records import lock_taken
from splitd.catalog.metering import Meters
from splitd.catalog.state import State
from splitd.errors import BadName, LockConflict, LockUnknown, NotACollection, TooManyLocks
from splitd.interfaces.names import ILocks
from splitd.model import records
from splitd.model.conditions import Condition
from splitd.model.locks import MOST_LOCKS, Lock
from splitd.model.manifest import Manifest
from splitd.model.paths import check_catalog_path, check_path
from splitd.model.records import Record


@implementer(ILocks)
class JournalledLocks:
    """Locks, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    :param meters: count the files that locks make.
    """

    def __init__(self, state: State, changes: Changes, meters: Meters) -> None:
        self._state = state
        self._changes = changes
        self._meters = meters

    def lock(self, requested: Lock, condition: Condition, empty: Manifest) -> Deferred[bool]:
        """Take a lock; see `ILocks.lock`."""
        path = requested.path

        def judge() -> tuple[Record, bool]:
            lock_ms = self._changes.lock_ms()
            present = self._state.tree.lookup(path)
            refuse_failed(self._state, condition, path, present, lock_ms)
            others = self._state.locks.conflicting(path, requested.scope, deep=requested.deep, now_ms=lock_ms)
            if others:
                paths = tuple(dict.fromkeys(other.path for other in others))
                raise LockConflict(f"{path}: there is a lock on {paths[0]}, which does not go with this one", paths)
            if self._state.locks.is_crowded(path, deep=requested.deep, now_ms=lock_ms):
                raise TooManyLocks(f"{path}: there are {MOST_LOCKS} locks already on it, or on something in it")
            if present is None:
                check_path(path)
                if path in condition.collections:
                    raise NotACollection(f"{path}/ does not exist, and a lock makes a file; MKCOL makes a collection")
                self._state.tree.refuse_taken(path)
                refuse_locked_name(self._state, condition, path, lock_ms)
            made = empty if present is None else None
            implies = present is None and self._state.tree.is_in_implied(path)
            return lock_taken(requested, made, implies=implies), present is None

        try:
            check_catalog_path(path)
        except BadName:
            return fail()
        claim = partial(self._meters.claim_file, path, 0, only_new=True)
        return self._changes.make(judge, path, *condition.paths(), durable=True, claim=claim)

    def refresh(self, path: str, expires_ms: int, condition: Condition) -> Deferred[list[Lock]]:
        """Set when locks expire; see `ILocks.refresh`."""
        return Deferred.fromCoroutine(self._refresh(path, expires_ms, condition))

    async def _refresh(self, path: str, expires_ms: int, condition: Condition) -> list[Lock]:
        tokens = condition.tokens()
        covering = await self._covering(path)
        named = [lock for lock in covering if lock.token in tokens and lock.obeys(condition.user)]
        if not named:
            raise LockUnknown(f"{path}: none of the locks that are named covers it")
        return [await self._refresh_one(lock, path, expires_ms, condition) for lock in named]

    def _covering(self, path: str) -> Deferred[list[Lock]]:
        """Look up the locks that cover a path, after all changes that were requested before."""

        def judge() -> tuple[None, list[Lock]]:
            return None, self._state.locks.covering(path, self._changes.lock_ms())

        return self._changes.make(judge, path, durable=False)

    def _refresh_one(self, lock: Lock, path: str, expires_ms: int, condition: Condition) -> Deferred[Lock]:
        def judge() -> tuple[Record, Lock]:
            lock_ms = self._changes.lock_ms()
            refuse_failed(self._state, condition, path, self._state.tree.lookup(path), lock_ms)
            found = self._state.locks.find(lock.token, lock_ms)
            if found is None:
                raise LockUnknown(f"{path}: the lock is no more")
            refreshed = attrs.evolve(found, taken_ms=lock_ms, expires_ms=expires_ms)
            return lock_taken(refreshed), refreshed

        return self._changes.make(judge, lock.path, path, *condition.paths(), durable=True)

    def unlock(self, path: str, token: str, condition: Condition) -> Deferred[None]:
        """Release a lock; see `ILocks.unlock`."""
        return Deferred.fromCoroutine(self._unlock(path, token, condition))

    async def _unlock(self, path: str, token: str, condition: Condition) -> None:
        def judge() -> tuple[Record, None]:
            lock_ms = self._changes.lock_ms()
            refuse_failed(self._state, condition, path, self._state.tree.lookup(path), lock_ms)
            if all(lock.token != token for lock in self._state.locks.covering(path, lock_ms)):
                raise LockUnknown(f"{path}: there is no lock {token} on it")
            return records.LockReleased(token), None

        # Changes of paths that the lock covers wait until it is released.
        roots = [lock.path for lock in await self._covering(path) if lock.token == token]
        await self._changes.make(judge, path, *roots, *condition.paths(), durable=True)

    def check(self, path: str, condition: Condition, *, changing: bool) -> Deferred[None]:
        """Check that a change would be allowed now; see `ILocks.check`."""
        return execute(self._check, path, condition, changing)

    def _check(self, path: str, condition: Condition, changing: bool) -> None:
        lock_ms = self._changes.lock_ms()
        present = self._state.tree.lookup(path)
        refuse_failed(self._state, condition, path, present, lock_ms)
        if changing:
            refuse_locked_file(self._state, condition, path, present, lock_ms)
