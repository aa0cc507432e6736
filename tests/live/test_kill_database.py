"""`kill -9` of the database, the front and the storage servers, while clients store, replace, read and delete."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.live.database_cluster import DatabaseCluster
from tests.live.processes import wait_until
from tests.live.remembering import end_well, kill_at_random, remembering
from tests.postgres import Postgres
from tests.tally import TALLY

KILLS = int(os.environ.get("SPLITD_KILLS", "9"))
CLIENTS = 4
NODES = 7


def test_nothing_is_lost_and_nothing_is_left_when_the_database_is_killed_too(tmp_path: Path, server: Postgres) -> None:
    chance = random.Random(os.environ.get("SPLITD_SEED", "1"))
    cluster = DatabaseCluster(tmp_path / "cluster", NODES, server.url("public"))
    with remembering(cluster, CLIENTS, doubts=True) as clients:
        for number in range(KILLS):
            if number % 3:
                kill_at_random(cluster, chance, 1.2)
            else:
                server.kill()
                server.start()
            if number % 4 == 3:
                cluster.wait_ready()
                wait_until(
                    lambda kills=number + 1: sum(client.stored for client in clients) > kills, "files stored meanwhile"
                )
        cluster.wait_ready()
        done = end_well(cluster, clients, cluster.wait_reaped)
    TALLY["kill -9 with a catalog in a database"] += KILLS
    assert done["PUT 0"] + done["PUT 503"] > 0, "some were hit"
