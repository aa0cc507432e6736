"""The interface of the leases of the fronts that share a catalog.  The catalog provides it as `leases`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

UPKEEP = "upkeep"
"""The task of the front that deletes parts, heals, and does all other work that begins by itself."""


class ILeases(Interface):
    """Leases: of all fronts that share the catalog, at most one has that of a task at any time."""

    def hold(task: str) -> Deferred[bool]:
        """Acquire the lease of a task, or make sure that this front still has it.  It is renewed until `release`.

        A front that has died loses its leases: others can acquire them within half a minute.

        :param task: what the front is about to do, alone.
        :return: a Deferred that fires with whether this front, and no other one, has the lease for the next seconds.
            Cancelling it only ends the wait: the lease may have been acquired.
        :raise CatalogAway: the catalog does not answer.
        """

    def release(task: str) -> Deferred[None]:
        """Release the lease of a task, so that others can acquire it at once; that of `UPKEEP` is kept until the end.

        :return: a Deferred that fires with None when it is released, or the catalog does not answer: then the lease
            expires by itself.
        """
