"""`splitctl up` starts a cluster, supervises it, and stops it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.live.clients import Command, ask, put
from tests.live.conftest import Starter
from tests.live.local_cluster import BLOCK, FRONT, PORT_TAKEN, SPLITCTL, LocalCluster
from tests.live.processes import is_running, wait_until
from tests.ports import free_ports

DATA = os.urandom(1_000_001)


def up(folder: Path, port: int, expected: int) -> str:
    """Run a `splitctl up` that cannot start; return its output."""
    command: Command = [SPLITCTL, "up", "--dir", folder, "--port", str(port)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == expected, done
    return done.stderr.decode()


def test_a_signal_stops_all_and_the_same_files_are_there_after_the_next_start(own_cluster: Starter) -> None:
    cluster = own_cluster()
    etag = put(f"{cluster.url}/file", DATA)
    for number in (signal.SIGTERM, signal.SIGINT):
        pids = cluster.pids()
        assert cluster.stop(number) == 0
        assert not [pid for pid in pids.values() if is_running(pid)]
        assert not cluster.ready_file.exists()
        cluster.start()
        found = ask(f"{cluster.url}/file")
        assert (found.status, found.etag) == (200, etag)
        assert found.body == DATA
    cluster.disks.wait_for_parts_of_only(etag)


def test_a_second_one_in_the_same_folder_is_refused_and_does_no_harm(cluster: LocalCluster) -> None:
    before = cluster.ready_file.read_text()
    assert str(cluster.folder) in up(cluster.folder, free_ports(BLOCK), 1)
    assert cluster.ready_file.read_text() == before
    wait_until(cluster.is_ready, "all ready", cluster.status)


@pytest.mark.parametrize(("offset", "user"), [(0, "front"), (1, "operators"), (13, "n3")])
def test_a_port_that_is_taken_is_told_by_its_number(tmp_path: Path, offset: int, user: str) -> None:
    port = free_ports(BLOCK)
    with socket.create_server(("127.0.0.1", port + offset)):
        said = up(tmp_path / "cluster", port, PORT_TAKEN)
    assert str(port + offset) in said
    assert user in said
    assert not (tmp_path / "cluster" / "cluster.json").exists()


def test_each_daemon_that_is_killed_is_started_again(module_cluster: LocalCluster) -> None:
    etag = put(f"{module_cluster.url}/file", DATA)
    before = module_cluster.pids()
    for name in ("n1", FRONT):
        module_cluster.wait_recovered(module_cluster.kill(name))
    after = module_cluster.pids()
    assert {name for name in before if before[name] != after[name]} == {"n1", FRONT}
    found = ask(f"{module_cluster.url}/file")
    assert (found.etag, found.body == DATA) == (etag, True)


def test_a_signal_that_nodes_were_added_where_there_are_none_does_no_harm(module_cluster: LocalCluster) -> None:
    before, ready = module_cluster.pids(), module_cluster.ready_file.stat().st_ino
    module_cluster.send(signal.SIGUSR1)
    wait_until(lambda: module_cluster.ready_file.stat().st_ino != ready, "cluster.json written anew")
    assert module_cluster.pids() == before


def test_no_daemon_outlives_a_splitctl_that_is_killed(module_cluster: LocalCluster) -> None:
    put(f"{module_cluster.url}/file", DATA)
    pids = module_cluster.pids()
    assert module_cluster.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not [pid for pid in pids.values() if is_running(pid)], "the end of all daemons", lambda: pids)
    module_cluster.start()
    assert ask(f"{module_cluster.url}/file").body == DATA
