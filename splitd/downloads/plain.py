"""Reads of small files of which no part may be missing: all parts are asked for, and nothing is decided on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.downloads.sources import Sources
from splitd.errors import FileUnavailable
from splitd.model.manifest import Manifest
from storaged.parts.decoding import decode_unit
from storaged.parts.errors import StoragedError
from storaged.parts.messages import MAX_GET

_Part: TypeAlias = "tuple[_Reading, int]"
"""A part of a file that is being read, by its index."""


def is_plain(manifest: Manifest) -> bool:
    """Return whether `PlainReads` can read a file: it has bytes, one stripe of them, and no parity."""
    if manifest.parity or manifest.packed_segments or "" in manifest.nodes:
        return False
    return 0 < manifest.size <= manifest.data * manifest.unit


class PlainReads:
    """Reads files without a coroutine and a race for each: nothing can take the place of a part.

    The parts of all files that are asked for in one turn of the reactor are asked for together, so that what a request
    to a node costs is shared by many files.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._waiting: list[_Reading] = []

    def read(self, manifest: Manifest) -> Deferred[bytes | None]:
        """Read all bytes of a file, every unit checked.

        :param manifest: one for which `is_plain` holds.
        :return: a Deferred that fires with the bytes; with None if a part cannot be read, for whatever reason: then
            `read_small` tells why.
        """
        reading = _Reading(manifest)
        if not self._waiting:
            self._sources.clock.callLater(0, self._ask_all)
        self._waiting.append(reading)
        return reading.done

    def _ask_all(self) -> None:
        readings, self._waiting = self._waiting, []
        asked: dict[str, list[_Part]] = {}
        for reading in readings:
            self._sources.policy.asked(reading.left)
            for index, node in enumerate(reading.nodes[: reading.left]):
                asked.setdefault(node, []).append((reading, index))
        for node, parts in asked.items():
            for start in range(0, len(parts), MAX_GET):
                self._ask(node, parts[start : start + MAX_GET])

    def _ask(self, node: str, parts: Sequence[_Part]) -> None:
        part_ids = [f"{reading.upload}.{index}" for reading, index in parts]
        try:
            asked = self._sources.registry.store(node).get_all(part_ids)
        except FileUnavailable:
            _end_all(None, parts)
        else:
            asked.addCallbacks(_take_all, _end_all, callbackArgs=(parts,), errbackArgs=(parts,))


def _take_all(outcomes: Sequence[bytes | StoragedError], parts: Sequence[_Part]) -> None:
    for (reading, index), outcome in zip(parts, outcomes, strict=True):
        reading.came(outcome, index)


def _end_all(_: Failure | None, parts: Sequence[_Part]) -> None:
    """Take note that a node could not be asked."""
    for reading, _index in parts:
        reading.end(None)


class _Reading:
    """The parts of a file that have come so far.

    :ivar nodes: where its parts lie, by their index.
    :ivar left: how many are still to come.
    :ivar done: fires at the end.
    """

    __slots__ = ("_identity", "_long", "_payloads", "_short", "done", "left", "nodes", "upload")

    def __init__(self, manifest: Manifest) -> None:
        self.upload, self.nodes = manifest.upload, manifest.nodes
        self._identity = bytes.fromhex(manifest.upload)
        self._short, self._long = divmod(manifest.size, manifest.data)  # the first parts have a byte more
        self.left = manifest.data if self._short else self._long
        self._payloads: list[bytes] = [b""] * self.left
        self.done: Deferred[bytes | None] = Deferred()

    def came(self, data: bytes | StoragedError, index: int) -> None:
        """Take the outcome of a part."""
        if isinstance(data, StoragedError):
            self.end(None)
            return
        payload = decode_unit(self._identity, index, self._short + (index < self._long), data)
        if payload is None:
            self.end(None)
            return
        self._payloads[index] = payload
        self.left -= 1
        if not self.left:
            self.end(b"".join(self._payloads))

    def end(self, data: bytes | None) -> None:
        """End the reading; the first end counts."""
        if not self.done.called:
            self.done.callback(data)
