"""The seam for those who look on: what a catalog holds, in numbers."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class CatalogStatistics:
    """How much there is.

    :param bytes_stored: the bytes of all files, as their clients count them.
    :param uploads: uploads under way.
    :param doomed: uploads whose parts are to be deleted, and copies of parts that were moved.
    :param reaped: those of which all parts were deleted since the start.
    :param changes: changes under way, and those that wait for them.
    """

    files: int
    bytes_stored: int
    uploads: int
    doomed: int
    reaped: int
    changes: int


class ICatalogStatistics(Interface):
    """What a catalog holds.  The catalog provides it too.  No call's cost depends on the number of files."""

    def cluster() -> Deferred[str]:
        """Tell which cluster the catalog is of.

        :return: a Deferred that fires with the cluster's id, which it keeps for ever.
        """

    def statistics() -> Deferred[CatalogStatistics]:
        """Count what there is just now."""

    def nodes() -> Deferred[set[str]]:
        """List the nodes that parts may lie on: those of files, of uploads and moves under way, and doomed ones.

        :return: a Deferred that fires with their ids.
        """
