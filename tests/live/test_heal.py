"""Storage servers and the front are killed while parts are rebuilt; in the end every part is where it should be."""

from __future__ import annotations

import random
from pathlib import Path

from tests.live.killed_cluster import KilledCluster
from tests.live.remembering import end_well, kill_at_random, remembering
from tests.tally import EFFORT, TALLY

NODES = 8
CLIENTS = 3
KILLS = 12 if EFFORT > 1 else 6
SETTINGS = {"layout": "6+2", "min_parts": 6, "cache": 0, "heal_limit": 0}


def test_all_is_healed_after_storage_servers_and_the_front_were_killed_at_random(tmp_path: Path) -> None:
    chance = random.Random(1)
    cluster = KilledCluster(tmp_path / "cluster", NODES, **SETTINGS)

    def settle() -> None:
        cluster.wait_healed()
        cluster.wait_reaped()

    with remembering(cluster, CLIENTS) as clients:
        for _ in range(KILLS):
            kill_at_random(cluster, chance, 1.0)
        cluster.wait_ready()
        end_well(cluster, clients, settle)
        assert [each.upload for each in cluster.manifests() if each.missing] == []
        TALLY["kill -9 while parts are rebuilt"] += KILLS
