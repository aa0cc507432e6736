"""Several fronts share a catalog in a database: clients go to each by turns, and fronts are killed meanwhile."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.live.clients import ask, put
from tests.live.database_cluster import DatabaseCluster
from tests.live.processes import wait_until
from tests.live.remembering import end_well, kill_at_random, remembering
from tests.live.s3_races import race_to_complete, race_to_create, race_to_replace
from tests.postgres import Postgres
from tests.tally import EFFORT, TALLY

KILLS = int(os.environ.get("SPLITD_KILLS", "6"))
CLIENTS = 4
NODES = 7
RACES = 1000
CREATED, REPLACED, COMPLETED = 60 * EFFORT, 30 * EFFORT, 20 * EFFORT
_TOGETHER = 8
_WALK = "comparing the disks of nodes"
"""The walk whose rounds come most often."""


def test_nothing_is_lost_and_nothing_is_left_when_fronts_are_killed(tmp_path: Path, server: Postgres) -> None:
    chance = random.Random(os.environ.get("SPLITD_SEED", "1"))
    cluster = DatabaseCluster(tmp_path / "cluster", NODES, server.url("public"), fronts=3)
    doors = cluster.webdav_by_turns(), cluster.s3_by_turns()
    # The database may make a change yet whose front is gone already.
    with remembering(cluster, CLIENTS, *doors, doubts=True) as clients:
        for number in range(KILLS):
            if number % 3:
                kill_at_random(cluster, chance, 1.2)
            else:
                cluster.kill(chance.choice(list(cluster.ports)))
            if number % 3 == 2:
                stored = [client.stored for client in clients]
                wait_until(
                    lambda before=stored: all(now.stored > old for now, old in zip(clients, before, strict=True)),
                    "files stored meanwhile",
                )
        cluster.wait_ready()
        done = end_well(cluster, clients, cluster.wait_reaped)
    TALLY["kill -9 of one of three fronts, or of a node"] += KILLS
    assert min(done["PUT 201"], done["PUT 200"]) > 0, "both doors were used"


def test_of_two_fronts_one_creates_a_name_and_one_takes_over_the_upkeep(tmp_path: Path, server: Postgres) -> None:
    cluster = DatabaseCluster(tmp_path / "cluster", NODES, server.url("public"), fronts=2)
    cluster.start()
    try:
        each_name_is_created_once(cluster)
        each_key_is_changed_once(cluster)
        the_upkeep_is_taken_over(cluster)
    finally:
        cluster.stop()


def each_name_is_created_once(cluster: DatabaseCluster) -> None:
    def create(front: int, number: int) -> int:
        return ask(f"{cluster.urls[front]}/{number}", "PUT", b"%d" % front, **{"If-None-Match": "*"}).status

    with ThreadPoolExecutor(2 * _TOGETHER) as pool:
        for first in range(0, RACES, _TOGETHER):
            names = range(first, first + _TOGETHER)
            racing = [[pool.submit(create, front, number) for front in (0, 1)] for number in names]
            for number, both in zip(names, racing, strict=True):
                codes = [each.result() for each in both]
                assert sorted(codes) == [201, 412], number
            winner = codes.index(201)  # of the last one
            assert ask(f"{cluster.urls[1 - winner]}/{names[-1]}").body == b"%d" % winner
    TALLY["races for a name on two fronts"] += RACES


def walk_of(cluster: DatabaseCluster, name: str) -> str:
    """The state of a walk of the upkeep, as a front says it; empty while it does not answer."""
    return next((walk["state"] for walk in cluster.status_of(name).get("walks", []) if walk["name"] == _WALK), "")


def one_front_at_a_time_does_what_an_operator_asks_for(cluster: DatabaseCluster, leader: str, other: str) -> None:
    for name in (leader, other):
        for action in ("sweep", "rebalance"):
            admin = f"http://127.0.0.1:{cluster.ports[name] + 1}"
            with cluster.task_of_another_front(action):
                refused = ask(f"{admin}/{action}", "POST")
                assert (refused.status, b"another front" in refused.body) == (409, True), action
            assert ask(f"{admin}/{action}", "POST").status in {200, 202}
            wait_until(lambda: not cluster.tasks() - {"upkeep"}, "the leases given back")


def each_key_is_changed_once(cluster: DatabaseCluster) -> None:
    doors = cluster.s3_of_each()
    doors[0].prepare()
    race_to_create(doors, cluster.urls, CREATED)
    race_to_replace(doors, REPLACED)
    race_to_complete(doors, COMPLETED)
    TALLY["races for a key through S3 on two fronts"] += CREATED + REPLACED + COMPLETED


def the_upkeep_is_taken_over(cluster: DatabaseCluster) -> None:
    wait_until(cluster.upkeep, "a front that does the upkeep")
    leader = cluster.upkeep()
    [other] = cluster.ports.keys() - {leader}
    wait_until(lambda: walk_of(cluster, leader) == "idle", "the walks of the one front")
    wait_until(lambda: walk_of(cluster, other) == "elsewhere", "no walk of the other one")
    one_front_at_a_time_does_what_an_operator_asks_for(cluster, leader, other)
    url = f"http://127.0.0.1:{cluster.ports[other]}/large"
    put(url, os.urandom(3_000_000))
    assert ask(url, "DELETE").status == 204
    cluster.take_down(leader)
    assert not any(front["upkeep"] for front in cluster.status_of(other)["fronts"] if front["asked"])
    cluster.forget_the_dead()
    wait_until(lambda: cluster.upkeep() == other, "the upkeep taken over")
    wait_until(lambda: walk_of(cluster, other) == "idle", "the walks taken over")
    gone = [front["address"] for front in cluster.status_of(other)["fronts"] if front["gone"]]
    assert [address.rpartition(":")[2] for address in gone] == [str(cluster.ports[leader])]
    cluster.bring_up(leader)
    cluster.wait_ready()
    cluster.wait_reaped()
    assert cluster.upkeep() == other
    wait_until(lambda: walk_of(cluster, leader) == "elsewhere", "no walk of the one that is back")
    assert cluster.parts_stored() == cluster.parts_needed()
