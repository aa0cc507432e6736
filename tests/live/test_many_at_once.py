"""Many clients at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.client import HTTPConnection
from threading import Barrier

from tests.live.clients import PIECE, TIMEOUT_S, hash_of
from tests.live.conftest import Starter

KIB = 2**10
SIZES = [0, 1, 5, 6, 7, 4 * KIB, 100_000, PIECE, PIECE + 1, 3 * PIECE]
SIZES = [64 * PIECE, 64 * PIECE, *[8 * PIECE] * 12, *(SIZES * 5)]
CLIENTS = len(SIZES)


class Client:
    """A client that stores a file and then reads it, over one connection.

    :param together: the barrier at which it waits before it sends the last piece, and before it reads the last piece.
    """

    def __init__(self, number: int, size: int, address: str, together: Barrier) -> None:
        self._size = size
        self._known = size > 0 and number % 2 == 0
        self._path = f"/many-{number}"
        self._connection = HTTPConnection(address, timeout=TIMEOUT_S)
        self._together = together
        self._digest = sha256()

    def run(self) -> None:
        try:
            self._store()
            self._read()
            self._delete()
        finally:
            self._connection.close()

    def _body(self) -> Iterator[bytes]:
        left = self._size
        while left > 64 * KIB:
            piece = os.urandom(64 * KIB)
            self._digest.update(piece)
            left -= len(piece)
            yield piece
        self._together.wait(TIMEOUT_S)
        piece = os.urandom(left)
        self._digest.update(piece)
        yield piece

    def _store(self) -> None:
        # Without a length, http.client sends the pieces of an iterator as chunks.
        length = {"Content-Length": str(self._size)} if self._known else {}
        self._connection.request("PUT", self._path, self._body(), length)
        answer = self._connection.getresponse()
        assert (answer.status, answer.read()) == (201, b"")

    def _read(self) -> None:
        self._connection.request("GET", self._path)
        answer = self._connection.getresponse()
        assert answer.status == 200
        self._together.wait(TIMEOUT_S)
        assert hash_of(answer) == (self._digest.hexdigest(), self._size)

    def _delete(self) -> None:
        self._connection.request("DELETE", self._path)
        answer = self._connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")


def test_64_clients_at_once_get_back_what_each_put_in_at_bounded_memory(own_cluster: Starter) -> None:
    cluster = own_cluster(client_timeout_s=3600)  # the first to be done wait for the last
    assert CLIENTS == 64
    address = cluster.url.removeprefix("http://")
    at_once: list[int] = []
    together = Barrier(CLIENTS, lambda: at_once.append(cluster.status()["uploads"]["under_way"]))
    clients = [Client(number, size, address, together) for number, size in enumerate(SIZES)]
    with cluster.memory_bounded(), ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(Client.run, clients))
    assert at_once == [CLIENTS, 0]
    cluster.disks.wait_for_parts_of_only()
