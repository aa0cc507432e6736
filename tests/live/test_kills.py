"""`kill -9` of the front and the storage servers at random moments, while clients store, replace, read and delete."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.live.killed_cluster import KilledCluster
from tests.live.processes import wait_until
from tests.live.remembering import end_well, kill_at_random, remembering
from tests.tally import TALLY

KILLS = int(os.environ.get("SPLITD_KILLS", "15"))
BY_S3 = KILLS // 3
CLIENTS = 6
NODES = 8


@pytest.mark.parametrize(("door", "kills"), [("WebDAV", KILLS), ("S3", BY_S3)])
def test_nothing_is_lost_and_nothing_is_left_over_many_kills(tmp_path: Path, door: str, kills: int) -> None:
    chance = random.Random(os.environ.get("SPLITD_SEED", "1"))
    cluster = KilledCluster(tmp_path / "cluster", NODES)
    doors = [cluster.s3] if door == "S3" else []
    with remembering(cluster, CLIENTS, *doors) as clients:
        for number in range(kills):
            kill_at_random(cluster, chance, 1.2)
            if number % 5 == 4:
                cluster.wait_ready()
                # On a slow machine the daemons are hardly up between two kills.
                wait_until(
                    lambda least=number + 1: sum(client.stored for client in clients) > least, "files stored meanwhile"
                )
        cluster.wait_ready()
        done = end_well(cluster, clients, cluster.wait_reaped)
    TALLY[f"kill -9 during a mixed load by {door}"] += kills
    for what, count in done.items():
        TALLY[f"{what.replace(' 0', ', no answer')}, by {door} during kills"] += count
    assert done["PUT 0"] + done["PUT 503"] > 0, "some were hit"
