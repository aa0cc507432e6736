"""The bin in the database: the changes are those of the journalled catalog."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred

from splitd.catalog.binning import JournalledBin
from splitd.catalog.sql.changes import StoredChanges
from splitd.model.binned import BIN, Binned
from splitd.model.conditions import Condition


class StoredBin(JournalledBin):
    """The bin; see `IBin`."""

    _changes: StoredChanges

    def put(self, path: str, condition: Condition, user: str) -> Deferred[Binned]:
        """Delete something so that it can be restored; see `IBin.put`."""
        with self._changes.manner(removes=True):
            return super().put(path, condition, user)

    def restore(self, binned: Binned, target: str) -> Deferred[None]:
        """Put something from the bin back; see `IBin.restore`."""
        with self._changes.manner(removes=True):
            return super().restore(binned, target)

    def purge(self, binned: Binned) -> Deferred[bool]:
        """Delete something in the bin for good; see `IBin.purge`."""
        with self._changes.manner(removes=True):
            return super().purge(binned)

    def find(self, key: str) -> Deferred[Binned | None]:
        """Look up something in the bin; see `IBin.find`."""
        return self._changes.read(partial(self._find, key), BIN)

    def page(self, after: str, limit: int) -> Deferred[list[Binned]]:
        """List a page of what is in the bin; see `IBin.page`."""
        return self._changes.read(partial(self._page, after, limit), BIN)
