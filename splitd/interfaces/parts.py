"""The seams for parts that are to be deleted, and parts that move.  What `ICatalog` says of changes holds here."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.holdings import PartCopy
from storaged.parts.format import PartId


@attrs.frozen
class DoomedPage:
    """Some of the parts that are to be deleted on one node.

    :param parts: the longest doomed first.
    :param cursor: where the next page begins; "" where this is the last one.
    """

    parts: Sequence[PartId]
    cursor: str


class IDoomedParts(Interface):
    """The parts that are to be deleted, by node: those of aborted uploads, of versions that have no name any more, and
    copies that a move left behind.  The catalog provides it too.

    A part is doomed until `gone` has recorded it, and stays where it is until then: no move puts a part of the same
    name on that node.  Afterwards one may, so deletions that were requested before `gone` must not arrive after it:
    only one caller at a time may delete parts on a node.
    """

    def doomed_nodes() -> Deferred[dict[str, int]]:
        """Count the doomed parts on each node that holds any.

        It waits until all parts are in the queue that became doomed before the call: after a large tree was deleted,
        that takes some seconds.

        :return: a Deferred that fires with the counts, by the nodes' ids in ascending order.
        """

    def doomed_on(node: str, after: str, limit: int) -> Deferred[DoomedPage]:
        """List doomed parts of one node.  The call's cost depends on `limit`, not on the number of doomed parts.

        Parts that become doomed after the call have their place after all that were doomed before.

        :param after: the cursor of the page before; "" for the first page.  A cursor is good until a restart.
        :param limit: how many parts at most; at least 1.
        """

    def gone(node: str, parts: Sequence[PartId]) -> Deferred[None]:
        """Record that parts are gone from a node.  Idempotent: parts that are not doomed there are skipped.

        Cancelling it takes nothing back: the parts may be recorded or not.

        :return: a Deferred that fires when the change is durable.
        :raise CatalogReadOnly: the journal has failed; some of the parts may be recorded.
        """


class IPartMoves(Interface):
    """Parts that go from one node to another.  The catalog provides it too: readers ask it where the parts lie."""

    def begin_move(path: str, copy: PartCopy) -> Deferred[None]:
        """Note that a copy of a part of a file may lie on another node from now on.

        Written, not synced, when it fires.

        :raise MoveRefused: the file is not of this upload any more, or its part cannot be copied to that node now.
        """

    def commit_move(path: str, copy: PartCopy) -> Deferred[None]:
        """Let the copy take the place of the part.  Where the part lay, it is doomed.

        :return: a Deferred that fires when the change would survive a power cut.
        :raise MoveRefused: the file is not of this upload any more.  The move is still under way: abort it.
        """

    def abort_move(copy: PartCopy, reason: str) -> Deferred[None]:
        """End a move that will not be committed.  The copy is doomed.  Written, not synced, when it fires."""
