"""The front is replaced by the installed program while clients use it: no request fails."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.clients import TIMEOUT_S, ask
from tests.live.load import load
from tests.live.local_cluster import FRONT, SPLITCTL, LocalCluster
from tests.live.processes import wait_until
from tests.ports import free_ports
from tests.tally import TALLY

UPGRADES = 4


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    # A busy machine may need long for each step.
    made = LocalCluster(tmp_path / "cluster", stop_timeout_s=120, client_timeout_s=300)
    try:
        made.start()
        yield made
    finally:
        made.remove()


class Kept(threading.Thread):
    """Stores and reads small files on one connection.  It makes a new one if an answer says that it ends, or, as RFC
    9112 section 9.3.1 has it, if it was closed while it was idle.

    :ivar told: how often an answer said so.
    :ivar closed: how often it was closed.
    """

    def __init__(self, cluster: LocalCluster, number: int) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=TIMEOUT_S)
        self._path = f"/kept-{number}"
        self._over = threading.Event()
        self.done = 0
        self.told = 0
        self.closed = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        try:
            while not self._over.is_set():
                data = b"%d" % self.done * 50
                assert self._ask("PUT", data)[0] in {201, 204}
                assert self._ask("GET") == (200, data)
                self.done += 1
        except Exception as problem:
            self.wrong.append(f"request {self.done}: {problem!r}")
        finally:
            self._connection.close()

    def _ask(self, method: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            return self._try(method, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # It was idle for more than the second in which one more request is taken, as on a busy machine.
            self.closed += 1
            self._connection.close()
            return self._try(method, body)

    def _try(self, method: str, body: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, self._path, body)
        answer = self._connection.getresponse()
        found = answer.read()
        self.told += answer.will_close
        return answer.status, found  # http.client connects anew if the answer says that the connection ends

    def end(self) -> None:
        self._over.set()
        self.join()


def epoch(cluster: LocalCluster) -> int:
    """Return the epoch of the front; 0 while it does not answer."""
    status = cluster.status()
    return int(status["journal"]["copies"]["epoch"]) if status else 0


def upgrade(cluster: LocalCluster) -> None:
    """Have the front replaced, and wait until its successor serves."""
    before = wait_until(lambda: epoch(cluster), "the epoch")
    os.kill(cluster.pids()[FRONT], signal.SIGUSR2)
    wait_until(lambda: epoch(cluster) > before, "the successor")
    wait_until(cluster.is_ready, "the successor ready", cluster.status)


def test_no_request_fails_over_several_upgrades(cluster: LocalCluster) -> None:
    pids = cluster.pids()
    kept = [Kept(cluster, number) for number in range(3)]
    for each in kept:
        each.start()
    with load(cluster.url, clients=2, names=6) as clients:
        for _ in range(UPGRADES):
            done = [each.done for each in [*kept, *clients]]
            wait_until(
                lambda done=done: all(  # type: ignore[misc]
                    each.done > before or each.wrong for each, before in zip([*kept, *clients], done, strict=True)
                ),
                "every client at work",
            )
            upgrade(cluster)
    for each in kept:
        each.end()
    assert [wrong for each in [*kept, *clients] for wrong in each.wrong] == []
    assert all(each.told + each.closed >= UPGRADES for each in kept)
    assert cluster.pids() == pids  # it is the same process, so nobody took it for dead
    TALLY["idle connections that were closed meanwhile"] += sum(each.closed for each in kept)
    TALLY["upgrades of a front under load"] += UPGRADES
    TALLY["requests of clients meanwhile, none of which failed"] += sum(each.done * 2 for each in [*kept, *clients])


def test_an_upload_in_progress_is_finished_and_a_new_client_waits(cluster: LocalCluster) -> None:
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


def test_a_program_that_does_not_start_replaces_nothing(cluster: LocalCluster) -> None:
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


def test_endpoints_with_tls_are_passed_on_too(tmp_path: Path) -> None:
    made = subprocess.run([SPLITCTL, "tls", "self-signed", "--dir", tmp_path / "tls"], check=False)
    assert made.returncode == 0
    port = free_ports()
    cluster = LocalCluster(tmp_path / "cluster", listen_tls=f"tls:{tmp_path}/tls:{port}:interface=127.0.0.1")
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "self-signed.pem"))
    try:
        cluster.start()
        for _ in range(2):
            with trust.wrap_socket(
                socket.create_connection(("127.0.0.1", port), TIMEOUT_S), server_hostname="localhost"
            ) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.1 200"
            upgrade(cluster)
    finally:
        cluster.remove()


def test_a_port_that_the_settings_name_no_more_is_closed(cluster: LocalCluster) -> None:
    config = cluster.folder / "front" / "splitd.yaml"
    text = config.read_text()
    assert f"tcp:{cluster.port}:" in text
    port = free_ports()
    config.write_text(text.replace(f"tcp:{cluster.port}:", f"tcp:{port}:"))
    upgrade(cluster)
    wait_until(lambda: ask(f"http://127.0.0.1:{port}/").status == 200, "the new port")
    with socket.socket() as refused:
        assert refused.connect_ex(("127.0.0.1", cluster.port)) != 0
