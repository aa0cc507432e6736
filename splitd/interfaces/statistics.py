"""The interface for the numbers of a catalog: its files, uploads and changes."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class CatalogStatistics:
    """The present numbers of a catalog.

    :param bytes_stored: the bytes of all files, as their clients count them.
    :param uploads: how many uploads are under way.
    :param doomed: how many uploads, and copies of moved parts, have parts to delete.
    :param reaped: how many of these have had their last part deleted since the start.
    :param changes: how many changes are in progress or wait.
    :param widest: no file has more parts than this, and no collection asks for more.  It may be larger than needed.
    :param continued: how many uploads can be continued.
    :param continued_bytes: the bytes of their segments.
    :param documents: how many small documents there are, those that have expired and are not dropped yet as well.
    """

    files: int
    bytes_stored: int
    uploads: int
    doomed: int
    reaped: int
    changes: int
    widest: int = 0
    continued: int = 0
    continued_bytes: int = 0
    documents: int = 0


class ICatalogStatistics(Interface):
    """The numbers of a catalog.  The catalog provides it.  No call's cost depends on the number of files."""

    def cluster() -> Deferred[str]:
        """Look up the id of the catalog's cluster.

        :return: a Deferred that fires with the id, which never changes.
        """

    def statistics() -> Deferred[CatalogStatistics]:
        """Count the entries of the catalog.

        :return: a Deferred that fires with the present numbers.
        """

    def nodes() -> Deferred[set[str]]:
        """List the nodes that parts may lie on: of files, of uploads and moves in progress, and of doomed parts.

        :return: a Deferred that fires with their ids.
        """
