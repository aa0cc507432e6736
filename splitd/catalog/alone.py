"""What a catalog that belongs to one front says of other fronts, and of leases."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from splitd.interfaces.fronts import IFronts
from splitd.interfaces.leases import ILeases
from splitd.model.fronts import SeenFront


@implementer(IFronts, ILeases)
class Alone:
    """The front has the catalog alone."""

    def seen(self) -> Deferred[list[SeenFront]]:
        """List no front; see `IFronts.seen`."""
        return succeed([])

    def hold(self, task: str) -> Deferred[bool]:  # noqa: ARG002 - the interface's
        """Have the lease; see `ILeases.hold`."""
        return succeed(True)

    def release(self, task: str) -> Deferred[None]:  # noqa: ARG002
        """Do nothing: nobody else wants it."""
        return succeed(None)
