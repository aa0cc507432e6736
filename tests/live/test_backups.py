"""splitctl backs up the journal of a front under load, and restores it on real processes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from tests.live.clients import ask
from tests.live.killed_cluster import KilledCluster
from tests.live.local_cluster import FRONT, SPLITCTL


def splitctl(cluster: KilledCluster, *words: str | Path) -> subprocess.CompletedProcess[str]:
    where = ["--url", cluster.url, "--admin", f"http://127.0.0.1:{cluster.port + 1}", "--json", "journal"]
    return subprocess.run([SPLITCTL, *where, *words], capture_output=True, text=True, check=False)


class Client(threading.Thread):
    """Stores files until it is told to end, and counts those that were acknowledged."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.acknowledged = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            answer = ask(f"{self._url}/{self.acknowledged}", "PUT", b"%d" % self.acknowledged * 100)
            assert answer.status == 201, answer
            self.acknowledged += 1


def test_what_was_acknowledged_before_a_backup_is_in_it(tmp_path: Path) -> None:
    cluster = KilledCluster(tmp_path / "cluster", 6)
    file = tmp_path / "backup"
    cluster.start()
    try:
        client = Client(cluster.url)
        client.start()
        acknowledged, told = 0, []
        while len(told) < 5:
            acknowledged = client.acknowledged
            done = splitctl(cluster, "backup", file)
            assert done.returncode == 0, done.stderr
            told.append(json.loads(done.stdout)["records"])
        client.ended.set()
        client.join()
        assert ask(f"{cluster.url}/after", "PUT", b"x").status == 201
        assert told == sorted(told)
        front = cluster.daemons[FRONT]
        front.send(signal.SIGKILL)
        assert front.wait(60)
        shutil.rmtree(cluster.folder / "front/data")
        options = ["--registry", cluster.folder / "nodes.yaml", "--key", cluster.folder / "cluster.key"]
        restore = ["restore", file, "--data", cluster.folder / "front/data", *options]
        damaged = tmp_path / "damaged"
        damaged.write_bytes(file.read_bytes()[:-20])
        refused = splitctl(cluster, "restore", damaged, *restore[2:])
        assert (refused.returncode, "the backup ends here, and is not whole" in refused.stderr) == (1, True)
        refused = splitctl(cluster, *restore)
        assert (refused.returncode, "`splitctl journal recover` loses nothing" in refused.stderr) == (1, True)
        done = splitctl(cluster, *restore, "--accept-loss")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["files"] >= acknowledged
        front.start()
        cluster.wait_ready()
        for number in range(acknowledged):
            assert ask(f"{cluster.url}/{number}").body == b"%d" % number * 100
        again = splitctl(cluster, *restore, "--accept-loss")
        assert (again.returncode, "is not empty: journal is there" in again.stderr) == (1, True)
    finally:
        cluster.stop()
