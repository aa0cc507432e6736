"""The seam of upkeep: what uploads and changes of names ask of the reaper."""

from __future__ import annotations

from zope.interface import Interface


class IReaper(Interface):
    """Deletes the parts that nobody needs any more."""

    def wake() -> None:
        """Look for doomed parts soon, and delete them.  It returns at once: no node is waited for."""
