"""The interfaces of the registry, which knows the nodes and chooses those that take the parts of a file, and of the
policy that says which nodes to read from.
"""

from __future__ import annotations

from collections.abc import Collection as SetOf
from enum import Enum

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from storaged.parts.interfaces import INodeStore


class INodeRegistry(Interface):
    """The registered nodes, and the choice of those that take the parts of the next file."""

    def node_ids() -> list[str]:
        """Return the ids of the registered nodes, usable or not, except those that were declared lost."""

    def store(node_id: str) -> INodeStore:
        """Return the part store of a node.  The store reports to the registry when the node fails.

        :raise FileUnavailable: no node of this id is registered.
        """

    def is_usable(node_id: str) -> bool:
        """Whether a node is registered and seems to be well; nothing is asked."""

    def failed(node_id: str, reason: str) -> None:
        """Note that a node failed when it was used: it is not chosen again until it has cooled off."""

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


class Wait(Enum):
    """What a reader waits for: the first unit of a stream, a later unit, or a small part, which comes whole."""

    FIRST_UNIT = "first unit"
    NEXT_UNIT = "next unit"
    SMALL_PART = "small part"


WELL, SLOW, SILENT, AWAY = range(4)
"""The ranks of nodes: nothing is known against it; it is slow, or being filled; it was silent; it seems to be away."""


class IReadPolicy(Interface):
    """From which nodes parts are read first, and how long a reader waits for a node before it asks others in its place.

    Readers report what they observe.  Nothing here affects which nodes take new parts.
    """

    silent_after_s = Attribute("A node that sends nothing for this time, in seconds, is silent: a float.")

    def rank(node_id: str) -> int:
        """Return when to ask a node: `WELL` first, then `SLOW`, `SILENT` and `AWAY`, which are in ascending order."""

    def late_after_s(wait: Wait) -> float:
        """Return after how many seconds an answer is late, judging by recent ones; infinite while that is unknown."""

    def took(wait: Wait, node_id: str, seconds: float) -> None:
        """Note how long a node took to answer, or how long a reader waited before it abandoned the request."""

    def silent(node_id: str) -> None:
        """Note that a node has sent nothing for `silent_after_s`: it is asked last for some time."""

    def asked(requests: float) -> None:
        """Count requests that a read needs anyway."""

    def may_hedge(requests: int) -> bool:
        """Return whether further requests may be sent because a node is late, and count them if so."""

    def fill(node_id: str, *, is_filled: bool) -> None:
        """Note that a node is being filled with rebuilt parts, or that this has ended.  It is asked last until that has
        ended as often as it began.
        """
