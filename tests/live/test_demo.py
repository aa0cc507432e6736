"""`splitctl demo`: every step of the tour passes, and the tour leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from splitd.cli.demo.tour import STEPS
from tests.live.clients import Command, ask, put, running
from tests.live.local_cluster import SPLITCTL, LocalCluster
from tests.live.processes import is_running, wait_until

DATA = os.urandom(100_001)
NEED_A_CLUSTER_OF_THEIR_OWN = [5, 8, 10, 11, 12, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment, with the test's own place for temporary files."""
    kept = {name: value for name, value in os.environ.items() if name not in {"SPLITD_URL", "SPLITD_ADMIN"}}
    return {**kept, "TMPDIR": str(folder)}


def tour(folder: Path, *options: str, layout: str = "") -> Any:
    """Run a tour that must pass; return its JSON output."""
    cut = ["--layout", layout] if layout else []
    command: Command = [SPLITCTL, "--json", *options, "demo", "--size", "8MiB", *cut]
    done = subprocess.run(command, capture_output=True, env=surroundings(folder), timeout=900, check=False)
    told = json.loads(done.stdout or "{}")
    failed = [(step["number"], step["problem"], step["checks"]) for step in told["steps"] if step["result"] == "failed"]
    assert done.returncode == 0, (failed, done.stderr)
    assert not list(folder.iterdir())
    return told


def test_every_step_passes_on_a_cluster_of_its_own(tmp_path: Path) -> None:
    told = tour(tmp_path)
    assert told["passed"]
    assert [step["number"] for step in told["steps"]] == list(range(1, len(STEPS) + 1))
    for step in told["steps"]:
        assert step["result"] == "passed", step
        assert step["checks"]


def test_every_step_passes_where_all_files_have_parity(tmp_path: Path) -> None:
    told = tour(tmp_path, layout="4+2")
    assert told["passed"]
    # Two are about files that have none.
    assert [step["number"] for step in told["steps"] if step["result"] == "left out"] == [10, 11]
    assert {step["result"] for step in told["steps"]} == {"passed", "left out"}


def test_a_tour_of_a_running_service_leaves_out_the_harm_and_leaves_nothing_behind(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    etag = put(f"{cluster.url}/not-the-tours", DATA)
    before = cluster.status()["files"]
    told = tour(tmp_path, "--url", cluster.url)
    assert [step["number"] for step in told["steps"] if step["result"] == "left out"] == NEED_A_CLUSTER_OF_THEIR_OWN
    assert {step["result"] for step in told["steps"]} == {"passed", "left out"}
    assert cluster.status()["files"] == before
    members = json.loads(ask(cluster.url, Accept="application/json").body)["members"]
    assert not [member for member in members if member["name"].startswith("demo-")]
    cluster.disks.wait_for_parts_of_only(etag)
    ask(f"{cluster.url}/not-the-tours", "DELETE")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_tour_that_is_ended_early_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    command: Command = [SPLITCTL, "demo", "--size", "1MiB"]
    with running(command, env=surroundings(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        (ready,) = wait_until(lambda: list(tmp_path.glob("*/cluster/cluster.json")), "the cluster of the tour")
        document = json.loads(ready.read_text())
        pids = [each["pid"] for each in (document["front"], *document["nodes"])]
        process.send_signal(number)
        assert process.wait(60) == 1
    assert not list(tmp_path.iterdir())
    assert not [pid for pid in pids if is_running(pid)]
