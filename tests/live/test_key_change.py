"""The cluster key is changed while clients store and read: no request fails, and the old key is of no use any more."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitd.cli.certificates.making import write_secret
from tests.live.clients import ask
from tests.live.local_cluster import FRONT, LocalCluster
from tests.live.processes import wait_until

CLIENTS = 4
SIZES = [100, 30_000, 2_000_000]
NEW = "n" * 40


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """A cluster with copies of the journal, as it is by default."""
    made = LocalCluster(tmp_path / "cluster")
    try:
        made.start()
        yield made
    finally:
        made.remove()


class Client(threading.Thread):
    """Stores files and reads them back, until it is stopped.

    :ivar wrong: what went wrong.
    """

    def __init__(self, url: str, number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._url = f"{url}/{number}"
        self._stopped = threading.Event()
        self.wrong: list[str] = []
        self.done = 0

    def run(self) -> None:
        while not self._stopped.is_set() and not self.wrong:
            size = SIZES[self.done % len(SIZES)]
            data = os.urandom(size)
            put = ask(f"{self._url}-{size}", "PUT", data)
            got = ask(f"{self._url}-{size}")
            if put.status not in {201, 204} or got.status != 200 or got.body != data:
                self.wrong.append(f"{size} bytes: {put.status} {put.body!r}, {got.status} {got.body[:100]!r}")
            self.done += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def test_the_cluster_key_is_changed_under_load(cluster: LocalCluster) -> None:
    key_file = cluster.folder / "cluster.key"
    old = key_file.read_text().strip()
    clients = [Client(cluster.url, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()

    def give(text: str) -> None:
        """Change the file, and wait until all daemons have read it, and clients have used it."""
        logs = {name: cluster.folder / "log" / f"{name}.log" for name in cluster.pids()}
        before = {name: lines(log, READ) for name, log in logs.items()}
        write_secret(key_file, text.encode())
        for name, log in logs.items():
            wait_until(lambda log=log, name=name: lines(log, READ) > before[name], f"{name} reads the key")
        progress()

    def progress() -> None:
        done = [client.done for client in clients]
        wait_until(
            lambda: any(
                client.wrong or client.done > before + len(SIZES) for client, before in zip(clients, done, strict=True)
            ),
            "requests with the new file",
        )

    front_log = cluster.folder / "log" / f"{FRONT}.log"
    give(f"{old}\n{NEW}\n")
    give(f"{NEW}\n{old}\n")
    wait_until(lambda: lines(front_log, "all connections to the nodes are made anew"), "new connections")
    give(f"{NEW}\n")
    node = f"http://127.0.0.1:{cluster.port + 11}/v1/node"
    assert ask(node, Authorization=f"Bearer {old}").status == 401
    assert ask(node, Authorization=f"Bearer {NEW}").status == 200
    progress()
    for client in clients:
        client.stop()
    assert [client.wrong for client in clients] == [[]] * CLIENTS
    wait_until(lambda: cluster.status()["journal"]["copies"]["present"] == 3, "all copies of the journal again")
    for secret in (old, NEW):
        assert not [log.name for log in cluster.folder.glob("log/*.log") if secret in log.read_text()]
        assert not [name for name, pid in cluster.pids().items() if secret in Path(f"/proc/{pid}/cmdline").read_text()]


READ = "the cluster keys are read again"


def lines(log: Path, text: str) -> int:
    return log.read_text().count(text)
