"""A server of a test that answers the greeting of a client as a node does."""

from __future__ import annotations

from collections.abc import Callable

from storaged.parts import proofs, wire

NODE_NONCE = "cd" * 32


class Greeted:
    """Answers the greeting; what comes after it is for the test.

    :param key: the cluster key.
    :param node: the id of the node.
    :param write: writes to the client.
    """

    def __init__(self, key: str, node: str, write: Callable[[bytes], object]) -> None:
        self._keys = proofs.ClusterKeys([key])
        self._node = node
        self._write = write
        self._got = b""
        self._left = 2

    def read(self, data: bytes) -> bytes:
        """Take bytes; return those that come after the greeting."""
        self._got += data
        while self._left and b"\r\n\r\n" in self._got:
            head, _, self._got = self._got.partition(b"\r\n\r\n")
            self._left -= 1
            body = self._prove(head.decode()) if self._left else b""
            self._write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        rest, self._got = (b"", self._got) if self._left else (self._got, b"")
        return rest

    def _prove(self, head: str) -> bytes:
        nonce = next(line.partition(": ")[2] for line in head.split("\r\n") if line.startswith(wire.NONCE_HEADER))
        proven = proofs.prove_node(self._keys, proofs.Challenge(nonce, NODE_NONCE), self._node)
        return wire.encode_proof(wire.Proof(NODE_NONCE, self._node, proven))
