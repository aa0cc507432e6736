"""Workers over a catalog in a database: each asks the database itself, and any process may end at any instant."""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.clients import ask
from tests.live.database_cluster import DatabaseCluster
from tests.live.local_cluster import FRONT
from tests.live.processes import wait_until
from tests.live.remembering import end_well, remembering
from tests.live.workers import catalog_of, connections_of_each, kill_in_turn, read_answer, value_of, workers_in
from tests.postgres import Postgres
from tests.tally import TALLY

KILLS = int(os.environ.get("SPLITD_KILLS", "5"))
CLIENTS = 4
WORKERS = 2
NODES = 7
SMALL = os.urandom(4096)
FILE = os.urandom(2_000_000)


def send(client: socket.socket, method: bytes, path: bytes, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request on a connection; return the status of the answer, and its body."""
    head = b"%b %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (method, path, len(body))
    client.sendall(head + body)
    answered, got = read_answer(client)
    return int(answered.split()[1]), got


def make_cluster(folder: Path, server: Postgres) -> DatabaseCluster:
    url = server.url("public")
    return DatabaseCluster(folder / "cluster", NODES, url, workers=WORKERS, reap_interval_s=1)


@contextmanager
def running(folder: Path, server: Postgres) -> Iterator[DatabaseCluster]:
    """Start a cluster, and stop it at the end."""
    cluster = make_cluster(folder, server)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def catalogs_process(cluster: DatabaseCluster) -> int:
    return catalog_of(cluster.daemons[FRONT].pid, workers_in(cluster.status()))


def test_each_worker_is_a_front_to_the_database_and_serves_while_the_other_processes_hang(
    tmp_path: Path, server: Postgres
) -> None:
    with running(tmp_path, server) as cluster:
        wait_until(cluster.upkeep, "the upkeep")
        status = cluster.status()
        addresses = {front["address"].rpartition(":")[2]: front["upkeep"] for front in status["fronts"]}
        port = str(cluster.port)
        assert addresses == {port: ["upkeep"], f"{port} worker 0": [], f"{port} worker 1": []}
        with connections_of_each(cluster.port, workers_in(status), 1) as connected:
            clients = [of_one[0] for of_one in connected.values()]
            for number, writer in enumerate(clients):
                body = number.to_bytes(2, "big") + SMALL
                assert send(writer, b"PUT", b"/f", body)[0] in {201, 204}
                assert [send(reader, b"GET", b"/f") for reader in clients] == [(200, body)] * WORKERS
            status = cluster.status()
            assert (status["uploads"]["committed"], status["downloads"]["finished"]) == (WORKERS, WORKERS**2)
            assert "splitd_workers 2.0" in ask(f"http://127.0.0.1:{cluster.port + 1}/metrics").body.decode()
            registry = cluster.folder / "nodes.yaml"
            registry.write_text(registry.read_text().replace("- id: n1\n", "- id: n1\n  weight: 2\n"))
            assert ask(f"http://127.0.0.1:{cluster.port + 1}/reload", "POST").status == 200
            catalog = catalogs_process(cluster)
            os.kill(catalog, signal.SIGSTOP)
            try:
                for number, client in enumerate(clients):
                    assert send(client, b"PUT", b"/while-it-hangs-%d" % number, SMALL)[0] == 201
                    assert send(client, b"GET", b"/while-it-hangs-%d" % number) == (200, SMALL)
            finally:
                os.kill(catalog, signal.SIGCONT)
    with server.connect("public") as connection:
        left = connection.execute("SELECT id FROM front UNION SELECT front FROM lease").fetchall()
    connection.close()
    assert left == []


def test_the_uploads_of_a_worker_that_is_killed_are_aborted_before_its_lease_ends(
    tmp_path: Path, server: Postgres
) -> None:
    with running(tmp_path, server) as cluster:
        killed, alive = workers_in(cluster.status())
        with connections_of_each(cluster.port, [killed, alive], 1) as clients:
            for pid, [uploading] in clients.items():
                length = b"Content-Length: %d\r\n" % len(FILE)
                uploading.sendall(b"PUT /of-%d HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (pid, length))
                uploading.sendall(FILE[:1_500_000])
            wait_until(lambda: cluster.uploads_begun() == WORKERS, "the uploads", cluster.status)
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: cluster.uploads_begun() == 1, "the abort", cluster.status)
            clients[alive][0].sendall(FILE[1_500_000:])
            assert read_answer(clients[alive][0])[0].startswith(b"HTTP/1.1 201 ")
        wait_until(lambda: len({*workers_in(cluster.status())} - {killed}) == WORKERS, "another one", cluster.status)
        assert [front["address"] for front in cluster.status()["fronts"] if front["gone"]] == []
        assert len(cluster.status()["fronts"]) == WORKERS + 1
        assert ask(f"{cluster.url}/of-{killed}").status == 404
        assert ask(f"{cluster.url}/of-{alive}").body == FILE
        cluster.wait_reaped()
        assert cluster.parts_stored() == cluster.parts_needed()


def test_while_the_database_is_away_each_worker_says_so_and_serves_when_it_is_back(
    tmp_path: Path, server: Postgres
) -> None:
    with running(tmp_path, server) as cluster:
        assert ask(f"{cluster.url}/kept", "PUT", SMALL).status == 201
        serving = workers_in(cluster.status())
        server.kill()
        with connections_of_each(cluster.port, serving, 2) as connected:
            for reading, writing in connected.values():
                for client, asked in ((reading, b"GET"), (writing, b"PUT")):
                    length = len(SMALL) if asked == b"PUT" else 0
                    client.sendall(
                        b"%b /kept HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (asked, length)
                    )
                    head, _ = read_answer(client)
                    assert head.startswith(b"HTTP/1.1 503 "), head
                    assert int(value_of(b"retry-after", head)) > 0
        server.start()
        cluster.wait_ready()
        assert workers_in(cluster.status()) == serving

        def serve_again() -> bool:
            with connections_of_each(cluster.port, serving, 1) as connected:
                return all(send(of_one[0], b"PUT", b"/new", SMALL)[0] in {201, 204} for of_one in connected.values())

        wait_until(serve_again, "both workers store again")
        assert ask(f"{cluster.url}/kept").body == SMALL


def test_nothing_is_lost_and_nothing_is_left_whichever_process_is_killed(tmp_path: Path, server: Postgres) -> None:
    chance = random.Random(os.environ.get("SPLITD_SEED", "1"))
    cluster = make_cluster(tmp_path, server)
    order = [["worker", "catalog", "database", "head", "node"][number % 5] for number in range(KILLS)]

    def kill_database() -> None:
        server.kill()
        server.start()

    with remembering(cluster, CLIENTS, doubts=True) as clients:
        kill_in_turn(cluster, clients, order, chance, workers=WORKERS, others={"database": kill_database})
        done = end_well(cluster, clients, cluster.wait_reaped)
    TALLY["kill -9 of the processes of a front with workers and a database"] += KILLS
    assert done["PUT 0"] + done["PUT 503"] > 0, "some were hit"
