"""The front is killed and its folder deleted at random moments; another one takes over, and has everything."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from tests.live.clients import ask
from tests.live.killed_cluster import KilledCluster
from tests.live.local_cluster import FRONT, SPLITCTL
from tests.tally import TALLY

ROUNDS = int(os.environ.get("SPLITD_TAKEOVERS", "3"))
CLIENTS = 4
NAMES = 6


class Client(threading.Thread):
    """Stores and deletes files until the front does not answer, and knows what each may be.

    :ivar may: the possible contents, by path; None for no file.
    """

    def __init__(self, url: str, number: int, seed: int, may: dict[str, set[bytes | None]]) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._url = url
        self._random = random.Random(seed)
        self._names = [f"/{number}-{name}" for name in range(NAMES)]
        self.may = may
        self.acknowledged = 0

    def run(self) -> None:
        while True:
            path = self._random.choice(self._names)
            before = self.may.setdefault(path, {None})
            content = (
                None if self._random.random() < 0.25 else self._random.randbytes(self._random.choice([0, 10, 3000]))
            )
            self.may[path] = {*before, content}
            answer = ask(self._url + path, "DELETE") if content is None else ask(self._url + path, "PUT", content)
            if answer.status not in {201, 204, 404}:
                return
            self.may[path] = {content}
            self.acknowledged += 1


def recover(cluster: KilledCluster) -> dict[str, object]:
    command = [SPLITCTL, "--json", "journal", "recover"]
    command += ["--registry", str(cluster.folder / "nodes.yaml"), "--key", str(cluster.folder / "cluster.key")]
    done = subprocess.run(
        [*command, "--data", str(cluster.folder / "front/data")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_nothing_acknowledged_is_lost_with_the_front_and_its_disk(tmp_path: Path) -> None:
    cluster = KilledCluster(tmp_path / "cluster", 6)
    chance = random.Random(7)
    may: dict[str, set[bytes | None]] = {}
    cluster.start()
    try:
        for number in range(ROUNDS):
            clients = [Client(cluster.url, client, chance.randrange(2**32), may) for client in range(CLIENTS)]
            for client in clients:
                client.start()
            clients[0].join(chance.uniform(0.05, 2.0))
            front = cluster.daemons[FRONT]
            front.send(signal.SIGKILL)
            assert front.wait(60)
            for client in clients:
                client.join()
            shutil.rmtree(cluster.folder / "front/data")
            assert recover(cluster)["doubt"] == ""
            front.start()
            cluster.wait_ready()
            for path, contents in may.items():
                answer = ask(cluster.url + path)
                found = answer.body if answer.status == 200 else None
                assert answer.status in {200, 404}, answer
                assert found in contents, f"round {number}: {path} is not what was answered"
                may[path] = {found}
            TALLY["fronts killed with their disk, and recovered from the nodes"] += 1
            TALLY["changes acknowledged before that"] += sum(client.acknowledged for client in clients)
    finally:
        cluster.stop()
