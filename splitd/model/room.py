"""How much the nodes can take still, and why one takes nothing.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from splitd.model.striping import Layout
from storaged.system.sizes import format_size


def why_full(capacity: int, free: int, reserve: int) -> str:
    """The reason why a node takes no parts; empty where it has room.

    :param capacity: bytes of its volume.
    :param free: the bytes that may still be written to it, without its reserve.
    :param reserve: the bytes that it leaves free; 0 where it does not say.
    """
    if free > 0:
        return ""
    if capacity and capacity <= reserve:
        return f"its disk of {format_size(capacity)} is not larger than its reserve of {format_size(reserve)}"
    if reserve:
        return f"nothing is free above its reserve of {format_size(reserve)}"
    return "nothing is free above its reserve"


def divide_shared(rooms: Sequence[tuple[str, int]]) -> list[int]:
    """The bytes free on each node, when nodes whose volumes are one file system share its room equally.

    :param rooms: of each node, the id of its volume, empty where it is not known, and the bytes free on it.
    """
    sharers = Counter(volume for volume, _ in rooms)
    return [free // sharers[volume] if volume else free for volume, free in rooms]


def room_for_files(free: Sequence[int], layout: Layout) -> int:
    """The bytes of files that still fit, about: what checksums take is left out.

    The parts of a file lie on distinct nodes, so a node that is larger than all others cannot be filled.

    :param free: the bytes free on each node.
    """
    rooms = sorted((max(each, 0) for each in free), reverse=True)
    if len(rooms) < layout.width:
        return 0
    # A node that has more than its share of the whole gives one part of each file, and the others share the rest.
    share = 0
    for larger in range(layout.width):
        share = sum(rooms[larger:]) // (layout.width - larger)
        if rooms[larger] <= share:
            break
    return share * layout.data
