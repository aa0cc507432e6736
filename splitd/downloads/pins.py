"""Pins keep the parts of a version in place while a download reads them."""

from __future__ import annotations

from typing import Protocol

import attrs
from twisted.internet.defer import Deferred, succeed

from splitd.model.manifest import Manifest
from splitd.model.packing import key_of
from splitd.model.segments import Segments


@attrs.define
class _Pinned:
    """A file with segments that is pinned.

    :ivar ids: those of its segments; None until somebody asks for them.
    """

    segments: Segments
    count: int = 0
    ids: frozenset[bytes] | None = None

    def has(self, key: bytes) -> bool:
        if self.ids is None:
            self.ids = frozenset(self.segments.ids())
        return key in self.ids


class IPins(Protocol):
    """Keeps what is read in place."""

    def pin(self, manifest: Manifest) -> Deferred[None]:
        """Keep the parts of a version in place; see `Pins.pin`."""

    def unpin(self, manifest: Manifest) -> bool:
        """Release one `pin`; see `Pins.unpin`."""


class Pins:
    """The versions that downloads read now, each with the nodes where its parts must stay.

    The pin of a file with segments keeps all parts of all its segments, wherever they lie.
    """

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[str, ...]]] = {}
        self._files: dict[str, _Pinned] = {}

    def pin(self, manifest: Manifest) -> Deferred[None]:
        """Keep the parts of a version on the nodes of its manifest until `unpin`; one version may have several pins.

        :return: a Deferred that fires with None when nobody begins to delete them any more.
        """
        if manifest.packed_segments:
            pinned = self._files.setdefault(manifest.upload, _Pinned(manifest.segments))
            pinned.count += 1
        else:
            self._places.setdefault(manifest.upload, []).append(manifest.nodes)
        return succeed(None)

    def unpin(self, manifest: Manifest) -> bool:
        """Release one `pin`.

        :return: whether no other pin keeps the version on these nodes.
        """
        if manifest.packed_segments:
            return self._unpin_segments(manifest)
        places = self._places[manifest.upload]
        places.remove(manifest.nodes)
        if not places:
            del self._places[manifest.upload]
        return manifest.nodes not in places

    def _unpin_segments(self, manifest: Manifest) -> bool:
        pinned = self._files[manifest.upload]
        pinned.count -= 1
        if pinned.count:
            return False
        del self._files[manifest.upload]
        return True

    def uploads(self) -> list[str]:
        """Return the uploads of all pinned versions.  It may be called in any thread."""
        return [*list(self._places), *list(self._files)]

    def holds(self, upload: str, node: str) -> bool:
        """Whether a pin keeps a part of this version on this node."""
        if any(node in nodes for nodes in self._places.get(upload, ())):
            return True
        return bool(self._files) and any(pinned.has(key_of(upload)) for pinned in self._files.values())
