"""Pins keep the parts of a version in place while a download reads them."""

from __future__ import annotations

from splitd.model.manifest import Manifest


class Pins:
    """The versions that downloads read now, each with the nodes where its parts must stay."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[str, ...]]] = {}

    def pin(self, manifest: Manifest) -> None:
        """Keep the parts of a version on the nodes of its manifest until `unpin`; one version may have several pins."""
        self._places.setdefault(manifest.upload, []).append(manifest.nodes)

    def unpin(self, manifest: Manifest) -> bool:
        """Release one `pin`.

        :return: whether no other pin keeps the version on these nodes.
        """
        places = self._places[manifest.upload]
        places.remove(manifest.nodes)
        if not places:
            del self._places[manifest.upload]
        return manifest.nodes not in places

    def holds(self, upload: str, node: str) -> bool:
        """Whether a pin keeps a part of this version on this node."""
        return any(node in nodes for nodes in self._places.get(upload, ()))
