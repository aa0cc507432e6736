"""The messages of daemons that cannot start, and the way daemons stop."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.local_cluster import BLOCK
from tests.live.processes import wait_until
from tests.ports import free_ports

TWISTD = Path(sys.executable).with_name("twistd")
NODES = "- id: n1\n  url: http://127.0.0.1:1\n"


def start(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(TWISTD), "-n", "--pidfile=", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("0123456789abcdef\n")
    (tmp_path / "nodes.yaml").write_text(NODES)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["storaged", "--node", "n1", "--data", "d", "--cluster-key-file", "none"], "storaged: none: No such file"),
        (["storaged", "--data", "d", "--cluster-key-file", "key"], "missing required field `node`"),
        (["storaged", "--config", "none.yaml"], "none.yaml: No such file"),
        (
            ["splitd", "--data", "d", "--cluster-key-file", "key", "--registry", "no.yaml"],
            "splitd: no.yaml: No such file",
        ),
        (["splitd", "--data", "d", "--cluster-key-file", "key", "--registry", "key"], "splitd: key: line 1: should be"),
        (["splitd", "--data", "d", "--cluster-key-file", "key", "--registry", "nodes.yaml", "--unit", "x"], "unit"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_nothing_starts(
    folder: Path, arguments: list[str], told: str
) -> None:
    ended = start(*arguments, folder=folder)
    assert ended.returncode == 1
    assert told in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (folder / "d").exists()


def test_a_server_that_cannot_listen_ends_with_status_1(folder: Path) -> None:
    arguments = [
        "storaged",
        "--node",
        "n1",
        "--data",
        "d",
        "--cluster-key-file",
        "key",
        "--listen",
        "tcp:1:interface=192.0.2.1",
    ]
    ended = start(*arguments, folder=folder)
    assert ended.returncode == 1
    assert "cannot be listened at: Cannot assign requested address (EADDRNOTAVAIL)" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("endpoint", ["tcp:0:interface=::1", "tcp:http", "nowhere:1", "tcp:99999"])
def test_an_endpoint_that_is_none_is_told_in_one_line(folder: Path, endpoint: str) -> None:
    ended = start(
        "storaged", "--node", "n1", "--data", "d", "--cluster-key-file", "key", "--listen", endpoint, folder=folder
    )
    assert ended.returncode == 1
    [line] = [line for line in (ended.stdout + ended.stderr).splitlines() if "cannot start" in line]
    assert endpoint in line
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_front_that_everybody_could_use_does_not_start(folder: Path) -> None:
    common = ["--registry", "nodes.yaml", "--cluster-key-file", "key", "--data", "d"]
    for key, arguments in (("listen", ["--listen", "tcp:0"]), ("admin", ["--admin", "tcp:0"])):
        ended = start("splitd", *common, *arguments, folder=folder)
        assert ended.returncode == 1
        said = ended.stdout + ended.stderr
        assert f"{key}: tcp:0 can be reached from other machines" in said
        assert "--open-to-all" in said
        assert "Traceback" not in said
    missing = start("splitd", *common, "--users", "missing.yaml", folder=folder)
    assert "missing.yaml: No such file" in missing.stdout + missing.stderr
    (folder / "users.yaml").write_text("users: {anna: {pasword: x}}\n")
    wrong = start("splitd", *common, "--users", "users.yaml", folder=folder)
    assert "users.yaml: line 1: Object contains unknown field `pasword`" in wrong.stdout + wrong.stderr


def test_every_setting_is_in_the_help(folder: Path) -> None:
    for daemon, options in (("splitd", ["--registry", "--admin", "--unit"]), ("storaged", ["--node", "--reserve"])):
        told = start(daemon, "--help", folder=folder).stdout
        assert all(option in told for option in ["--config", "--listen", "--data", *options])


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def running(folder: Path, *arguments: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a daemon, and wait until it listens."""
    listen = f"tcp:{port}:interface=127.0.0.1"
    command = [TWISTD, "-n", "--pidfile=", *arguments, "--cluster-key-file", "key", "--data", "d", "--listen", listen]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            wait_until(lambda: can_connect(port), "the daemon listens")
            yield daemon
        finally:
            daemon.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("daemon", ["splitd", "storaged"])
def test_a_second_signal_ends_a_daemon_that_waits_for_a_client(
    folder: Path, daemon: str, number: signal.Signals
) -> None:
    port = free_ports(BLOCK)
    own = (
        ["--node", "n1"]
        if daemon == "storaged"
        else ["--registry", "nodes.yaml", "--admin", f"tcp:{port + 1}:interface=127.0.0.1"]
    )
    with (
        running(folder, daemon, *own, "--stop-timeout-s", "1000", port=port) as process,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: ")
        # It is read before the signal is: another client's answer comes after it.
        with socket.create_connection(("127.0.0.1", port)) as other:
            other.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 ")
        process.send_signal(number)
        wait_until(lambda: not can_connect(port), "the daemon takes nobody new")
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(60) == -number


@pytest.mark.parametrize("daemon", ["splitd", "storaged"])
def test_a_daemon_with_nothing_to_do_ends_at_the_first_signal(folder: Path, daemon: str) -> None:
    port = free_ports(BLOCK)
    own = (
        ["--node", "n1"]
        if daemon == "storaged"
        else ["--registry", "nodes.yaml", "--admin", f"tcp:{port + 1}:interface=127.0.0.1"]
    )
    with running(folder, daemon, *own, "--stop-timeout-s", "1000", port=port) as process:
        with socket.create_connection(("127.0.0.1", port)) as client:
            process.send_signal(signal.SIGTERM)
            assert client.recv(100) == b""
        assert process.wait(60) == -signal.SIGTERM
