"""The interface of the reaper, which uploads and changes of names use."""

from __future__ import annotations

from zope.interface import Interface


class IReaper(Interface):
    """Deletes doomed parts."""

    def wake() -> None:
        """Look for doomed parts soon, and delete them.  This returns at once, without waiting for any node."""
