"""The interfaces of the upkeep, which uploads, downloads and changes of names use."""

from __future__ import annotations

from zope.interface import Interface

from splitd.model.manifest import Manifest


class IReaper(Interface):
    """Deletes doomed parts."""

    def wake() -> None:
        """Look for doomed parts soon, and delete them.  This returns at once, without waiting for any node."""


class IFindings(Interface):
    """Takes reports of parts that are missing or damaged on the node that should hold them, and has them rebuilt."""

    def found(manifest: Manifest, index: int, problem: str) -> None:
        """Report a part that its node does not hold, or of which it holds wrong bytes.  A node that cannot be reached
        is no reason.

        This returns at once.  The node is asked once more before anything is done; a report may come many times.

        :param manifest: the version, with the nodes from which the part was read.
        :param index: the index of the part.
        :param problem: what was found, for the log.
        """
