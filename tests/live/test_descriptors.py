"""Real processes that may have few files open: clients wait, or get a clear no, and no node is blamed."""

from __future__ import annotations

import json
import os
import resource
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from tests.live.clients import ask
from tests.live.conftest import Starter
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until

FEW = 260
CLIENTS = 60
ROUNDS = 6
SIZES = [10, 100_000, 3_000_000]
_LOOK_S = 0.05


def status(cluster: LocalCluster) -> Any:
    return json.loads(ask(f"{cluster.admin}/status").body)


def states(cluster: LocalCluster) -> set[str]:
    """The states of the nodes; none where the front does not say."""
    answer = ask(f"{cluster.admin}/status")
    return {node["state"] for node in json.loads(answer.body)["nodes"]} if answer.status == 200 else set()


def run(cluster: LocalCluster, number: int) -> Counter[int]:
    """A client that stores and reads files: the statuses that it got, 0 where it got none."""
    seen: Counter[int] = Counter()
    for turn in range(ROUNDS):
        data = os.urandom(SIZES[(number + turn) % len(SIZES)])
        url = f"{cluster.url}/{number}-{turn}"
        stored = ask(url, "PUT", data)
        read = ask(url)
        seen.update((stored.status, read.status))
        if stored.status == 201:
            assert read.status in {0, 503} or (read.status, read.body == data) == (200, True), read.status
    return seen


def everything_works(cluster: LocalCluster, name: str) -> bool:
    data = os.urandom(SIZES[-1])
    return ask(f"{cluster.url}/{name}", "PUT", data).status in {201, 204} and (
        ask(f"{cluster.url}/{name}").body == data
    )


def storm(cluster: LocalCluster) -> Counter[int]:
    """Many clients at once, and a look at the nodes all the time: all statuses that they got."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients: list[Future[Counter[int]]] = [pool.submit(run, cluster, number) for number in range(CLIENTS)]
        while wait(clients, _LOOK_S).not_done:
            assert states(cluster) <= {"up"}
    total: Counter[int] = Counter()
    for client in clients:
        total += client.result()
    return total


def test_more_clients_than_descriptors_are_all_served(own_cluster: Starter) -> None:
    cluster = own_cluster(descriptors=FEW)
    limits = status(cluster)["connections"]
    assert limits["descriptor_limit"] == FEW
    assert 1 <= limits["limit"] < CLIENTS
    assert set(storm(cluster)) <= {200, 201, 404, 503}
    wait_until(lambda: not status(cluster)["connections"]["waiting"], "nobody waits")
    assert everything_works(cluster, "after")
    assert states(cluster) == {"up"}
    assert status(cluster)["connections"]["descriptors"] < FEW


@contextmanager
def lowered(pid: int, limit: int) -> Iterator[None]:
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_limit_that_is_lowered_under_a_front_harms_no_node(own_cluster: Starter) -> None:
    cluster = own_cluster()
    assert everything_works(cluster, "before")
    connections = status(cluster)["connections"]
    # The front still believes that it has many: connections to nodes fail.
    with lowered(cluster.pids()["front"], connections["descriptors"] + 20):
        seen = storm(cluster)
    assert everything_works(cluster, "after")
    assert states(cluster) == {"up"}
    assert seen[503] or seen[0], seen
    log = (cluster.folder / "log" / "front.log").read_text()
    assert ": down" not in log
