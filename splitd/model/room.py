"""The room that is left on the nodes, and the reasons why a node has none.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from splitd.model.quotas import QuotaUse
from splitd.model.striping import Layout
from storaged.system.sizes import format_size


@attrs.frozen
class Room:
    """How full the store is (RFC 4331), in bytes of files.

    :param used: the size of all files.
    :param available: about how many bytes of files still fit, with the layout that they would be stored with.
    :param quotas: how much of each quota is used.
    """

    used: int
    available: int
    quotas: Sequence[QuotaUse] = ()

    def at(self, path: str) -> Room:
        """Return how full a place is: by the quota that counts it and has least left, if there is one."""
        if not self.quotas:
            return self
        covering = [use for use in self.quotas if use.quota.covers(path)]
        if not covering:
            return self
        least = min(covering, key=lambda use: self.available if use.available is None else use.available)
        left = self.available if least.available is None else min(self.available, least.available)
        return Room(least.bytes, left, self.quotas)


def why_full(capacity: int, free: int, reserve: int) -> str:
    """Say why a node takes no parts; empty if it has room.

    :param capacity: the bytes of its volume.
    :param free: the bytes that may still be written to it, without its reserve.
    :param reserve: the bytes that it keeps free; 0 if it does not report them.
    """
    if free > 0:
        return ""
    if capacity and capacity <= reserve:
        return f"its disk of {format_size(capacity)} is not larger than its reserve of {format_size(reserve)}"
    if reserve:
        return f"nothing is free above its reserve of {format_size(reserve)}"
    return "nothing is free above its reserve"


def divide_shared(rooms: Sequence[tuple[str, int]]) -> list[int]:
    """Return the bytes free on each node; nodes whose volumes are one file system share its room equally.

    :param rooms: of each node, the id of its volume, empty if unknown, and the bytes free on it.
    """
    sharers = Counter(volume for volume, _ in rooms)
    return [free // sharers[volume] if volume else free for volume, free in rooms]


def room_for_files(free: Sequence[int], layout: Layout) -> int:
    """Estimate how many bytes of files still fit, without counting the bytes that checksums take.

    The parts of a file lie on distinct nodes, so a node that is larger than all others cannot be filled.

    :param free: the bytes free on each node.
    """
    rooms = sorted((max(each, 0) for each in free), reverse=True)
    if len(rooms) < layout.width:
        return 0
    # A node that has more room than its share of the whole takes one part of each file; the others share the rest.
    share = 0
    for larger in range(layout.width):
        share = sum(rooms[larger:]) // (layout.width - larger)
        if rooms[larger] <= share:
            break
    return share * layout.data
