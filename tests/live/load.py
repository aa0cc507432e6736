"""Clients that store and read files all the time, and tell what went wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from tests.live.clients import ask

_SIZES = [0, 1, 5_000, 200_000, 2_000_000, 5_000_001]


class Client(threading.Thread):
    """Stores files and reads them back.

    :ivar done: how many it stored and read.
    :ivar wrong: what went wrong.
    """

    def __init__(self, url: str, number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._url = f"{url}/load-{number}"
        self._over = threading.Event()
        self.done = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._over.is_set() and not self.wrong:
            data = os.urandom(_SIZES[self.done % len(_SIZES)])
            stored = ask(f"{self._url}-{self.done}", "PUT", data)
            found = ask(f"{self._url}-{self.done}")
            if (stored.status, found.status) != (201, 200) or sha256(found.body).digest() != sha256(data).digest():
                self.wrong.append(f"{self._url}-{self.done}: PUT {stored.status}, GET {found.status}")
            self.done += 1

    def end(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def load(url: str, clients: int = 4) -> Iterator[list[Client]]:
    """Clients at work until the end of the block, none of whose requests may fail."""
    working = [Client(url, number) for number in range(clients)]
    for client in working:
        client.start()
    try:
        yield working
    finally:
        for client in working:
            client.end()
    assert [wrong for client in working for wrong in client.wrong] == []
    assert all(client.done for client in working)
