"""A first look at a server that is to become a node: both sides prove the cluster key without sending it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from storaged.http import NodeConnections
from storaged.parts import proofs, wire
from storaged.parts.client.answers import cancellable, error_of, failure_of, read_all
from storaged.parts.client.greeting import greeting
from storaged.parts.errors import NodeUnavailable
from storaged.parts.values import NodeInfo, PartInfo
from storaged.system.origin import parse_origin


def look_first(
    node_id: str,
    url: str,
    keys: proofs.ClusterKeys,
    connections: NodeConnections,
    clock: IReactorTime,
    timeout_s: float,
) -> Deferred[tuple[NodeInfo, bool]]:
    """Ask a server for its identity and its room, and whether it holds parts.  It does not join the cluster by that.

    :param node_id: the id of the node that must answer.
    :param url: the URL of the server, without a path.
    :param keys: the cluster keys; they do not leave this process.
    :return: a Deferred that fires with the `NodeInfo` of the server, and whether it holds parts.  Cancelling it ends
        the request; the server changes nothing in any case.
    :raise AccessDenied: the server does not prove that it knows the cluster key, or does not accept our proof.
    :raise WrongNode: the server is a different node.
    :raise NodeUnavailable: the server cannot be reached, does not answer in `timeout_s` seconds, or does not speak the
        part protocol.
    """

    def late(_result: Any, timeout_s: float) -> Any:
        raise NodeUnavailable(f"no answer in {timeout_s:g} s")

    look = _FirstLook(node_id, url, keys, connections)
    return Deferred.fromCoroutine(look.look()).addTimeout(timeout_s, clock, late)


class _FirstLook:
    def __init__(self, node_id: str, url: str, keys: proofs.ClusterKeys, connections: NodeConnections) -> None:
        self._node_id = node_id
        self._http = connections.client(parse_origin(url), greeting(node_id, keys))

    async def look(self) -> tuple[NodeInfo, bool]:
        info = wire.decode_node(await self._get(wire.NODE_PATH))
        parts: list[PartInfo] = wire.decode_parts(await self._get(wire.list_path("", 1)))
        return info, bool(parts)

    async def _get(self, path: str) -> bytes:
        try:
            response: Any = await cancellable(self._http.request("GET", path, {wire.NODE_HEADER: self._node_id}))
        except CancelledError:
            raise
        except Exception as problem:
            raise failure_of(problem) from problem
        body = await read_all(response)
        if response.code != 200:
            raise error_of(response)
        return body
