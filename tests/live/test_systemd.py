"""The daemons under systemd: what they tell it, the port that it holds for them, and how far the units shut them in."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from tests.live.clients import ask
from tests.live.processes import wait_until
from tests.ports import free_ports

UNITS = Path(__file__).parents[2] / "config" / "systemd"
TWISTD = Path(sys.executable).with_name("twistd")
TIMEOUT_S = 60.0


@contextmanager
def storaged(
    folder: Path, listen: str, environment: dict[str, str], **more: object
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a storage server as systemd does; end it at the end of the block."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "key").write_text("k" * 32)
    settings = {"node": "n1", "data": str(folder / "data"), "cluster_key_file": str(folder / "key"), "listen": listen}
    (folder / "n1.yaml").write_text(yaml.safe_dump(settings))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            # As systemd does: the number of the process is known only when it runs.
            ["sh", "-c", 'exec env LISTEN_PID=$$ WATCHDOG_PID=$$ "$@"', "sh", TWISTD, "--nodaemon", "--pidfile=",
             "storaged", "--config", folder / "n1.yaml"],
            env={**os.environ, **environment}, stdout=log, stderr=log, cwd=folder, **more,  # type: ignore[call-overload]
        )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) in {0, -signal.SIGTERM}  # Twisted ends by the signal that it got


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd listens to its services."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(TIMEOUT_S)
        yield bound


def heard(manager: socket.socket) -> list[bytes]:
    """Return all messages that have come."""
    manager.settimeout(0)
    told = []
    with suppress(BlockingIOError):
        while True:
            told.append(manager.recv(100))
    return told


def test_a_daemon_tells_that_it_serves_lives_and_stops(manager: socket.socket, tmp_path: Path) -> None:
    port = free_ports()
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    with storaged(tmp_path, f"tcp:{port}:interface=127.0.0.1", environment):
        assert manager.recv(100) == b"READY=1"
        assert ask(f"http://127.0.0.1:{port}/health").status == 200
        assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    told = heard(manager)
    assert told[-1] == b"STOPPING=1"
    assert set(told[:-1]) <= {b"WATCHDOG=1"}


def test_a_daemon_that_cannot_start_never_says_that_it_serves(manager: socket.socket, tmp_path: Path) -> None:
    port = free_ports()
    with socket.create_server(("127.0.0.1", port)):
        process = subprocess.run(
            [TWISTD, "--nodaemon", "--pidfile=", "storaged", "--node", "n1", "--data", tmp_path / "d",
             "--cluster-key-file", _key(tmp_path), "--listen", f"tcp:{port}:interface=127.0.0.1"],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}, capture_output=True, timeout=TIMEOUT_S,
            check=False, cwd=tmp_path,
        )  # fmt: skip
    assert process.returncode == 1
    assert b"READY=1" not in heard(manager)


def _key(folder: Path) -> Path:
    (folder / "key").write_text("k" * 32)
    return folder / "key"


def test_no_client_is_refused_while_a_daemon_is_restarted(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(100)
        url = f"http://127.0.0.1:{held.getsockname()[1]}/health"

        def take_third() -> None:
            os.dup2(held.fileno(), 3)  # the first socket that systemd passes on (sd_listen_fds(3))

        serving = {"preexec_fn": take_third, "pass_fds": [3]}
        with storaged(
            tmp_path, "systemd:domain=INET:index=0", {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "splitd.socket"}, **serving
        ):
            wait_until(lambda: ask(url).status == 200, "a storage server", (tmp_path / "log").read_text)
        with socket.create_connection(held.getsockname(), TIMEOUT_S) as waiting:  # while none runs
            waiting.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with storaged(
                tmp_path,
                "systemd:domain=INET:index=0",
                {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "splitd.socket"},
                **serving,
            ):
                assert waiting.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("unit", ["splitd.service", "storaged@.service"])
def test_the_units_shut_the_daemons_in(unit: str) -> None:
    found = shutil.which("systemd-analyze")
    assert found, "systemd-analyze is missing; on Debian: apt-get install systemd"
    done = subprocess.run(
        [found, "security", "--offline=yes", "--threshold=20", UNITS / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "Overall exposure level" in done.stdout
