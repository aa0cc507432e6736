"""Workers: several processes serve one store, and any of them may end at any instant."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.clients import ask, numbered_pieces, piped_upload, put
from tests.live.conftest import Starter
from tests.live.local_cluster import FRONT, SPLITCTL, LocalCluster
from tests.live.processes import is_running, wait_until
from tests.live.upgrading import upgrade_under_load
from tests.live.workers import catalog_of as the_catalog_of
from tests.live.workers import connections_of_each, read_answer, read_head, value_of, wait_for_end, workers_in
from tests.ports import free_ports

FILE = os.urandom(3_000_001)
SMALL = os.urandom(4096)
SETTINGS = {"workers": 2}


def workers_of(cluster: LocalCluster) -> list[int]:
    """The processes that serve clients."""
    return workers_in(cluster.status())


def catalog_of(cluster: LocalCluster) -> int:
    """The process that keeps the catalog."""
    return the_catalog_of(cluster.pids()[FRONT], workers_of(cluster))


@pytest.fixture
def cluster(module_cluster: LocalCluster) -> LocalCluster:
    """A cluster with two workers, which the tests share."""
    wait_until(lambda: len(workers_of(module_cluster)) == 2, "both workers", module_cluster.status)
    return module_cluster


@contextmanager
def connections_to(cluster: LocalCluster, count: int) -> Iterator[list[HTTPConnection]]:
    """Connections that are open at the same time, so that each worker has some of them."""
    with ExitStack() as stack:
        made = [
            stack.enter_context(closing(HTTPConnection("127.0.0.1", cluster.port, timeout=60))) for _ in range(count)
        ]
        for each in made:
            each.connect()
        yield made


def request(connection: HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_what_one_connection_writes_all_others_read_at_once_and_all_is_counted(
    own_cluster: Starter, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    cluster = own_cluster(workers=2, access_log=str(log), access_log_format="json")
    assert len(workers_of(cluster)) == 2
    with connections_to(cluster, 8) as connections:
        for number, writer in enumerate(connections):
            body = number.to_bytes(2, "big") + SMALL
            assert request(writer, "PUT", "/f", body)[0] in {201, 204}
            assert [request(reader, "GET", "/f") for reader in connections] == [(200, body)] * len(connections)
        each_has = [int(line.split()[1]) for line in shares_of(cluster)]
        assert sum(each_has) >= len(connections)
        status = cluster.status()
        assert (status["uploads"]["committed"], status["downloads"]["finished"]) == (8, 64)
        assert status["connections"]["open"] >= len(connections)
        metrics = ask(f"{cluster.admin}/metrics").body.decode()
        assert 'splitd_requests_total{method="GET",status="200"} 64.0' in metrics
        assert "splitd_workers 2.0" in metrics
        wait_until(lambda: log.read_bytes().count(b'"GET"') == 64, "the lines of both workers")
        for connection in connections:  # whichever worker it has
            swept = request(connection, "POST", "/.splitd/api/cluster/act/sweep?dry_run=1")
            assert swept[0] == 200
            assert json.loads(swept[1])["dry_run"] is True
            for method, paused in (("DELETE", True), ("POST", False)):
                scrubs = request(connection, method, "/.splitd/api/cluster/act/scrub")
                assert [node["paused"] for node in json.loads(scrubs[1])["nodes"]] == [paused] * 6
            with closing(HTTPConnection("127.0.0.1", cluster.port, timeout=60)) as watching:
                watching.request("GET", "/.splitd/api/cluster/events")
                events = watching.getresponse()
                assert events.readline() == b"event: history\n"
                assert all(len(sample) == 7 for sample in json.loads(events.readline().removeprefix(b"data: ")))
                assert events.readline() == b"\n"
                shown = json.loads(events.readline().removeprefix(b"data: "))
                assert shown["sample"][3] >= 72
                assert len(shown["report"]["workers"]) == 2
        logged = [json.loads(line) for line in log.read_bytes().splitlines()]
        assert len({line["id"] for line in logged}) == len(logged)


def put_again(connection: HTTPConnection) -> int:
    """Store a small file; return the status, which says no more than that the catalog is away."""
    connection.request("PUT", "/new", SMALL)
    answer = connection.getresponse()
    answer.read()
    if answer.will_close:
        connection.close()
    assert answer.status in {201, 204, 503}
    return answer.status


def shares_of(cluster: LocalCluster) -> list[str]:
    """How many connections each worker has, by the system's table of open files."""
    return [f"{pid} {sum(1 for _ in Path(f'/proc/{pid}/fd').iterdir())}" for pid in workers_of(cluster)]


