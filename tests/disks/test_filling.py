"""Storage servers fill evenly, join under load, and are rebalanced under load; no disk overflows."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.disks.conftest import MIB, Mounter
from tests.live.clients import ask, put
from tests.live.load import load
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.live.splitctl import Splitctl
from tests.live.storage_server import storage_server
from tests.tally import MEASURED

NODES = 8
DISK = 256 * MIB
RESERVE = 16 * MIB
UPLOADS = 1000
SIZES = [0, 1, 700, 5_000, 40_000, 200_000, 400_000, 1_000_000, 2_000_000]
AT_ONCE = 16


@pytest.fixture
def cluster(tmp_path: Path, mount: Mounter) -> Iterator[LocalCluster]:
    """Eight storage servers, each on its own disk."""
    made = LocalCluster(tmp_path / "cluster", cache="0")
    for number in range(1, NODES + 1):
        folder = made.folder / "nodes" / f"n{number}"
        mount(folder / "data", DISK)
        (folder / "storaged.yaml").write_text(yaml.safe_dump({"reserve": RESERVE}))
    try:
        made.start()
        yield made
    finally:
        assert made.stop() == 0
        assert not made.faults()


def levels(cluster: LocalCluster) -> dict[str, float]:
    """Return how full the nodes are."""
    return {node["id"]: node["fill"] for node in cluster.status()["nodes"]}


def fills(cluster: LocalCluster, moment: str) -> dict[str, float]:
    """Return how full the nodes are, and record it for the end of the run."""
    found = levels(cluster)
    line = "  ".join(f"{node} {100 * fill:4.1f}" for node, fill in found.items())
    MEASURED.append(f"fill in % {moment:32}  {line}   spread {100 * spread(found):.2f}")
    return found


def spread(found: dict[str, float]) -> float:
    return max(found.values()) - min(found.values())


def upload(cluster: LocalCluster, count: int, seed: int) -> None:
    chance = random.Random(seed)
    sizes = [chance.choice(SIZES) for _ in range(count)]

    def store(number: int) -> None:
        put(f"{cluster.url}/file-{seed}-{number}", os.urandom(sizes[number]))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(store, range(count)))


def test_a_node_that_joins_under_load_is_filled_and_a_rebalance_evens_out_and_no_request_fails(
    cluster: LocalCluster, tmp_path: Path, mount: Mounter
) -> None:
    splitctl = Splitctl(cluster, tmp_path)
    upload(cluster, UPLOADS, seed=1)
    assert spread(fills(cluster, f"after {UPLOADS:,} uploads")) < 0.01
    mount(tmp_path / "n9" / "data", DISK)
    with storage_server(cluster, tmp_path / "n9", "n9", reserve=RESERVE) as url:
        with load(cluster.url, 3, names=6) as clients:
            wait_until(lambda: all(client.done for client in clients), "the load")
            splitctl.run("nodes", "add", "--id", "n9", "--url", url)
            upload(cluster, UPLOADS // 4, seed=2)
            before = fills(cluster, f"after a node joined, {UPLOADS // 4} more")
            assert 0 < before["n9"] < min(fill for node, fill in before.items() if node != "n9")
            served = sum(client.done for client in clients)
            (done,) = splitctl.documents("rebalance", "--target", "1")
        assert (done["state"], done["failed"]) == ("done", 0)
        # What clients replaced meanwhile is deleted first; the front asks the nodes for their room from time to time.
        wait_until(
            lambda: spread(levels(cluster)) < 0.02, "nodes that are evenly full", lambda: (done, levels(cluster))
        )
        fills(cluster, f"after a rebalance, {done['moved']} parts")
        MEASURED.append(f"requests of clients during both: {2 * served:,}, failed: 0")
        stored = int(cluster.status()["files"])
        assert stored > UPLOADS
        check_files(cluster)
        assert cluster.stop() == 0


def check_files(cluster: LocalCluster) -> None:
    """Check that every stored file can be read to its last byte."""
    for seed, count in ((1, UPLOADS), (2, UPLOADS // 4)):
        chance = random.Random(seed)
        for number in range(count):
            size = chance.choice(SIZES)
            answer = ask(f"{cluster.url}/file-{seed}-{number}")
            assert (answer.status, len(answer.body)) == (200, size)


def test_a_full_cluster_says_507_before_the_body_and_no_disk_goes_below_its_reserve(cluster: LocalCluster) -> None:
    least: dict[Path, int] = {}
    over = threading.Event()
    disks = [cluster.folder / "nodes" / f"n{number}" / "data" for number in range(1, NODES + 1)]

    def watch() -> None:
        while not over.wait(0.01):
            for disk in disks:
                volume = os.statvfs(disk)
                free = volume.f_bavail * volume.f_frsize
                least[disk] = min(least.get(disk, free), free)

    watcher = threading.Thread(target=watch)
    watcher.start()
    statuses: list[int] = []

    def store(number: int) -> None:
        data = os.urandom(3 * MIB)
        # Half of them of unknown length, for which nothing can be promised.
        body: Any = data if number % 2 else iter([data[: 2 * MIB], data[2 * MIB :]])
        statuses.append(ask(f"{cluster.url}/{number}", "PUT", body).status)

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(store, range(int(1.1 * NODES * DISK) // (3 * MIB))))
    finally:
        over.set()
        watcher.join()
    assert set(statuses) <= {201, 503, 507}
    assert statuses.count(201) * 3 * MIB > 0.8 * NODES * (DISK - RESERVE)
    assert statuses.count(507) >= AT_ONCE
    # Nodes that were out of room while others wrote may have some again, now that nothing is under way.
    large, most = bytes(30 * MIB), NODES * DISK // (30 * MIB)
    answers = (ask(f"{cluster.url}/more-{number}", "PUT", large, Expect="100-continue") for number in range(most))
    answer = next(answer for answer in answers if answer.status != 201)
    assert answer.status == 507
    assert b"bytes free are needed" in answer.body or b"nodes are needed" in answer.body
    assert min(least.values()) >= RESERVE - MIB // 2, "packs and folders take a little themselves"
    MEASURED.append(
        f"a full cluster: {statuses.count(201)} files stored, {statuses.count(507)} refused in advance, "
        f"{statuses.count(503)} in the middle; least free on any disk {min(least.values()) / MIB:.1f} MiB, "
        f"{RESERVE / MIB:.0f} are reserved"
    )

    def others() -> list[Any]:
        return [node for node in cluster.status()["nodes"] if node["state"] not in {"up", "full"}]

    wait_until(lambda: not others(), "all nodes up or full again", others)
    assert ask(f"{cluster.url}/0", "DELETE").status in {204, 404}
