"""Proofs of a front and a node to each other that they know the cluster key, without sending it.  Pure.

Each side gives a nonce, a number that is used once.  A proof is an HMAC-SHA256 with the cluster key over the side that
proves, both nonces, and, for a front, the request that carries it.  Its page is docs/part-protocol.md.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from storaged.parts.errors import AccessDenied, BadRequest

SCHEME = "Splitd-Proof"
"""The scheme of an `Authorization` header that carries a proof in place of the key."""

NONCE_BYTES = 32
NONCE_LIFE_S = 30
"""Seconds for which a node accepts proofs over a nonce that it issued."""

_NONCE = re.compile(r"\A[0-9a-f]{64}\Z")
_SEPARATOR = "\n"
_STAMP_BYTES = 8


def check_nonce(nonce: str | None) -> str:
    """Return the nonce that a request carries.

    :raise BadRequest: the request has no nonce, or the nonce is not 64 lower-case hexadecimal digits.
    """
    if nonce is None or not _NONCE.match(nonce):
        raise BadRequest(f"a nonce should be {NONCE_BYTES * 2} lower-case hexadecimal digits")
    return nonce


def prove_node(key: str, front_nonce: str, node_nonce: str) -> str:
    """Return a node's proof that it knows the cluster key."""
    return _hmac(key, "node", front_nonce, node_nonce)


def check_node(key: str, front_nonce: str, node_nonce: str, proof: str) -> None:
    """Check a node's proof, in constant time.

    :raise AccessDenied: the proof is wrong.
    """
    if not _equal(prove_node(key, front_nonce, node_nonce), proof):
        raise AccessDenied("did not prove that it knows the cluster key")


def format_proof(key: str, front_nonce: str, node_nonce: str, request: str) -> str:
    """Format the `Authorization` header that proves a front's key for one request.

    :param request: the method and the target, as they are sent: `GET /v1/node`.
    """
    return f"{SCHEME} {front_nonce} {node_nonce} {_hmac(key, 'front', front_nonce, node_nonce, request)}"


class Challenges:
    """The nonces that one node issues.  None is stored: a nonce itself proves that this node issued it, for which nonce
    of the front, and when.

    :param key: the cluster key.
    :param secret: random bytes that nobody else knows.
    :param seconds: returns the time of a clock that nobody sets, in seconds.
    """

    def __init__(self, key: str, secret: bytes, seconds: Callable[[], float]) -> None:
        self._key = key
        self._secret = secret
        self._seconds = seconds

    def issue(self, front_nonce: str) -> str:
        """Issue a nonce for a front that has sent its own."""
        return self._nonce(front_nonce, int(self._seconds() * 1000))

    def _nonce(self, front_nonce: str, now_ms: int) -> str:
        stamp = now_ms.to_bytes(_STAMP_BYTES)
        seal = hmac.digest(self._secret, stamp + front_nonce.encode("ascii"), "sha256")
        return (stamp + seal)[:NONCE_BYTES].hex()

    def check(self, header: str, request: str) -> None:
        """Check a front's proof.

        :param header: the value of `Authorization`.
        :param request: the method and the target, as they were received.
        :raise AccessDenied: the proof is wrong, or over a nonce that this node did not issue in the last
            `NONCE_LIFE_S` seconds.
        """
        words = header.split(" ")
        if len(words) != 4 or words[0] != SCHEME or not _NONCE.match(words[1]) or not _NONCE.match(words[2]):
            raise AccessDenied("the proof of the cluster key is not well formed")
        front_nonce, node_nonce = words[1], words[2]
        given_ms = int.from_bytes(bytes.fromhex(node_nonce)[:_STAMP_BYTES])
        age_s = self._seconds() - given_ms / 1000
        if not _equal(self._nonce(front_nonce, given_ms), node_nonce) or age_s > NONCE_LIFE_S:
            raise AccessDenied("the proof of the cluster key is over a nonce that is not of this node, or too old")
        if not _equal(format_proof(self._key, front_nonce, node_nonce, request), header):
            raise AccessDenied("the cluster key is wrong")


def _hmac(key: str, *texts: str) -> str:
    message = _SEPARATOR.join([SCHEME, *texts]).encode("utf-8", "surrogatepass")
    return hmac.digest(key.encode(), message, "sha256").hex()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
