"""Upgrades of a front while clients use it."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Sequence

from tests.live.clients import TIMEOUT_S
from tests.live.load import PAUSE_S, Client, load
from tests.live.local_cluster import FRONT, LocalCluster
from tests.live.processes import wait_until


class Kept(threading.Thread):
    """Stores and reads small files on one connection.  It makes a new one if an answer says that it ends, or, as RFC
    9112 section 9.3.1 has it, if it was closed while it was idle.

    :ivar told: how often an answer said so.
    :ivar closed: how often it was closed.
    """

    def __init__(self, cluster: LocalCluster, number: int) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=TIMEOUT_S)
        self._path = f"/kept-{number}"
        self._over = threading.Event()
        self.done = 0
        self.told = 0
        self.closed = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        try:
            while not self._over.is_set():
                data = b"%d" % self.done * 50
                assert self._ask("PUT", data)[0] in {201, 204}
                assert self._ask("GET") == (200, data)
                self.done += 1
                self._over.wait(PAUSE_S)
        except Exception as problem:
            self.wrong.append(f"request {self.done}: {problem!r}")
        finally:
            self._connection.close()

    def _ask(self, method: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            return self._try(method, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # It was idle for more than the second in which one more request is taken, as on a busy machine.
            self.closed += 1
            self._connection.close()
            return self._try(method, body)

    def _try(self, method: str, body: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, self._path, body)
        answer = self._connection.getresponse()
        found = answer.read()
        self.told += answer.will_close
        return answer.status, found  # http.client connects anew if the answer says that the connection ends

    def end(self) -> None:
        self._over.set()
        self.join()


def epoch(cluster: LocalCluster) -> int:
    """Return the epoch of the front; 0 while it does not answer."""
    status = cluster.status()
    return int(status["journal"]["copies"]["epoch"]) if status else 0


def upgrade(cluster: LocalCluster) -> None:
    """Have the front replaced, and wait until its successor serves."""
    before = wait_until(lambda: epoch(cluster), "the epoch")
    os.kill(cluster.pids()[FRONT], signal.SIGUSR2)
    wait_until(lambda: epoch(cluster) > before, "the successor")
    wait_until(cluster.is_ready, "the successor ready", cluster.status)


def upgrade_under_load(cluster: LocalCluster, times: int) -> tuple[Sequence[Kept], Sequence[Client]]:
    """Upgrade a front several times, each time when every client is at work; no request fails.

    :return: the clients with one connection, and those with a connection for each request; all have ended.
    """
    kept = [Kept(cluster, number) for number in range(3)]
    for each in kept:
        each.start()
    with load(cluster.url, clients=2, names=6) as clients:
        for _ in range(times):
            done = [each.done for each in [*kept, *clients]]
            wait_until(
                lambda done=done: all(  # type: ignore[misc]
                    each.done > before or each.wrong for each, before in zip([*kept, *clients], done, strict=True)
                ),
                "every client at work",
            )
            upgrade(cluster)
    for each in kept:
        each.end()
    assert [wrong for each in [*kept, *clients] for wrong in each.wrong] == []
    return kept, clients
