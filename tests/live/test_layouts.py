"""A cluster whose files have parity, in real processes."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.live.clients import Command, ask, put
from tests.live.conftest import Starter
from tests.live.local_cluster import BLOCK, SPLITCTL
from tests.live.processes import wait_until
from tests.ports import free_ports

FILES = {"/large": os.urandom(30_000_001), "/small": os.urandom(4_000)}


def test_files_are_read_right_while_any_two_storage_servers_have_just_been_killed(own_cluster: Starter) -> None:
    cluster = own_cluster(layout="6+2", cache=0)
    nodes = [name for name in cluster.pids() if name.startswith("n")]
    assert len(nodes) == 8
    for path, data in FILES.items():
        put(cluster.url + path, data)
    for pair in itertools.islice(itertools.combinations(nodes, 2), 0, 28, 5):
        killed = cluster.kill(*pair)
        for path, data in FILES.items():
            found = ask(cluster.url + path)
            assert (found.status, found.body == data) == (200, True), (pair, path)
        cluster.wait_recovered(killed)
    status = json.loads(ask(f"{cluster.admin}/status").body)
    assert status["layout"] == "6+2"
    assert (status["downloads"]["degraded"] > 0, status["downloads"]["failed"]) == (True, 0)


def test_files_are_read_right_while_any_two_storage_servers_are_stopped(own_cluster: Starter) -> None:
    cluster = own_cluster(layout="6+2", cache=0, node_timeout_s=3600)
    for path, data in FILES.items():
        put(cluster.url + path, data)
    for first, second in [("n1", "n2"), ("n5", "n7")]:
        with cluster.paused(first), cluster.paused(second):
            for path, data in FILES.items():
                found = ask(cluster.url + path)
                assert (found.status, found.body == data) == (200, True), (first, second, path)
        wait_until(cluster.is_well, "all well again", cluster.status)
    status = cluster.status()
    assert (status["downloads"]["degraded"] > 0, status["downloads"]["failed"]) == (True, 0)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--layout", "6+2", "--nodes", "7"], "7 storage servers are too few: a file has 8 parts"),
        (["--layout", "6x2"], "not a layout: '6x2'"),
    ],
)
def test_a_layout_that_cannot_work_is_refused_and_nothing_is_made(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    folder = tmp_path / "cluster"
    command: Command = [SPLITCTL, "up", "--dir", folder, "--port", str(free_ports(BLOCK)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, reason in " ".join(done.stderr.split())) == (2, True), done.stderr
    assert not (folder / "front" / "data").exists()
