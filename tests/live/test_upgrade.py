"""The front is replaced by the installed program while clients use it: no request fails."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
from pathlib import Path

from tests.live.clients import TIMEOUT_S, ask
from tests.live.conftest import Starter
from tests.live.local_cluster import FRONT, SPLITCTL, LocalCluster
from tests.live.processes import wait_until
from tests.live.upgrading import upgrade, upgrade_under_load
from tests.ports import free_ports
from tests.tally import TALLY

UPGRADES = 4
SETTINGS = {"stop_timeout_s": 120, "client_timeout_s": 300}
"""A busy machine may need long for each step."""


def test_no_request_fails_over_several_upgrades(module_cluster: LocalCluster) -> None:
    cluster = module_cluster
    pids = cluster.pids()
    kept, clients = upgrade_under_load(cluster, UPGRADES)
    assert all(each.told + each.closed >= UPGRADES for each in kept)
    assert cluster.pids() == pids  # it is the same process, so nobody took it for dead
    TALLY["idle connections that were closed meanwhile"] += sum(each.closed for each in kept)
    TALLY["upgrades of a front under load"] += UPGRADES
    TALLY["requests of clients meanwhile, none of which failed"] += sum(each.done * 2 for each in [*kept, *clients])


def test_an_upload_in_progress_is_finished_and_a_new_client_waits(module_cluster: LocalCluster) -> None:
    cluster = module_cluster
    with socket.create_connection(("127.0.0.1", cluster.port), TIMEOUT_S) as client:
        client.sendall(b"PUT /long HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000\r\n\r\n" + b"x" * 100_000)
        wait_until(lambda: cluster.status().get("uploads", {}).get("under_way") == 1, "the upload")
        os.kill(cluster.pids()[FRONT], signal.SIGUSR2)
        wait_until(lambda: "stops" in str(ask(f"{cluster.admin}/ready").body), "the old program ends")
        with socket.create_connection(("127.0.0.1", cluster.port), TIMEOUT_S) as late:
            late.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            client.sendall(b"x" * 300_000)
            assert client.recv(1000).startswith(b"HTTP/1.1 201 ")
            answer = b""
            while piece := late.recv(100_000):
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"x" * 400_000)
        wait_until(cluster.is_ready, "the successor", cluster.status)


def test_a_program_that_does_not_start_replaces_nothing(module_cluster: LocalCluster) -> None:
    cluster = module_cluster
    pid = cluster.pids()[FRONT]
    config = cluster.folder / "front" / "splitd.yaml"
    text = config.read_text()
    config.write_text(text + "nonsense: 1\n")
    log = cluster.folder / "log" / "front.log"
    os.kill(pid, signal.SIGUSR2)
    wait_until(lambda: "no upgrade: " in log.read_text(), "the refusal", log.read_text)
    assert "nonsense" in log.read_text()
    assert ask(f"{cluster.url}/a", "PUT", b"x").status == 201
    config.write_text(text)
    upgrade(cluster)
    assert ask(f"{cluster.url}/a").body == b"x"
    assert cluster.pids()[FRONT] == pid


def test_endpoints_with_tls_are_passed_on_too(own_cluster: Starter, tmp_path: Path) -> None:
    made = subprocess.run([SPLITCTL, "tls", "self-signed", "--dir", tmp_path / "tls"], check=False)
    assert made.returncode == 0
    port = free_ports()
    cluster = own_cluster(listen_tls=f"tls:{tmp_path}/tls:{port}:interface=127.0.0.1")
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "self-signed.pem"))

    def is_served() -> bool:
        with trust.wrap_socket(
            socket.create_connection(("127.0.0.1", port), TIMEOUT_S), server_hostname="localhost"
        ) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return client.recv(12) == b"HTTP/1.1 200"

    assert is_served()
    upgrade(cluster)
    assert is_served()


def test_endpoints_that_the_settings_name_no_more_are_closed_before_others_take_their_ports(
    own_cluster: Starter,
) -> None:
    cluster = own_cluster()
    pid = cluster.pids()[FRONT]
    config = cluster.folder / "front" / "splitd.yaml"
    text = config.read_text()
    assert f"tcp:{cluster.port}:" in text
    port = free_ports()
    config.write_text(text.replace(f"tcp:{cluster.port}:", f"tcp:{port}:"))
    upgrade(cluster)
    wait_until(lambda: ask(f"http://127.0.0.1:{port}/").status == 200, "the new port")
    with socket.socket() as refused:
        assert refused.connect_ex(("127.0.0.1", cluster.port)) != 0
    moved = text.replace(f"tcp:{cluster.port}:", f"tcp:{port}:backlog=100:")  # the same port for another endpoint
    config.write_text(moved.replace("workers: 1", "workers: 2"))
    cluster.workers = 2
    upgrade(cluster)  # with workers, another process listens for operators
    assert ask(f"http://127.0.0.1:{port}/").status == 200
    assert cluster.pids()[FRONT] == pid
