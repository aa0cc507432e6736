"""Any two of eight storage servers die at once, pair after pair, while clients store and read, and all is healed."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

from tests.live.clients import ask, put
from tests.live.killed_cluster import KilledCluster
from tests.live.load import Client, load
from tests.live.processes import wait_until
from tests.tally import EFFORT, TALLY

NODES = 8
PAIRS = list(itertools.combinations([f"n{number}" for number in range(1, NODES + 1)], 2))
SOME = 3
"""How many of the 28 pairs are killed if not all are."""

SIZES = [1, 5_000, 300_000, 6_000_001]
CLIENTS = 3


def pairs() -> list[tuple[str, str]]:
    """Return the pairs to kill: all of them with `make crash`, else some."""
    return PAIRS if EFFORT > 1 else random.Random(os.environ.get("SPLITD_SEED", "1")).sample(PAIRS, SOME)


def reads_right(cluster: KilledCluster, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        found = ask(cluster.url + path)
        assert (found.status, found.body == data) == (200, True), path
        start, stop = len(data) // 3, len(data) // 3 + min(70_000, len(data) // 2 + 1)
        part = ask(cluster.url + path, Range=f"bytes={start}-{stop - 1}")
        assert (part.status, part.body == data[start:stop]) == (206, True), path
        TALLY["bytes compared"] += len(found.body) + len(part.body)


def settle(clients: list[Client]) -> None:
    """Wait until the requests of all clients that are under way now have ended."""
    before = [client.done for client in clients]
    wait_until(
        lambda: all(each.done > done + 1 or each.wrong for each, done in zip(clients, before, strict=True)),
        "the end of all requests that were under way",
    )


def test_no_request_fails_whichever_two_storage_servers_die_and_all_is_healed(tmp_path: Path) -> None:
    cluster = KilledCluster(tmp_path / "cluster", NODES, layout="6+2", min_parts=6, cache=0)
    cluster.start()
    files = {f"/kept-{size}": os.urandom(size) for size in SIZES}
    try:
        for path, data in files.items():
            put(cluster.url + path, data)
        with load(cluster.url, CLIENTS, names=6) as clients:
            for number, pair in enumerate(pairs()):
                cluster.take_down(*pair)
                new = f"/new-{number}"
                files[new] = os.urandom(SIZES[number % len(SIZES)])
                put(cluster.url + new, files[new])
                reads_right(cluster, files)
                cluster.bring_up(*pair)
                cluster.wait_ready()
                settle(clients)  # those that began without the two have ended, and lack as many parts at most
                cluster.wait_healed()
                TALLY["pairs of nodes killed"] += 1
        cluster.wait_healed()
        cluster.wait_reaped()
        reads_right(cluster, files)
        status = cluster.status()
        assert (status["downloads"]["failed"], status["downloads"]["degraded"] > 0) == (0, True)
        assert cluster.parts_stored() == cluster.parts_needed()
    finally:
        cluster.stop()
