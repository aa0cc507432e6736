"""Clients that keep storing and reading files, and report failures."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from tests.live.clients import ask
from tests.tally import EFFORT

_SIZES = [0, 1, 5_000, 200_000, 2_000_000, 5_000_001]
PAUSE_S = 0.02 if EFFORT == 1 else 0.0
"""The pause between the requests of a client.  Without it clients take the CPU that daemons need to start; only `make
crash` has the time for that.
"""


class Client(threading.Thread):
    """Stores files and reads them back.

    :param names: after this many files it begins to replace them; None for a new name each time.
    :ivar done: how many files it has stored and read.
    :ivar wrong: the failures.
    """

    def __init__(self, url: str, number: int, names: int | None) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._names = names
        self._url = f"{url}/load-{number}"
        self._over = threading.Event()
        self.done = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._over.is_set() and not self.wrong:
            data = os.urandom(_SIZES[self.done % len(_SIZES)])
            number = self.done if self._names is None else self.done % self._names
            stored = ask(f"{self._url}-{number}", "PUT", data)
            found = ask(f"{self._url}-{number}")
            expected = 201 if number == self.done else 204
            if (stored.status, found.status) != (expected, 200) or sha256(found.body).digest() != sha256(data).digest():
                self.wrong.append(
                    f"{self._url}-{number}: PUT {stored.status} {stored.body!r}, GET {found.status} {found.body[:99]!r}"
                )
            self.done += 1
            self._over.wait(PAUSE_S)

    def end(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def load(url: str, clients: int = 4, names: int | None = None) -> Iterator[list[Client]]:
    """Run clients until the end of the block; none of their requests may fail.  See `Client`."""
    working = [Client(url, number, names) for number in range(clients)]
    for client in working:
        client.start()
    try:
        yield working
    finally:
        for client in working:
            client.end()
    wrong = [wrong for client in working for wrong in client.wrong]
    assert not wrong, wrong
    assert all(client.done for client in working)
