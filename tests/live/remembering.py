"""Clients that know what each of their files may be, while daemons are killed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

from tests.live.doors import Door, WebDAV
from tests.live.killed_cluster import KilledCluster
from tests.live.load import PAUSE_S
from tests.tally import TALLY

NAMES = 4
_PAUSE_S = 0.1
"""The pause after a failed request: while the front is down, more requests would only use the machine's CPU."""


class Client(threading.Thread):
    """A client with its own names, which knows the possible contents of each.

    :param door: the front door that it uses.
    :param doubts: whether a change that is answered 503 may have been made, or be made a moment later: its catalog, or
        the database of that, was lost meanwhile.
    :ivar may: the possible contents, by path; None for no file.
    """

    def __init__(self, door: Door, number: int, *, doubts: bool) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.door = door
        self._random = random.Random(number)
        self._over = threading.Event()
        self.may: dict[str, list[bytes | None]] = {f"/{number}-{name}": [None] for name in range(NAMES)}
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._doubts = doubts

    def run(self) -> None:
        while not self._over.is_set():
            path = self._random.choice(list(self.may))
            do = self._random.choice([self.put, self.put, self.put, self.get, self.get, self.delete])
            try:
                do(path)
            except Exception as problem:  # an exception in a thread would be lost
                self.wrong.append(f"{path}: {problem!r}")
                return
            self._over.wait(PAUSE_S)

    @property
    def stored(self) -> int:
        """How many PUTs succeeded."""
        return sum(self.done[f"PUT {status}"] for status in self.door.stored)

    def end(self) -> None:
        self._over.set()
        self.join()

    def _content(self) -> bytes:
        kind = self._random.random()
        size = (
            0 if kind < 0.05 else self._random.randrange(200_000) if kind < 0.9 else self._random.randrange(5_000_000)
        )
        return self._random.randbytes(16) * (size // 16) + self._random.randbytes(size % 16)

    def put(self, path: str) -> None:
        data = self._content()
        self._changed(path, data, self.door.put(path, data).status, self.door.stored)

    def delete(self, path: str) -> None:
        status = self.door.delete(path).status
        if status == 404:
            self._seen(path, None)
        else:
            self._changed(path, None, status, {204})

    def _changed(self, path: str, result: bytes | None, status: int, good: Set[int]) -> None:
        self.done[f"{'PUT' if result is not None else 'DELETE'} {status}"] += 1
        if status in good:
            self.may[path] = [result]
        elif not status or (self._doubts and status == 503):  # made or not
            self.may[path].append(result)
            self._over.wait(_PAUSE_S)
        elif status not in {503, 507}:
            self.wrong.append(f"{path}: answered {status}")

    def get(self, path: str) -> None:
        answer = self.door.get(path)
        self.done[f"GET {answer.status}"] += 1
        if answer.status == 200:
            TALLY["bytes compared"] += len(answer.body)
            self._seen(path, answer.body)
        elif answer.status == 404:
            self._seen(path, None)
        elif answer.status not in {0, 503}:
            self.wrong.append(f"{path}: answered {answer.status}")

    def _seen(self, path: str, found: bytes | None) -> None:
        if found not in self.may[path]:
            self.wrong.append(f"{path}: found {_show(found)}, not {[_show(each) for each in self.may[path]]}")
        elif self._doubts:  # a later change without an answer may be made yet, when its catalog is back
            self.may[path] = self.may[path][self.may[path].index(found) :]
            return
        self.may[path] = [found]


def _show(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes {data[:8].hex()}"


@contextmanager
def remembering(cluster: KilledCluster, count: int, *doors: Door, doubts: bool = False) -> Iterator[list[Client]]:
    """Start a cluster and clients; stop the cluster at the end, and check that no daemon met an unexpected error.

    :param doors: the front doors that the clients use, each the next one; none for WebDAV's.
    :param doubts: see `Client`.
    """
    cluster.start()
    doors = doors or (WebDAV(cluster.url),)
    for door in doors:
        door.prepare()
    clients = [Client(doors[number % len(doors)], number, doubts=doubts) for number in range(count)]
    try:
        for client in clients:
            client.start()
        yield clients
    finally:
        cluster.stop()
    logs = [log.read_text().splitlines() for log in cluster.folder.glob("log/*.log")]
    assert [line for lines in logs for line in lines if "Traceback" in line] == []


def kill_at_random(cluster: KilledCluster, chance: random.Random, longest_s: float) -> None:
    """Kill and restart a front or a storage server after a pause of up to `longest_s` seconds."""
    threading.Event().wait(chance.uniform(0, longest_s))
    node = chance.choice(cluster.nodes)
    front = chance.choice([name for name in cluster.daemons if name not in cluster.nodes])
    cluster.kill(front if chance.random() < 0.4 else node)


def end_well(cluster: KilledCluster, clients: list[Client], settle: Callable[[], None]) -> Counter[str]:
    """Check what the clients have seen and see now, and that each node has what the manifests place there.

    :param settle: waits until the cluster has nothing left to do.
    :return: how often each request was answered how.
    """
    for client in clients:
        client.end()
    assert [wrong for client in clients for wrong in client.wrong] == []
    for client in clients:
        client.door.tidy()
    settle()
    for client in clients:
        for path in client.may:
            client.get(path)
        assert client.wrong == []
    stored, needed = cluster.parts_stored(), cluster.parts_needed()
    assert stored.keys() - needed.keys() == set(), "nothing is left"
    assert stored == needed
    return sum((client.done for client in clients), Counter[str]())
