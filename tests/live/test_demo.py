"""`splitctl demo`: every step of the tour passes, and the tour leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from splitd.cli.demo.files import make_sample
from splitd.cli.demo.own_cluster import OwnCluster
from splitd.cli.demo.scene import Scene
from splitd.cli.demo.steps.encryption import TLS
from splitd.cli.demo.steps.failures import KILL_NODE, KILL_READ
from splitd.cli.demo.steps.fronts import KILL_ONE_FRONT
from splitd.cli.demo.steps.service import UPGRADE
from splitd.cli.demo.steps.workers import WORKERS
from splitd.cli.demo.tour import STEPS, run_tour
from splitd.model.striping import Layout
from tests.live.clients import Command, ask, put, running
from tests.live.local_cluster import SPLITCTL, LocalCluster
from tests.live.processes import is_running, wait_until
from tests.tally import EFFORT

DATA = os.urandom(100_001)
NEED_A_CLUSTER_OF_THEIR_OWN = [5, 8, 10, 11, 12, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]

THE_SAME_IN_ANY_LAYOUT = [UPGRADE, WORKERS, TLS, KILL_ONE_FRONT]
"""Steps about the processes of a front.  They take half the time of a tour."""


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment, with the test's own place for temporary files."""
    kept = {name: value for name, value in os.environ.items() if name not in {"SPLITD_URL", "SPLITD_ADMIN"}}
    return {**kept, "TMPDIR": str(folder)}


def tour(folder: Path, *options: str) -> Any:
    """Run a tour that must pass; return its JSON output."""
    command: Command = [SPLITCTL, "--json", *options, "demo", "--size", "8MiB"]
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


def test_the_steps_about_files_pass_where_all_files_have_parity(tmp_path: Path) -> None:
    layout = Layout(4, 2, 1)
    own = OwnCluster(tmp_path / "cluster", None, layout)
    scene = Scene(make_sample(tmp_path / "random.bin", 8 * 2**20), own, "", "/demo", layout)
    steps = [step for step in STEPS if EFFORT > 1 or step not in THE_SAME_IN_ANY_LAYOUT]
    try:
        results = run_tour(scene, Console(quiet=True), steps)
    finally:
        own.stop()
    failed = [(result.title, result.problem, result.checks) for result in results if result.verdict == "failed"]
    assert not failed
    # Two are about files that have no parity.
    assert [steps[result.number - 1] for result in results if result.verdict != "passed"] == [KILL_NODE, KILL_READ]


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
    command: Command = [SPLITCTL, "demo", "--size", "1MiB", "--layout", "4+2"]
    with running(command, env=surroundings(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        (ready,) = wait_until(lambda: list(tmp_path.glob("*/cluster/cluster.json")), "the cluster of the tour")
        document = json.loads(ready.read_text())
        pids = [each["pid"] for each in (document["front"], *document["nodes"])]
        process.send_signal(number)
        assert process.wait(60) == 1
    assert not list(tmp_path.iterdir())
    assert not [pid for pid in pids if is_running(pid)]
