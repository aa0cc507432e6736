"""The values that a part store returns.  Pure."""

from __future__ import annotations

from typing import Protocol

import attrs
import msgspec

LOOK_EVERY_S = 1.0
"""Seconds between two checks that a node makes of its volume; the room that it reports may be this old."""


class PartInfo(msgspec.Struct, frozen=True, gc=False):
    """A part that is whole and durable.

    :param part_id: its id, in the text form of `storaged.parts.format.PartId`.
    :param stored_size: the bytes it takes, header to footer.
    :param modified_ms: when it was stored, milliseconds since 1970.
    """

    part_id: str
    stored_size: int
    modified_ms: int


@attrs.frozen
class PartLook:
    """A part whose header is good, and fits its size.

    :param part_id: its id.
    :param stored_size: the bytes it takes, header to footer.
    :param unit: payload bytes of a full unit, as its header says.
    """

    part_id: str
    stored_size: int
    unit: int


@attrs.frozen
class RottenPart:
    """A part whose stored bytes are not those that were written, or cannot be read from the disk.

    :param part_id: its id.
    :param reason: what is wrong with it.
    :param found_ms: when that was found first, milliseconds since 1970.
    """

    part_id: str
    reason: str
    found_ms: int


@attrs.frozen
class Scrub:
    """How far a node has scrubbed its parts: it reads all of them, and checks every byte, again and again.

    :param rotten: how many parts are known to be rotten.
    :param scrubbed_bytes: the bytes that were read for it since the node's start.
    :param share: the share of the present pass that is done, 0 to 1.
    :param ended_ms: when the last whole pass ended, milliseconds since 1970; 0 if none has.
    :param paused: whether nothing is read for it until it is resumed, or the node is restarted.
    """

    rotten: int = 0
    scrubbed_bytes: int = 0
    share: float = 0.0
    ended_ms: int = 0
    paused: bool = False


@attrs.frozen
class NodeInfo:
    """The identity and the room of a node; sizes in bytes.

    :param node_id: the id it was given at its first start.
    :param cluster: the id of the cluster it belongs to; empty until a front has talked to it.
    :param capacity: the size of its volume.
    :param free: the bytes that may still be written to it; its own reserve is subtracted already.
    :param reserve: the room that it leaves free; 0 if it does not report it.
    :param volume: the same for nodes that share a file system; see `Volume.id`.
    :param scrub: how far it has scrubbed its parts.
    :param disk: the id of its disk, which it makes at its first start in an empty folder; empty if it reports none.
    """

    node_id: str
    cluster: str
    capacity: int
    free: int
    reserve: int = 0
    volume: str = ""
    scrub: Scrub = Scrub()
    disk: str = ""


class NodeIdentity(Protocol):
    """The identity of a node, as its store reports it in `NodeInfo`."""

    node_id: str
    cluster: str
    disk: str