def test_a_worker_that_is_killed_leaves_nothing_of_its_uploads_and_is_started_again(
    cluster: LocalCluster,
) -> None:
    etag = put(f"{cluster.url}/kept", FILE)
    before = workers_of(cluster)
    with piped_upload(f"{cluster.url}/half") as upload:
        upload.feed(numbered_pieces(20))
        cluster.disks.wait_in_the_middle()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert upload.finish()[0] != 0
    wait_until(lambda: len(set(workers_of(cluster)) - set(before)) == 2, "other workers", cluster.status)
    assert ask(f"{cluster.url}/half").status == 404
    found = ask(f"{cluster.url}/kept")
    assert (found.status, found.etag, found.body) == (200, etag, FILE)
    cluster.disks.wait_for_parts_of_only(etag)


def test_while_the_catalog_is_away_clients_are_told_to_try_again_and_nothing_is_lost(
    cluster: LocalCluster,
) -> None:
    etag = put(f"{cluster.url}/kept", FILE)
    with connections_to(cluster, 4) as connections:
        catalog = catalog_of(cluster)
        os.kill(catalog, signal.SIGSTOP)
        connections[0].request("PUT", "/new", SMALL)
        answer = connections[0].getresponse()
        answer.read()
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        os.kill(catalog, signal.SIGKILL)
        wait_until(lambda: not is_running(catalog), "the end of the catalog's process")
        wait_until(lambda: put_again(connections[0]) in {201, 204}, "a file stored")
        wait_until(lambda: len(workers_of(cluster)) == 2, "the other worker connected again", cluster.status)
        assert request(connections[1], "GET", "/new") == (200, SMALL)
        found = ask(f"{cluster.url}/kept")
        assert (found.status, found.etag, found.body) == (200, etag, FILE)
        assert catalog_of(cluster) != catalog


def test_a_catalog_that_hangs_does_not_make_clients_wait_for_ever(cluster: LocalCluster) -> None:
    with connections_to(cluster, 1) as [connection]:
        assert request(connection, "PUT", "/kept", SMALL)[0] == 201
        assert request(connection, "GET", "/kept") == (200, SMALL)
        catalog = catalog_of(cluster)
        os.kill(catalog, signal.SIGSTOP)
        try:
            assert request(connection, "GET", "/kept") == (200, SMALL)  # nothing can have changed
            answer = ask(f"{cluster.url}/new", "PUT", SMALL)
            assert answer.status == 503
        finally:
            os.kill(catalog, signal.SIGCONT)
        wait_until(lambda: ask(f"{cluster.url}/new", "PUT", SMALL).status in {201, 204}, "a file stored")


