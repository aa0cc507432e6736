"""Chooses the nodes that get rebuilt and moved parts."""

from __future__ import annotations

from collections.abc import Collection

from splitd.errors import NotEnoughNodes
from splitd.model.manifest import Manifest
from splitd.nodes.registry import NodeRegistry
from splitd.uploads.lanes import place_fewer
from storaged.parts.format import stored_size


def choose_targets(
    registry: NodeRegistry, manifest: Manifest, indexes: Collection[int], refused: Collection[str]
) -> dict[int, str]:
    """Choose a node for each of some parts, and reserve room there.

    A node holds no two parts of a version.  Nodes in zones that hold no part of the version come first.

    :param manifest: the version, with the nodes where its parts lie now.
    :param refused: the ids of nodes that do not take the parts now.
    :return: the ids of the nodes by the parts' indexes: for as many as there are nodes, those of data parts first.
    :raise NotEnoughNodes: no node can take any of the parts.
    """
    size = max(stored_size(manifest.part_size(index), manifest.unit) for index in indexes)
    held = {node for node in manifest.nodes if node}
    zones = {node.entry.zone for node in registry.nodes() if node.entry.id in held} - {""}
    crowded = {node.entry.id for node in registry.nodes() if node.entry.zone in zones}

    def place(count: int) -> list[str]:
        try:
            return registry.place(count, size, held | crowded | set(refused))
        except NotEnoughNodes:
            return registry.place(count, size, held | set(refused))

    nodes = place_fewer(place, len(indexes), 1)
    return dict(zip(sorted(indexes), place(1) if nodes is None else nodes, strict=False))
