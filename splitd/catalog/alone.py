"""What a catalog that belongs to one front says of other fronts."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from splitd.interfaces.fronts import IFronts
from splitd.model.fronts import SeenFront


@implementer(IFronts)
class Alone:
    """The front has the catalog alone."""

    def seen(self) -> Deferred[list[SeenFront]]:
        """List no front; see `IFronts.seen`."""
        return succeed([])
