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
    """Moves of parts from one node to another, and of parts that were missing and are rebuilt on a node.  The catalog
    provides it, and tells readers where the parts lie.

    A move touches other changes of the same upload, but no change of a name: if the last name of its version is removed
    at the same time, the move may be refused, or have no effect but that its copy is doomed.
    """

    def begin_move(copy: PartCopy) -> Deferred[None]:
        """Record that a copy of a part may lie on another node from now on.

        :return: a Deferred that fires with None when the record is written; it need not be durable.
        :raise MoveRefused: no file has a version of this upload, the upload has no such part, or the part cannot be put
            on that node now.
        """

    def commit_move(copy: PartCopy) -> Deferred[None]:
        """Make the copy the part.  The old part, if the part was not missing, is doomed.

        :return: a Deferred that fires with None when the change would survive a power cut.
        :raise MoveRefused: no file has a version of this upload, or the move is not in progress.  A move that is in
            progress stays so: abort it.
        """

    def abort_move(copy: PartCopy, reason: str) -> Deferred[None]:
        """End a move that will not be committed.  The copy is doomed.  Does nothing if the move is not in progress.

        :return: a Deferred that fires with None when the record is written; it need not be durable.
        """
