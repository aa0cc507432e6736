"""Moves, copies, properties, locks and keys in the database.

The changes are those of the journalled catalog; here is what they need to know of a database, and the looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as SetOf
from functools import partial
from itertools import takewhile
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime

from splitd.catalog.keys import JournalledKeys
from splitd.catalog.locks import JournalledLocks
from splitd.catalog.metering import Meters
from splitd.catalog.namespace import JournalledNamespace
from splitd.catalog.sql.branches import StoredBranch
from splitd.catalog.sql.changes import StoredChanges
from splitd.catalog.sql.kept import KeptLooks
from splitd.catalog.sql.listing import ListedBranch, ListedRows
from splitd.catalog.sql.rows import refuse_unindexed
from splitd.catalog.state import State
from splitd.errors import BadName
from splitd.interfaces.keys import MOST_LISTED, Listing
from splitd.interfaces.names import AskedLayout, Details
from splitd.model.conditions import Condition
from splitd.model.keys import Key, Page, Wanted, first_of, list_some
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.paths import check_key_path
from splitd.model.tree import Collection

_KEYS, _STATEMENTS = 250, 32
"""How many keys and common prefixes a look lists at most, and after how many statements it ends."""


class StoredNamespace(JournalledNamespace):
    """Moves, copies and properties; see `INamespace`."""

    _changes: StoredChanges

    def move(self, source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Move a file or collection; see `INamespace.move`."""
        with self._changes.manner(removes=True):
            return super().move(source, target, condition, overwrite=overwrite)

    def copy(self, source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Copy a file or a collection; see `INamespace.copy`."""
        with self._changes.manner(alone=True):
            return super().copy(source, target, condition, deep=deep, overwrite=overwrite)

    def details(self, paths: Sequence[str]) -> Deferred[list[Details]]:
        """Look up the properties and locks of some files and collections; see `INamespace.details`."""
        return self._changes.read(partial(self._details, paths), *paths)

    def asked_layout(self, path: str) -> Deferred[AskedLayout]:
        """Look up the layout that a collection asks for; see `INamespace.asked_layout`."""
        return self._changes.read(partial(self._asked_layout, path), path)


class StoredLocks(JournalledLocks):
    """Locks; see `ILocks`."""

    _changes: StoredChanges

    def lock(self, requested: Lock, condition: Condition, empty: Manifest) -> Deferred[bool]:
        """Take a lock; see `ILocks.lock`."""
        try:
            refuse_unindexed(requested.path)
        except BadName:
            return fail()
        with self._changes.manner(exclusive=True):
            return super().lock(requested, condition, empty)

    def _refresh_one(self, lock: Lock, path: str, expires_ms: int, condition: Condition) -> Deferred[Lock]:
        with self._changes.manner(exclusive=True):
            return super()._refresh_one(lock, path, expires_ms, condition)

    def check(self, path: str, condition: Condition, *, changing: bool) -> Deferred[None]:
        """Check that a change would be allowed now; see `ILocks.check`."""
        return self._changes.read(partial(self._check, path, condition, changing), path, *condition.paths())


class StoredKeys(JournalledKeys):
    """Keys; see `IKeys`."""

    _changes: StoredChanges

    def __init__(
        self,
        state: State,
        changes: StoredChanges,
        clock: IReactorTime,
        new_id: Any,
        meters: Meters,
        kept: KeptLooks,
    ) -> None:
        super().__init__(state, changes, clock, new_id, meters)
        self._kept = kept
        self._listing: set[Deferred[Listing]] = set()

    def stop(self) -> None:
        """Cancel the pages that are being made.  May be called more than once."""
        for each in list(self._listing):
            each.cancel()

    def list_keys(
        self, collection: str, prefix: str, after: str, delimiter: str, limit: int, hidden: SetOf[str] = frozenset()
    ) -> Deferred[Listing]:
        """List a page of keys; see `IKeys.list_keys`."""
        if not 0 <= limit <= MOST_LISTED:
            raise ValueError(f"a page of {limit} keys, up to {MOST_LISTED} can be listed")
        wanted = Wanted(collection, prefix, after, delimiter, limit, hidden)
        listing: Deferred[Listing] = Deferred.fromCoroutine(self._list_keys(wanted))
        self._listing.add(listing)

        def ended(result: Any) -> Any:
            self._listing.discard(listing)
            return result

        return listing.addBoth(ended)

    async def _list_keys(self, wanted: Wanted) -> Listing:
        keys, prefixes = list[Key](), list[str]()
        page, least = Page(), first_of(wanted) if wanted.limit else None
        if least is None:
            await self._changes.read(partial(self._branch, wanted.collection), wanted.collection)
        while least is not None:
            left = attrs.evolve(wanted, limit=wanted.limit - len(keys) - len(prefixes))
            look = partial(self._list_some, left, least, page.last)
            some, page, least = await self._changes.read(look, wanted.collection)
            keys += some
            prefixes += page.prefixes
        return Listing(keys, prefixes, page.next)

    def _list_some(self, wanted: Wanted, least: str, last: str) -> tuple[list[Key], Page, str | None]:
        """List some keys in one look, which all other looks wait for.

        :param least: list none before this.
        :param last: the last key or common prefix before.
        :return: the keys, what else there is of the page, and where to go on; None if the page is complete.
        """
        branch = self._branch(wanted.collection)
        assert isinstance(branch, StoredBranch)
        rows = ListedRows(self._changes.cursor, min(wanted.limit, _KEYS) + 1)
        root = ListedBranch(rows, branch.id, branch.created_ms, None, implied=branch.implied)
        page, keys = Page(last=last), list[Key]()
        turns = takewhile(lambda _: rows.statements < _STATEMENTS, range(_KEYS))
        following = list_some(wanted, root, least, page, turns)
        self._show(page, keys)
        return keys, page, following

    def find_key(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a key; see `IKeys.find_key`."""

        def find() -> Manifest | Collection | None:
            check_key_path(path)
            return self._state.find_key(path)

        def look() -> Deferred[Manifest | Collection | None]:
            return self._changes.read(find, path, plain=True)

        return self._kept.find(path, look, is_key=True)

    def delete_key(self, path: str, condition: Condition) -> Deferred[bool]:
        """Delete one key; see `IKeys.delete_key`."""
        with self._changes.manner(removes=True):
            return super().delete_key(path, condition)

    def delete_empty(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a collection that has nothing in it; see `IKeys.delete_empty`."""
        with self._changes.manner(removes=True):
            return super().delete_empty(path, condition)
