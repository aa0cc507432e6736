"""The interface of the registry, which knows the nodes and chooses those that take the parts of a file."""

from __future__ import annotations

from collections.abc import Collection as SetOf

from twisted.internet.defer import Deferred
from zope.interface import Interface

from storaged.parts.interfaces import INodeStore


class INodeRegistry(Interface):
    """The registered nodes, and the choice of those that take the parts of the next file."""

    def node_ids() -> list[str]:
        """Return the ids of all registered nodes, usable or not."""

    def store(node_id: str) -> INodeStore:
        """Return the part store of a node.  The store reports to the registry when the node fails.

        :raise FileUnavailable: no node of this id is registered.
        """

    def is_usable(node_id: str) -> bool:
        """Whether a node is registered and seems to be well; nothing is asked."""

    def place(count: int, stored_size: int, avoid: SetOf[str], *, is_guess: bool = False) -> list[str]:
        """Choose distinct nodes for the parts of a file, and reserve room there.

        :param count: how many nodes.
        :param stored_size: the bytes that each part will take.
        :param avoid: the ids of nodes not to choose.
        :param is_guess: whether `stored_size` is only a guess.  If so, that room stays reserved on each node until
            `release`.  If not, the node is told the size with the part, and counts it from then on.
        :return: the ids of the nodes.
        :raise NotEnoughSpace: fewer than `count` nodes have room.
        :raise NotEnoughNodes: fewer than `count` nodes can be used.
        """

    def release(node_id: str, stored_size: int) -> None:
        """Release the room that was reserved for a part of unknown size, after it was stored or aborted."""

    def check_room(count: int, stored_size: int) -> None:
        """Check that `place` would find nodes now, and raise what `place` would raise.  Nothing is reserved."""

    def refresh() -> Deferred[None]:
        """Ask the nodes for their room, unless they were asked just before: the known numbers may be some seconds old.

        :return: a Deferred that fires with None when each node has answered or failed, and after some seconds at the
            latest, because a node that does not answer must not delay the caller for longer.  It does not fail.
        """
