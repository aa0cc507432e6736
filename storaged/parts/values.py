"""The values that a part store returns.  Pure."""

from __future__ import annotations

from typing import Protocol

import attrs

LOOK_EVERY_S = 1.0
"""Seconds between two checks that a node makes of its volume; the room that it reports may be this old."""


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
    """The identity and the room of a node; sizes in bytes.

    :param node_id: the id it was given at its first start.
    :param cluster: the id of the cluster it belongs to; empty until a front has talked to it.
    :param capacity: the size of its volume.
    :param free: the bytes that may still be written to it; its own reserve is subtracted already.
    :param reserve: the room that it leaves free; 0 if it does not report it.
    :param volume: the same for nodes that share a file system; see `Volume.id`.
    """

    node_id: str
    cluster: str
    capacity: int
    free: int
    reserve: int = 0
    volume: str = ""


class NodeIdentity(Protocol):
    """The identity of a node, as its store reports it in `NodeInfo`."""

    node_id: str
    cluster: str