def refuses(port: int) -> bool:
    """Whether nobody listens at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_stop_ends_all_processes_and_the_next_start_serves_the_same(own_cluster: Starter) -> None:
    cluster = own_cluster(workers=2)
    etag = put(f"{cluster.url}/kept", FILE)
    head, catalog, workers = cluster.pids()[FRONT], catalog_of(cluster), workers_of(cluster)
    with piped_upload(f"{cluster.url}/half") as upload:
        upload.feed(numbered_pieces(20))
        cluster.disks.wait_in_the_middle()
        cluster.send(signal.SIGTERM)
        wait_until(lambda: refuses(cluster.port), "new connections are refused")
        assert is_running(head)  # the upload goes on
        assert upload.finish()[0] == 0
    assert cluster.stop() == 0
    assert not [pid for pid in (head, catalog, *workers) if is_running(pid)]
    cluster.start()
    found = ask(f"{cluster.url}/kept")
    assert (found.status, found.etag, found.body) == (200, etag, FILE)


def test_all_processes_end_with_the_head_that_is_killed(cluster: LocalCluster) -> None:
    etag = put(f"{cluster.url}/kept", FILE)
    others = [catalog_of(cluster), *workers_of(cluster)]
    killed = cluster.kill(FRONT)
    wait_until(lambda: not any(map(is_running, others)), "the end of the others")
    cluster.wait_recovered(killed)
    assert ask(f"{cluster.url}/kept").etag == etag


def test_no_request_fails_while_all_processes_are_upgraded(own_cluster: Starter) -> None:
    # A busy machine may need long for each step.
    cluster = own_cluster(workers=2, stop_timeout_s=120, client_timeout_s=300)
    head, before = cluster.pids()[FRONT], workers_of(cluster)
    upgrade_under_load(cluster, 2)
    assert cluster.pids()[FRONT] == head
    assert not set(before) & set(workers_of(cluster))


def test_certificates_of_workers_are_in_the_status_and_refused_by_a_reload(
    own_cluster: Starter, tmp_path: Path
) -> None:
    folder, port = tmp_path / "tls", free_ports()
    assert subprocess.run([SPLITCTL, "tls", "self-signed", "--dir", folder], check=False).returncode == 0
    cluster = own_cluster(workers=2, listen_tls=f"tls:{folder}:{port}:interface=127.0.0.1")
    [certificate] = cluster.status()["certificates"]
    assert "localhost" in certificate["names"]
    (folder / "self-signed.pem").write_text("nonsense")
    answer = ask(f"{cluster.admin}/reload", "POST")
    assert answer.status == 422
    assert "self-signed.pem" in answer.body.decode()


def test_all_workers_know_what_a_reload_has_read_when_it_is_answered(cluster: LocalCluster) -> None:
    registry = cluster.folder / "nodes.yaml"
    text = registry.read_text()

    def store(clients: list[socket.socket]) -> list[bytes]:
        for client in clients:
            client.sendall(b"PUT /f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        return [read_answer(client)[0].split()[1] for client in clients]

    with connections_of_each(cluster.port, workers_of(cluster), 1) as connected:
        clients = [of_one[0] for of_one in connected.values()]
        registry.write_text(text.replace("- id: n1\n", "- id: n1\n  state: readonly\n"))
        assert ask(f"{cluster.admin}/reload", "POST").status == 200
        assert store(clients) == [b"507", b"507"]  # a file needs six nodes
        registry.write_text(text)
        assert ask(f"{cluster.admin}/reload", "POST").status == 200
        assert set(store(clients)) <= {b"201", b"204"}


def test_a_client_that_comes_back_to_another_worker_goes_on_where_it_was(cluster: LocalCluster) -> None:
    with connections_of_each(cluster.port, workers_of(cluster), 1) as connected:
        before, after = [of_one[0] for of_one in connected.values()]
        common = b"HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
        before.sendall(b"POST /.splitd/uploads %bUpload-Length: 10\r\n" % common)
        before.sendall(b"Upload-Metadata: filename Zg==\r\nContent-Length: 0\r\n\r\n")
        upload = urlsplit(value_of(b"location", read_head(before))).path.encode()
        body = b"Content-Type: application/offset+octet-stream\r\n"
        before.sendall(b"PATCH %b %b%bUpload-Offset: 0\r\n" % (upload, common, body))
        before.sendall(b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        assert read_head(before).startswith(b"HTTP/1.1 100 ")  # the worker waits for the body
        before.sendall(b"0123")
        after.sendall(b"HEAD %b %b\r\n" % (upload, common))
        offset = int(value_of(b"upload-offset", read_head(after)))
        wait_for_end(before)
        after.sendall(b"PATCH %b %b%bUpload-Offset: %d\r\n" % (upload, common, body, offset))
        after.sendall(b"Content-Length: %d\r\n\r\n%b" % (10 - offset, b"0123456789"[offset:]))
        assert read_head(after).startswith(b"HTTP/1.1 204 ")
    assert ask(f"{cluster.url}/f").body == b"0123456789"


def test_a_worker_or_a_catalogs_process_that_hangs_is_killed_where_a_service_manager_watches(
    own_cluster: Starter,
) -> None:
    cluster = own_cluster({"WATCHDOG_USEC": "10000000"}, workers=2)
    workers, catalog = workers_of(cluster), catalog_of(cluster)
    for pid in (workers[0], catalog):
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: not is_running(workers[0]) and not is_running(catalog), "the end of both")
    wait_until(lambda: len({*workers_of(cluster)} - {workers[0]}) == 2, "both workers", cluster.status)
    assert ask(f"{cluster.url}/f", "PUT", SMALL).status == 201
