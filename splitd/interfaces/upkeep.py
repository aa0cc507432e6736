"""The seam of upkeep: what uploads and changes of names ask of the reaper."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.interfaces.catalog import Doomed


class IReaper(Interface):
    """Deletes the parts that nobody needs any more."""

    def wake() -> None:
        """Begin a round now, or after the one under way."""

    def reap(doomed: Doomed) -> Deferred[None]:
        """Delete doomed parts now.

        :return: a Deferred that fires with None when every node was asked; it does not fail.
        """
