"""The seam of the registry: which nodes there are, and which take the parts of a file."""

from __future__ import annotations

from collections.abc import Collection as SetOf

from twisted.internet.defer import Deferred
from zope.interface import Interface

from storaged.parts.interfaces import INodeStore


class INodeRegistry(Interface):
    """The nodes there are, and which of them shall take the parts of the next file."""

    def node_ids() -> list[str]:
        """The ids of all registered nodes, usable or not."""

    def store(node_id: str) -> INodeStore:
        """The part store of a node.  It reports to the registry itself when the node fails.

        :raise FileUnavailable: no node of this id is registered.
        """

    def place(count: int, stored_size: int, avoid: SetOf[str], *, is_guess: bool = False) -> list[str]:
        """Choose distinct nodes for the parts of a file, and reserve room there.

        :param count: how many.
        :param stored_size: the bytes each part will take.
        :param avoid: the ids of nodes not to choose.
        :param is_guess: whether that is not known: so much is kept free on each node until `release`.  What is known
            is told to the node, which counts it from then on.
        :return: their ids.
        :raise NotEnoughSpace: fewer nodes have room.
        :raise NotEnoughNodes: fewer nodes can be used.
        """

    def release(node_id: str, stored_size: int) -> None:
        """Keep room free no more for a part whose size was not known: it is stored, or given up."""

    def check_room(count: int, stored_size: int) -> None:
        """Make sure that `place` would find nodes now; it raises what that would.  Nothing is reserved."""

    def refresh() -> Deferred[None]:
        """Ask the nodes what room they have, unless that was just done: what is known of it may be some seconds old.

        :return: a Deferred that fires with None when each node has answered or failed, and after some seconds at the
            latest, for a silent node must not delay those who wait.  It does not fail.
        """
