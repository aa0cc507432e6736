"""Proofs of a front and a node to each other that they know the cluster key, without sending it.  Pure.

Each connection begins with them.  Each side gives a nonce, a number that is used once.  A proof is an HMAC-SHA256 with
the cluster key over the side that proves, both nonces, the id of the node, and, for a front, that of its cluster.  Its
page is docs/part-protocol.md.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

import attrs

from storaged.parts.errors import AccessDenied, BadRequest

SCHEME = "Splitd-Proof"
"""The scheme of an `Authorization` header that carries a proof in place of the key."""

NONCE_BYTES = 32

_NONCE = re.compile(r"\A[0-9a-f]{64}\Z")
_SEPARATOR = "\n"


class ClusterKeys:
    """The cluster keys that are valid: one, or two while the key is being changed.

    :param keys: the valid keys; the first is preferred.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)

    def take(self, keys: Sequence[str]) -> None:
        """Make these the valid keys, for everything that has these `ClusterKeys`."""
        self._keys = tuple(keys)

    def all(self) -> tuple[str, ...]:
        """Return the valid keys."""
        return self._keys

    def has(self, key: str) -> bool:
        """Return whether a key is valid, in constant time."""
        found = False
        for each in self._keys:
            found |= _equal(each, key)
        return found


@attrs.frozen
class Challenge:
    """The nonces of one connection."""

    front_nonce: str
    node_nonce: str


@attrs.frozen
class Session:
    """A front has proven its key on a connection.

    :param key: the key that it has proven.
    """

    key: str


def check_nonce(nonce: str | None) -> str:
    """Return the nonce that a request carries.

    :raise BadRequest: the request has no nonce, or the nonce is not 64 lower-case hexadecimal digits.
    """
    if nonce is None or not _NONCE.match(nonce):
        raise BadRequest(f"a nonce should be {NONCE_BYTES * 2} lower-case hexadecimal digits")
    return nonce


def prove_node(keys: ClusterKeys, challenge: Challenge, node: str) -> tuple[str, ...]:
    """Return a node's proofs, one for each key that it knows."""
    return tuple(_prove_node(key, challenge, node) for key in keys.all())


def check_node(keys: ClusterKeys, challenge: Challenge, node: str, proofs: Sequence[str]) -> str:
    """Check a node's proofs, in constant time.

    :return: the first of our keys that the node has proven.
    :raise AccessDenied: it has proven none of them.
    """
    for key in keys.all():
        expected = _prove_node(key, challenge, node)
        if any(_equal(expected, proof) for proof in proofs):
            return key
    raise AccessDenied("did not prove that it knows the cluster key")


def format_proof(key: str, challenge: Challenge, node: str, cluster: str) -> str:
    """Format the `Authorization` header with which a front proves a key.

    :param cluster: the id of the front's cluster; empty if it has none yet.
    """
    proof = _prove_front(key, challenge, node, cluster)
    return f"{SCHEME} {challenge.front_nonce} {challenge.node_nonce} {proof}"


def check_front(keys: ClusterKeys, challenge: Challenge | None, header: str, node: str, cluster: str) -> Session:
    """Check a front's proof, in constant time.

    :param challenge: the nonces that were exchanged on this connection, and not used yet; None if there are none.
    :param header: the value of `Authorization`.
    :raise AccessDenied: the proof is not of a valid key, or not for this challenge, node and cluster.
    """
    words = header.split(" ")
    if len(words) != 4 or words[0] != SCHEME:
        raise AccessDenied("the proof of the cluster key is not well formed")
    if challenge is None or words[1:3] != [challenge.front_nonce, challenge.node_nonce]:
        raise AccessDenied("the proof of the cluster key is not for a nonce of this connection")
    for key in keys.all():
        if _equal(_prove_front(key, challenge, node, cluster), words[3]):
            return Session(key)
    raise AccessDenied("the cluster key is wrong")


def _prove_node(key: str, challenge: Challenge, node: str) -> str:
    return _hmac(key, "node", challenge, node)


def _prove_front(key: str, challenge: Challenge, node: str, cluster: str) -> str:
    return _hmac(key, "front", challenge, node, cluster)


def _hmac(key: str, side: str, challenge: Challenge, *ids: str) -> str:
    texts = [SCHEME, side, challenge.front_nonce, challenge.node_nonce, *ids]
    message = _SEPARATOR.join(texts).encode("utf-8", "surrogatepass")
    return hmac.digest(key.encode(), message, "sha256").hex()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
