"""How much the nodes can take still.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from splitd.model.striping import Layout


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
