"""The beginning of each connection to a node: both sides prove the cluster key, and neither sends it."""

from __future__ import annotations

import os
from collections.abc import Callable

from storaged.http import Exchange, Greeting, Said
from storaged.parts import proofs, wire
from storaged.parts.errors import NodeUnavailable, StoragedError, WrongNode


def greeting(node_id: str, keys: proofs.ClusterKeys, cluster: Callable[[], str] = str) -> Greeting:
    """Return what a front says first to a node.

    The greeting raises `AccessDenied` if the node does not prove that it knows one of the keys, or does not accept our
    proof; `WrongNode` if it is another node; `NodeUnavailable` if it does not speak the part protocol.

    :param node_id: the id of the node that must answer.
    :param keys: the cluster keys; they do not leave this process.
    :param cluster: returns the id of the front's cluster; empty if it has none yet.
    """

    async def greet(exchange: Exchange) -> None:
        front_nonce = os.urandom(proofs.NONCE_BYTES).hex()
        said = await exchange("GET", wire.PROOF_PATH, {wire.NONCE_HEADER: front_nonce})
        if said.status != 200:
            raise _error_of(said)
        answer = wire.decode_proof(said.body)
        challenge = proofs.Challenge(front_nonce, answer.nonce)
        key = proofs.check_node(keys, challenge, answer.node, answer.proofs)
        if answer.node != node_id:
            raise WrongNode(f"this is node {answer.node}")
        here = cluster()
        proof = proofs.format_proof(key, challenge, node_id, here)
        headers = {"Authorization": proof, wire.NODE_HEADER: node_id, wire.CLUSTER_HEADER: here}
        said = await exchange("POST", wire.SESSION_PATH, headers)
        if said.status != 200:
            raise _error_of(said)

    return greet


def _error_of(said: Said) -> StoragedError:
    problem = wire.parse_error(said.status, said.headers.get(wire.ERROR_HEADER.lower()))
    if isinstance(problem, NodeUnavailable) and said.status == 400:
        return NodeUnavailable("does not speak the part protocol of this version")
    return problem
