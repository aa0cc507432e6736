"""Reads of small files of which no part may be missing: all parts are asked for, and nothing is decided on the way."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.downloads.sources import Sources
from splitd.errors import FileUnavailable
from splitd.model.manifest import Manifest
from storaged.parts.decoding import decode_unit
from storaged.parts.errors import StoragedError


def is_plain(manifest: Manifest) -> bool:
    """Return whether `read_plain` can read a file: it has bytes, one stripe of them, and no parity."""
    if manifest.parity or manifest.packed_segments or "" in manifest.nodes:
        return False
    return 0 < manifest.size <= manifest.data * manifest.unit


def read_plain(manifest: Manifest, sources: Sources) -> Deferred[bytes | None]:
    """Read all bytes of a file, every unit checked.

    There is no coroutine and no race here: nothing can take the place of a part.

    :param manifest: one for which `is_plain` holds.
    :return: a Deferred that fires with the bytes; with None if a part cannot be read, for whatever reason: then
        `read_small` tells why.
    """
    reading = _Reading(manifest)
    sources.policy.asked(reading.left)
    upload, nodes, store = manifest.upload, manifest.nodes, sources.registry.store
    for index in range(reading.left):
        try:
            asked = store(nodes[index]).get_all([f"{upload}.{index}"])
        except FileUnavailable:
            reading.end(None)
            break
        asked.addCallbacks(reading.came, reading.failed, callbackArgs=(index,))
    return reading.done


class _Reading:
    """The parts of a file that have come so far.

    :ivar left: how many are still to come.
    :ivar done: fires at the end.
    """

    __slots__ = ("_identity", "_long", "_payloads", "_short", "done", "left")

    def __init__(self, manifest: Manifest) -> None:
        self._identity = bytes.fromhex(manifest.upload)
        self._short, self._long = divmod(manifest.size, manifest.data)  # the first parts have a byte more
        self.left = manifest.data if self._short else self._long
        self._payloads: list[bytes] = [b""] * self.left
        self.done: Deferred[bytes | None] = Deferred()

    def came(self, outcomes: Sequence[bytes | StoragedError], index: int) -> None:
        """Take the outcome of a part."""
        data = outcomes[0]
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

    def failed(self, _: Failure) -> None:
        """Take note that a node could not be asked."""
        self.end(None)

    def end(self, data: bytes | None) -> None:
        """End the reading; the first end counts."""
        if not self.done.called:
            self.done.callback(data)
