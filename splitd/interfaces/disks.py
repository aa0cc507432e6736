"""The interface for the disks of nodes.  It keeps the rules of `ICatalog` for changes."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IDisks(Interface):
    """Which disk each node had when its parts were last looked for.  The catalog provides it."""

    def checked_disks() -> Deferred[Mapping[str, str]]:
        """Return the disk of each node on which all its parts were last looked for, by the nodes' ids."""

    def disk_checked(node: str, disk: str) -> Deferred[None]:
        """Record that all parts that lie on a node were looked for on this disk, and those that were not there are
        recorded as lost.  Idempotent.

        :return: a Deferred that fires with None when the change is durable.
        :raise CatalogReadOnly: the journal has failed.
        """
