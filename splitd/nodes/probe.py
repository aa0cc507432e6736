"""Asks a server that shall become a node for its identity.  The server does not join by that."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred

from splitd.errors import FileUnavailable, NodeRefused
from splitd.model.nodes import LOST, NodeEntry, RegistryInvalid, parse_entries
from splitd.nodes.registry import NodeRegistry
from storaged.parts.errors import AccessDenied, StoragedError, WrongNode
from storaged.parts.values import NodeInfo


@attrs.frozen
class Found:
    """A server that can become a node.

    :param cluster: the id of the cluster that it belongs to; empty if it belongs to none.
    :param capacity: the bytes of its volume.
    :param free: the bytes that may still be written to it.
    :param parts: whether it holds any parts.
    """

    id: str
    cluster: str
    capacity: int
    free: int
    parts: bool


async def probe(
    node_id: str,
    url: str,
    registry: NodeRegistry,
    look: Callable[[NodeEntry], Deferred[tuple[NodeInfo, bool]]],
    cluster: str,
) -> Found:
    """Ask a server whether it can become a node.

    :param look: asks the server for its identity and whether it holds parts, without sending it the cluster key.
    :param cluster: the id of the cluster that it is to join.
    :return: the server's answer.
    :raise ValueError: no node can have this id or url.
    :raise NodeRefused: the server is a node already, is a different node, belongs to another cluster, or does not know
        the cluster key.
    :raise FileUnavailable: the server does not answer.
    """
    try:
        [entry] = parse_entries([(1, {"id": node_id, "url": url})])
    except RegistryInvalid as problem:
        raise ValueError(str(problem).removeprefix("line 1: ")) from problem
    for node in registry.nodes():
        is_there = node.entry.url.rstrip("/") == entry.url.rstrip("/") and node.entry.state != LOST
        if node.entry.id == entry.id or is_there:
            raise NodeRefused(f"node {node.entry.id} at {node.entry.url} is registered already")
    try:
        info, holds_parts = await look(entry)
    except (WrongNode, AccessDenied) as problem:
        raise NodeRefused(f"{entry.url}: {problem}") from problem
    except StoragedError as problem:
        raise FileUnavailable(f"{entry.url}: {problem}") from problem
    if info.cluster not in {"", cluster}:
        raise NodeRefused(f"{entry.url}: node {entry.id} belongs to another cluster, {info.cluster}")
    return Found(info.node_id, info.cluster, info.capacity, info.free, holds_parts)
