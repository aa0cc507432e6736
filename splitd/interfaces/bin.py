"""The interface of the catalog for the bin: what was deleted, and can be restored."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.binned import Binned
from splitd.model.conditions import Condition


class IBin(Interface):
    """Files and collections that were deleted, with all their properties, until they are restored or purged.

    Each change is one step, whatever the size of a tree, and keeps the rules of `ICatalog` for changes.  What is in the
    bin is stored like all other files, and counts for the quotas of the paths where it was.
    """

    def put(path: str, condition: Condition, user: str) -> Deferred[Binned]:
        """Delete a file, or a collection with all that is in it, so that it can be restored.

        :param user: who does it; empty for nobody in particular.
        :return: a Deferred that fires with what is in the bin now, when that would survive a power cut.
        :raise NotFound: nothing has this path.
        :raise BadName: the path is the root's, or leads to what the server has for itself.
        :raise PreconditionFailed: the condition does not hold.
        :raise Locked: a lock forbids it.
        :raise CatalogReadOnly: the catalog cannot be written.
        """

    def restore(binned: Binned, target: str) -> Deferred[None]:
        """Put something from the bin back, with the properties that it had.  Missing collections that `target` lies in
        are made.

        :param target: its new path, or that where it was.
        :return: a Deferred that fires with None when it would survive a power cut that it is there.
        :raise NotFound: it is not in the bin any more.
        :raise NameTaken: something has the path `target`, or a file has that of a collection which it would lie in.
        :raise BadName: no path in a URL leads to `target`, or something in the tree would have too long a path.
        :raise Locked: a lock forbids it.
        :raise QuotaExceeded: a quota that does not count it now allows no such thing there.
        :raise CatalogReadOnly: the catalog cannot be written.
        """

    def purge(binned: Binned) -> Deferred[bool]:
        """Delete something in the bin for good.

        :return: a Deferred that fires with whether it was there, when its end would survive a power cut.
        :raise CatalogReadOnly: the catalog cannot be written.
        """

    def find(key: str) -> Deferred[Binned | None]:
        """Look up something in the bin.

        :return: a Deferred that fires with it; None if it is not there.
        """

    def page(after: str, limit: int) -> Deferred[list[Binned]]:
        """List a page of what is in the bin, the last deletion first.

        :param after: the key of the last one of the page before; or a text of `first_key`; empty for the first page.
        :param limit: how many at most.
        :return: a Deferred that fires with them.
        """
