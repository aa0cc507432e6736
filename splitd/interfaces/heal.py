"""The interface for missing parts and lost nodes.  It keeps the rules of `ICatalog` for changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.manifest import Manifest
from storaged.parts.format import PartId


@attrs.frozen
class VersionPage:
    """A page of versions.

    :param versions: the versions, each with the nodes where its parts lie now.
    :param cursor: the cursor for the next page; "" if this is the last one.
    """

    versions: Sequence[Manifest]
    cursor: str


@attrs.frozen
class HurtCounts:
    """How much is missing.

    :param versions: how many versions there are of which parts are missing, by the number of their spare parts: as many
        more may be lost before they cannot be read.  Versions with less than none cannot be read, nor be rebuilt.
    :param parts: how many parts are missing.
    :param bytes: the stored bytes of these parts.
    """

    versions: Mapping[int, int]
    parts: int
    bytes: int


class IHealLedger(Interface):
    """The parts that are missing: never stored, or lost since.  The catalog provides it.

    A version is hurt as long as a part of it is missing.  `IPartMoves` puts a part that was rebuilt in its place.
    """

    def lose(
        node: str, parts: Sequence[PartId], reason: str, *, remains: bool = True, if_spare: bool = False
    ) -> Deferred[int]:
        """Record that a node does not hold some parts, or holds wrong bytes of them.

        Those that the catalog places there are missing from now on.  Other parts are skipped.

        :param reason: why, for the journal.
        :param remains: whether bytes of these parts may be left there.  If so they are doomed, and the node can take
            the same parts again once they are deleted.
        :param if_spare: whether to skip parts of versions that have no spare part.  Such a version could not be read
            without the part, not even where its bytes are right, and it could not be rebuilt.
        :return: a Deferred that fires with how many were placed there, when the change is durable.  A file that is
            deleted at the same time may count.
        :raise CatalogReadOnly: the journal has failed; some of the losses may be recorded.
        """

    def lose_node(node: str) -> Deferred[None]:
        """Record that nothing on a node will ever be read again.  No part moves there any more.  Idempotent.

        Its parts are still placed there: `lose` them, page by page, as `placed_on` lists them.  So are those that were
        doomed there: they are `gone`.

        :return: a Deferred that fires with None when the change is durable.
        """

    def lost_nodes() -> Deferred[Sequence[str]]:
        """List the nodes of which `lose_node` was recorded."""

    def hurt(after: str, limit: int) -> Deferred[VersionPage]:
        """List versions that are hurt: those with the fewest spare parts first, and at last those that cannot be read.

        The call's cost depends on `limit` only.  A version that is hurt during all calls is listed, unless a change of
        its spare parts brings it to a place before the cursor.

        :param after: the cursor of the page before; "" for the first page.
        :param limit: how many versions at most; at least 1.
        """

    def hurt_counts() -> Deferred[HurtCounts]:
        """Count what is missing."""

    def placed_on(node: str, after: str, limit: int) -> Deferred[VersionPage]:
        """List versions with a part on a node, in the order of their uploads.

        The call looks at a bounded number of versions: a page may be empty and yet not be the last one.

        :param after: the cursor of the page before; "" for the first page.
        :param limit: how many versions at most; at least 1.
        """

    def parts_on() -> Deferred[Mapping[str, int]]:
        """Count the parts of versions that are placed on each node that has any."""
