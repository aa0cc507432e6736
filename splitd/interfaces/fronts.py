"""The interface for the fronts that share a catalog.  The catalog provides it as `fronts`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.fronts import SeenFront


class IFronts(Interface):
    """The fronts that share a catalog."""

    def seen() -> Deferred[list[SeenFront]]:
        """List the fronts, the one that has run longest first.

        :return: a Deferred that fires with those that run, and those that have gone without stopping in the last ten
            minutes; with an empty list if the catalog belongs to one front.
        """
