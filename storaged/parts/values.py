"""The values that a part store tells.  Pure."""

from __future__ import annotations

from typing import Protocol

import attrs

LOOK_EVERY_S = 1.0
"""A node looks at its volume at most this often: what it says of its room may be so old."""


@attrs.frozen
class PartInfo:
    """A part that is whole and durable.

    :param part_id: its id, in the text form of `storaged.parts.format.PartId`.
    :param stored_size: the bytes it takes, header to footer.
    :param modified_ms: when it was stored, milliseconds since 1970.
    """

    part_id: str
    stored_size: int
    modified_ms: int


@attrs.frozen
class NodeInfo:
    """Who a node is and what room it has; sizes in bytes.

    :param node_id: the id it was given at its first start.
    :param cluster: the id of the cluster it belongs to; empty until a front has talked to it.
    :param capacity: the size of its volume.
    :param free: what may still be written to it; its own reserve is taken off already.
    :param reserve: the room that it leaves free; 0 where it does not say.
    :param volume: tells nodes apart whose volumes are not one file system; see `Volume.id`.
    """

    node_id: str
    cluster: str
    capacity: int
    free: int
    reserve: int = 0
    volume: str = ""


class NodeIdentity(Protocol):
    """Who a node is: what its store says of it in `NodeInfo`."""

    node_id: str
    cluster: str
