"""Asks a server that shall become a node who it is.  It does not join by that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from splitd.errors import FileUnavailable, NodeRefused
from splitd.model.nodes import NodeEntry, RegistryInvalid, parse_entries
from splitd.nodes.registry import NodeRegistry
from storaged.parts.errors import AccessDenied, StoragedError, WrongNode
from storaged.parts.values import NodeInfo


async def probe(
    node_id: str,
    url: str,
    registry: NodeRegistry,
    look: Callable[[NodeEntry], Deferred[tuple[NodeInfo, bool]]],
    cluster: str,
) -> dict[str, Any]:
    """Ask a server.

    :param look: asks who it is and whether it holds parts, without sending it the cluster key.
    :param cluster: the one that it is to join.
    :return: what it says of itself, as values that JSON has.
    :raise ValueError: no node can have this id or url.
    :raise NodeRefused: it is a node already, is another one, belongs to another cluster, or does not know the cluster
        key.
    :raise FileUnavailable: it does not answer.
    """
    try:
        [entry] = parse_entries([(1, {"id": node_id, "url": url})])
    except RegistryInvalid as problem:
        raise ValueError(str(problem).removeprefix("line 1: ")) from problem
    for node in registry.nodes():
        if node.entry.id == entry.id or node.entry.url.rstrip("/") == entry.url.rstrip("/"):
            raise NodeRefused(f"node {node.entry.id} at {node.entry.url} is registered already")
    try:
        info, holds_parts = await look(entry)
    except (WrongNode, AccessDenied) as problem:
        raise NodeRefused(f"{entry.url}: {problem}") from problem
    except StoragedError as problem:
        raise FileUnavailable(f"{entry.url}: {problem}") from problem
    if info.cluster not in {"", cluster}:
        raise NodeRefused(f"{entry.url}: node {entry.id} belongs to another cluster, {info.cluster}")
    return {
        "id": info.node_id,
        "cluster": info.cluster,
        "capacity": info.capacity,
        "free": info.free,
        "parts": holds_parts,
    }
