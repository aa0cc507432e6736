"""The interfaces for doomed parts and for moves of parts.  They keep the rules of `ICatalog` for changes."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.holdings import PartCopy
from storaged.parts.format import PartId


@attrs.frozen
class DoomedPage:
    """A page of the doomed parts of one node.

    :param parts: the parts; those that became doomed first come first.
    :param cursor: the cursor for the next page; "" if this is the last one.
    """

    parts: Sequence[PartId]
    cursor: str


class IDoomedParts(Interface):
    """The doomed parts of each node: those of aborted uploads, of versions that have no name any more, and copies that
    moves left behind.  The catalog provides it.

    A part is doomed until `gone` has recorded its deletion.  Until then no move puts the same part on that node again;
    afterwards a move may.  So a deletion that was requested before `gone` must not arrive after it, and only one caller
    at a time may delete parts on a node.
    """

    def doomed_nodes() -> Deferred[dict[str, int]]:
        """Count the doomed parts on each node that holds any.

        This waits until all parts that became doomed before the call are in the queues.  After the deletion of a large
        tree that takes some seconds.

        :return: a Deferred that fires with the counts, by the nodes' ids in ascending order.
        """

    def doomed_on(node: str, after: str, limit: int) -> Deferred[DoomedPage]:
        """List doomed parts of one node.  The call's cost depends on `limit`, not on the number of doomed parts.

        Parts that become doomed after the call come after all others.

        :param after: the cursor of the page before; "" for the first page.  A cursor is valid until a restart.
        :param limit: how many parts at most; at least 1.
        """

    def gone(node: str, parts: Sequence[PartId]) -> Deferred[None]:
        """Record that parts are deleted from a node.  Idempotent: parts that are not doomed there are skipped.

        :return: a Deferred that fires with None when the change is durable.  If it is cancelled, the deletions may be
            recorded or not.
        :raise CatalogReadOnly: the journal has failed; some of the deletions may be recorded.
        """


class IPartMoves(Interface):
    """Moves of parts from one node to another.  The catalog provides it, and tells readers where the parts lie."""

    def begin_move(path: str, copy: PartCopy) -> Deferred[None]:
        """Record that a copy of a part may lie on another node from now on.

        :param path: a file that the part belongs to.
        :return: a Deferred that fires with None when the record is written; it need not be durable.
        :raise MoveRefused: the path has a different version or none, or the part cannot be copied to that node now.
        """

    def commit_move(path: str, copy: PartCopy) -> Deferred[None]:
        """Make the copy the part.  The old part is doomed.

        :return: a Deferred that fires with None when the change would survive a power cut.
        :raise MoveRefused: the path has a different version or none.  The move is still in progress: abort it.
        """

    def abort_move(copy: PartCopy, reason: str) -> Deferred[None]:
        """End a move that will not be committed.  The copy is doomed.  Does nothing if the move is not in progress.

        :return: a Deferred that fires with None when the record is written; it need not be durable.
        """
