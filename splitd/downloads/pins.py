"""Versions that are being read: their parts must stay where they are."""

from __future__ import annotations

from splitd.model.manifest import Manifest


class Pins:
    """Versions that are being read, and where: their parts must stay there."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[str, ...]]] = {}

    def pin(self, manifest: Manifest) -> None:
        """Keep the parts of a version where its manifest says they are; may be called several times."""
        self._places.setdefault(manifest.upload, []).append(manifest.nodes)

    def unpin(self, manifest: Manifest) -> bool:
        """Undo one `pin`; whether nobody else reads the version there."""
        places = self._places[manifest.upload]
        places.remove(manifest.nodes)
        if not places:
            del self._places[manifest.upload]
        return manifest.nodes not in places

    def holds(self, upload: str, node: str) -> bool:
        """Whether somebody reads a part of this version on this node."""
        return any(node in nodes for nodes in self._places.get(upload, ()))
