"""`kill -9` of the front and the storage servers at random moments, while clients store, replace, read and delete."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from pathlib import Path

from tests.live.clients import ask
from tests.live.killed_cluster import KilledCluster
from tests.live.local_cluster import FRONT
from tests.tally import TALLY

KILLS = int(os.environ.get("SPLITD_KILLS", "60"))
CLIENTS = 6
NAMES = 4
NODES = 8
_PAUSE_S = 0.1
"""The pause after a failed request: while the front is down, more requests would only use the machine's CPU."""


class Client(threading.Thread):
    """A client with its own names, which knows the possible contents of each.

    :ivar may: the possible contents, by path; None for no file.
    """

    def __init__(self, cluster: KilledCluster, number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._cluster = cluster
        self._random = random.Random(number)
        self._over = threading.Event()
        self.may: dict[str, list[bytes | None]] = {f"/{number}-{name}": [None] for name in range(NAMES)}
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            path = self._random.choice(list(self.may))
            do = self._random.choice([self.put, self.put, self.put, self.get, self.get, self.delete])
            try:
                do(path)
            except Exception as problem:  # an exception in a thread would be lost
                self.wrong.append(f"{path}: {problem!r}")
                return

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
        self._changed(path, data, ask(self._cluster.url + path, "PUT", data).status, {201, 204})

    def delete(self, path: str) -> None:
        status = ask(self._cluster.url + path, "DELETE").status
        if status == 404:
            self._seen(path, None)
        else:
            self._changed(path, None, status, {204})

    def _changed(self, path: str, result: bytes | None, status: int, good: set[int]) -> None:
        self.done[f"{'PUT' if result is not None else 'DELETE'} {status}"] += 1
        if status in good:
            self.may[path] = [result]
        elif not status:  # no answer: made or not
            self.may[path].append(result)
            self._over.wait(_PAUSE_S)
        elif status not in {503, 507}:
            self.wrong.append(f"{path}: answered {status}")

    def get(self, path: str) -> None:
        answer = ask(self._cluster.url + path)
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
        self.may[path] = [found]


def _show(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes {data[:8].hex()}"


def test_nothing_is_lost_and_nothing_is_left_over_many_kills(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("SPLITD_SEED", "1"))
    cluster = KilledCluster(tmp_path / "cluster", NODES)
    cluster.start()
    clients = [Client(cluster, number) for number in range(CLIENTS)]
    try:
        for client in clients:
            client.start()
        pause = threading.Event()
        for number in range(KILLS):
            pause.wait(chance.uniform(0, 1.2))
            cluster.kill(FRONT if chance.random() < 0.4 else f"n{chance.randrange(1, NODES + 1)}")
            if number % 5 == 4:
                cluster.wait_ready()
        cluster.wait_ready()
        for client in clients:
            client.end()
        assert [wrong for client in clients for wrong in client.wrong] == []
        for client in clients:
            for path in client.may:
                client.get(path)
            assert client.wrong == []
        cluster.wait_reaped()
        assert cluster.parts_stored() == cluster.parts_needed()
    finally:
        cluster.stop()
    done = sum((client.done for client in clients), Counter[str]())
    TALLY["kill -9 during a mixed load"] += KILLS
    for what, count in done.items():
        TALLY[f"{what.replace(' 0', ', no answer')}, during kills"] += count
    assert done["PUT 201"] + done["PUT 204"] > KILLS
    assert done["PUT 0"] + done["PUT 503"] > 0, "some were hit"
    assert not [
        line
        for path in tmp_path.glob("cluster/log/*.log")
        for line in path.read_text().splitlines()
        if "Traceback" in line
    ]
