"""`kill -9` of the front and the storage servers at random moments, while clients store, replace, read and delete."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.live.killed_cluster import KilledCluster
from tests.live.processes import wait_until
from tests.live.remembering import end_well, kill_at_random, remembering
from tests.tally import TALLY

KILLS = int(os.environ.get("SPLITD_KILLS", "60"))
CLIENTS = 6
NODES = 8


def test_nothing_is_lost_and_nothing_is_left_over_many_kills(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("SPLITD_SEED", "1"))
    cluster = KilledCluster(tmp_path / "cluster", NODES)
    with remembering(cluster, CLIENTS) as clients:
        for number in range(KILLS):
            kill_at_random(cluster, chance, 1.2)
            if number % 5 == 4:
                cluster.wait_ready()
                # On a slow machine the daemons are hardly up between two kills.
                wait_until(
                    lambda kills=number + 1: sum(client.stored for client in clients) > kills, "files stored meanwhile"
                )
        cluster.wait_ready()
        done = end_well(cluster, clients, cluster.wait_reaped)
    TALLY["kill -9 during a mixed load"] += KILLS
    for what, count in done.items():
        TALLY[f"{what.replace(' 0', ', no answer')}, during kills"] += count
    assert done["PUT 0"] + done["PUT 503"] > 0, "some were hit"
