"""`kill -9` of the processes of a front with workers, in the middle of transfers."""

from __future__ import annotations

import os
import random
import signal
import socket
from contextlib import closing
from pathlib import Path

from tests.live.clients import TIMEOUT_S, ask, put
from tests.live.killed_cluster import KilledCluster
from tests.live.local_cluster import FRONT, LocalCluster
from tests.live.processes import is_running, wait_until
from tests.live.remembering import end_well, remembering
from tests.live.workers import catalog_of, connections_of_each, kill_in_turn, read_answer, workers_in
from tests.tally import TALLY

KILLS = int(os.environ.get("SPLITD_KILLS", "60")) // 12
CLIENTS = 4
WORKERS = 2
SETTINGS = {"workers": WORKERS}
NODES = 7
FILE = os.urandom(2_000_000)


def test_a_worker_that_is_killed_ends_its_own_transfers_and_no_others(module_cluster: LocalCluster) -> None:
    cluster = module_cluster
    kept = put(f"{cluster.url}/kept", os.urandom(30_000_000))
    kept_bytes = ask(f"{cluster.url}/kept").body
    killed, alive = workers_in(cluster.status())
    with connections_of_each(cluster.port, [killed, alive], 2) as clients:
        for pid, (uploading, downloading, *_) in clients.items():
            length = b"Content-Length: %d\r\n" % len(FILE)
            uploading.sendall(b"PUT /of-%d HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (pid, length))
            uploading.sendall(FILE[:1_500_000])
            downloading.sendall(b"GET /kept HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: cluster.status()["uploads"]["under_way"] == WORKERS, "the uploads", cluster.status)
        wait_until(lambda: cluster.status()["downloads"]["under_way"] == WORKERS, "the downloads", cluster.status)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not is_running(killed), "the end of the worker")
        clients[alive][0].sendall(FILE[1_500_000:])
        assert read_answer(clients[alive][0])[0].startswith(b"HTTP/1.1 201 ")
        head, body = read_answer(clients[alive][1])
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == kept_bytes
    wait_until(lambda: len({*workers_in(cluster.status())} - {killed}) == WORKERS, "another worker", cluster.status)
    assert alive in workers_in(cluster.status())
    assert killed not in workers_in(cluster.status())
    assert ask(f"{cluster.url}/of-{killed}").status == 404
    stored = ask(f"{cluster.url}/of-{alive}")
    assert stored.body == FILE
    cluster.disks.wait_for_parts_of_only(kept, stored.etag)


def test_what_a_worker_reads_is_kept_when_the_catalogs_process_is_started_again(module_cluster: LocalCluster) -> None:
    cluster = module_cluster
    read = put(f"{cluster.url}/read", content := os.urandom(30_000_000))
    put(f"{cluster.url}/other", FILE)
    parts = cluster.disks.parts(read)
    with closing(socket.create_connection(("127.0.0.1", cluster.port), TIMEOUT_S)) as client:
        client.sendall(b"GET /read HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: cluster.status()["downloads"]["under_way"] == 1, "the download", cluster.status)
        assert ask(f"{cluster.url}/read", "DELETE").status == 204
        catalog = catalog_of(cluster.pids()[FRONT], workers_in(cluster.status()))
        os.kill(catalog, signal.SIGKILL)
        wait_until(lambda: not is_running(catalog), "the end of the catalog's process")
        wait_until(lambda: len(workers_in(cluster.status())) == WORKERS, "all workers", cluster.status)
        assert ask(f"{cluster.url}/other", "DELETE").status == 204
        cluster.disks.wait_for_parts_of_only(read)
        assert cluster.disks.parts(read) == parts
        assert read_answer(client)[1] == content
    cluster.disks.wait_for_parts_of_only()


def test_nothing_is_lost_and_nothing_is_left_whichever_process_is_killed(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("SPLITD_SEED", "1"))
    cluster = KilledCluster(tmp_path / "cluster", NODES, workers=WORKERS)
    order = [["worker", "catalog", "worker", "head", "node"][number % 5] for number in range(KILLS)]
    with remembering(cluster, CLIENTS, doubts=True) as clients:
        kill_in_turn(cluster, clients, order, chance, workers=WORKERS, longest_s=1.0)
        done = end_well(cluster, clients, cluster.wait_reaped)
    TALLY["kill -9 of the processes of a front with workers"] += KILLS
    for what, count in done.items():
        TALLY[f"{what.replace(' 0', ', no answer')}, with workers during kills"] += count
