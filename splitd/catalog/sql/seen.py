"""The fronts that share a database, for operators."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.catalog.sql.changes import StoredChanges
from splitd.catalog.sql.front_rows import read_fronts
from splitd.interfaces.fronts import IFronts
from splitd.model.fronts import SeenFront


@implementer(IFronts)
class StoredFronts:
    """The fronts that share a database.

    :param front: the id of the front that asks.
    """

    def __init__(self, changes: StoredChanges, front: str) -> None:
        self._changes = changes
        self._front = front

    def seen(self) -> Deferred[list[SeenFront]]:
        """List the fronts; see `IFronts.seen`.

        :raise CatalogAway: the database does not answer.
        """
        return self._changes.read(lambda: read_fronts(self._changes.cursor, self._front))
