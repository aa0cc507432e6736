"""Storage servers and the front are killed while parts are rebuilt; in the end every part is where it should be."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path

from tests.live.killed_cluster import KilledCluster
from tests.live.local_cluster import FRONT
from tests.live.test_kills import Client
from tests.tally import EFFORT, TALLY

NODES = 8
CLIENTS = 3
KILLS = 12 if EFFORT > 1 else 6
SETTINGS = {"layout": "6+2", "min_parts": 6, "cache": 0, "heal_limit": 0}


def no_tracebacks(folder: Path) -> None:
    assert [
        line for log in folder.glob("log/*.log") for line in log.read_text().splitlines() if "Traceback" in line
    ] == []


def ends_well(cluster: KilledCluster, clients: list[Client]) -> Counter[str]:
    """Check what the clients have seen, and that each node has, to the byte, what the manifests place there."""
    for client in clients:
        client.end()
    assert [wrong for client in clients for wrong in client.wrong] == []
    cluster.wait_healed()
    cluster.wait_reaped()
    for client in clients:
        for path in client.may:
            client.get(path)
        assert client.wrong == []
    assert [each.upload for each in cluster.manifests() if each.missing] == []
    assert cluster.parts_stored() == cluster.parts_needed()
    return sum((client.done for client in clients), Counter[str]())


def test_all_is_healed_after_storage_servers_and_the_front_were_killed_at_random(tmp_path: Path) -> None:
    chance = random.Random(1)
    cluster = KilledCluster(tmp_path / "cluster", NODES, **SETTINGS)
    cluster.start()
    clients = [Client(cluster, number) for number in range(CLIENTS)]
    try:
        for client in clients:
            client.start()
        pause = threading.Event()
        for _ in range(KILLS):
            pause.wait(chance.uniform(0, 1.0))
            cluster.kill(FRONT if chance.random() < 0.4 else f"n{chance.randrange(1, NODES + 1)}")
        cluster.wait_ready()
        ends_well(cluster, clients)
        TALLY["kill -9 while parts are rebuilt"] += KILLS
    finally:
        cluster.stop()
    no_tracebacks(cluster.folder)
