"""splitctl changes a cluster while it runs: it adds storage servers, and moves parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from splitd.cli.local.folder import plan_growth, prepare_nodes
from splitd.cli.local.plan import ClusterPlan
from tests.live.clients import ask, put, running
from tests.live.conftest import Starter
from tests.live.load import load
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.live.splitctl import Splitctl
from tests.live.storage_server import storage_server
from tests.ports import free_ports

SIX = [f"n{number}" for number in range(1, 7)]
_FILES = 24
LARGE = 6 * 300_000
"""The size of a file whose parts are not packed, in bytes."""


@pytest.fixture
def growing(own_cluster: Starter) -> LocalCluster:
    return own_cluster()


@pytest.fixture
def splitctl(growing: LocalCluster, tmp_path: Path) -> Splitctl:
    return Splitctl(growing, tmp_path)


def grow(cluster: LocalCluster, *more: str) -> list[str]:
    return ["grow", "--dir", str(cluster.folder), *more]


def up(cluster: LocalCluster) -> list[str]:
    """Return the nodes that are up."""
    return [node["id"] for node in cluster.status()["nodes"] if node["state"] == "up"]


def registered(cluster: LocalCluster) -> list[str]:
    return [entry["id"] for entry in yaml.safe_load((cluster.folder / "nodes.yaml").read_text())]


def store_until_used(cluster: LocalCluster, node: str) -> None:
    """Store files until a node has a part of one."""
    for number in range(100):
        put(f"{cluster.url}/new-{number}", os.urandom(LARGE))
        if cluster.disks.parts()[node]:
            return
    raise AssertionError(f"{node} took no part of a hundred files")


# A full store


def test_a_store_that_is_full_starts_and_serves_its_files(growing: LocalCluster) -> None:
    put(f"{growing.url}/file", b"x" * LARGE)
    assert growing.stop() == 0
    for node in SIX:
        (growing.folder / "nodes" / node / "storaged.yaml").write_text("reserve: 1000TiB\n")
    growing.asked_for = "?for=reads"
    growing.start()
    assert ask(f"{growing.url}/file").body == b"x" * LARGE
    assert ask(f"{growing.url}/new", "PUT", b"x").status == 507
    assert ask(f"{growing.admin}/ready").status == 503
    for node in growing.status()["nodes"]:
        assert (node["state"], node["reserve"]) == ("full", 1000 * 2**40)
        assert "is not larger than its reserve of 1000.0 TiB" in node["problem"]
    assert ask(f"{growing.admin}/health").status == 200


def reload(splitctl: Splitctl, nodes: int, change: str) -> None:
    """Have the front read its registry, which it may just have done by itself."""
    assert splitctl.lines("reload") in (
        [f"{nodes} storage servers; {what}"] for what in (change, "nothing has changed")
    )


# Grow


def test_a_cluster_grows_under_load_and_no_request_fails(growing: LocalCluster, splitctl: Splitctl) -> None:
    pids = growing.pids()
    with load(growing.url) as clients:
        wait_until(lambda: all(client.done > 3 for client in clients), "the load")
        said = splitctl.run(*grow(growing)).decode()
        done = [client.done for client in clients]
        wait_until(lambda: all(client.done > before + 3 for client, before in zip(clients, done, strict=True)), "more")
    assert "7 storage servers; added n7" in said
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("n7 ")] == [["n7", "up"]]
    assert {name: pid for name, pid in growing.pids().items() if name != "n7"} == pids
    store_until_used(growing, "n7")


def test_what_grew_is_looked_after_and_there_after_the_next_start(growing: LocalCluster, splitctl: Splitctl) -> None:
    (document,) = splitctl.documents(*grow(growing, "--by", "2"))
    assert (document["added"], [node["state"] for node in document["nodes"]]) == (["n7", "n8"], ["up"] * 8)
    growing.wait_recovered(growing.kill("n8"))
    assert growing.stop() == 0
    growing.start()
    wait_until(lambda: up(growing) == [*SIX, "n7", "n8"], "all eight up", growing.status)


def test_growth_that_was_killed_at_any_moment_is_finished_by_the_next_run(
    growing: LocalCluster, splitctl: Splitctl
) -> None:
    def has_folder() -> bool:
        return (growing.folder / "nodes" / "n7" / "storaged.yaml").exists()

    def runs() -> bool:
        return len(growing.pids()) - 1 > len(registered(growing))

    def is_registered() -> bool:
        return len(registered(growing)) > len(growing.status()["nodes"])

    for step in (has_folder, runs, is_registered):
        with running(splitctl.command(*grow(growing)), stdout=subprocess.DEVNULL) as process:
            wait_until(partial(_first_of, step, process), "growth", growing.output.read_text)
            process.kill()
        splitctl.run(*grow(growing))
        ids = registered(growing)
        assert len(ids) == len(set(ids))
        assert (
            set(ids)
            == {path.name for path in (growing.folder / "nodes").iterdir()}
            == growing.pids().keys() - {"front"}
        )
        wait_until(lambda: up(growing) == registered(growing), "all up", growing.status)
    assert len(registered(growing)) >= 9


def _first_of(step: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None or step()


def test_growth_that_was_broken_off_is_finished_by_the_next_start(growing: LocalCluster, splitctl: Splitctl) -> None:
    plan = plan_growth(ClusterPlan(growing.folder, growing.port, ()), set(SIX), 1)
    prepare_nodes(plan)
    assert growing.stop() == 0
    growing.start()
    wait_until(lambda: up(growing) == [*SIX, "n7"], "all seven up", growing.status)


def test_growth_of_a_cluster_that_has_ended_is_refused(growing: LocalCluster, splitctl: Splitctl) -> None:
    growing.stop(signal.SIGKILL)
    assert "`splitctl up --nodes 7 --dir " in splitctl.refused(*grow(growing))
    assert registered(growing) == SIX


# Nodes


def test_a_server_that_was_started_by_hand_is_added_and_takes_parts(
    growing: LocalCluster, splitctl: Splitctl, tmp_path: Path
) -> None:
    registry = growing.folder / "nodes.yaml"
    registry.write_text(before := registry.read_text() + "# the last of ours\n")
    with storage_server(growing, tmp_path / "nas", "nas") as url:
        said = splitctl.run("nodes", "add", "--id", "nas", "--url", url, "--zone", "attic").decode()
        assert registry.read_text() == before + f"- id: nas\n  url: {url}\n  zone: attic\n"
        assert "7 storage servers; added nas" in said
        wait_until(lambda: up(growing) == [*SIX, "nas"], "all seven up", growing.status)
        for number in range(100):
            put(f"{growing.url}/file-{number}", os.urandom(LARGE))
            if [*(tmp_path / "nas/data/parts").glob("*/*")]:
                break
        else:
            raise AssertionError("it took no part of a hundred files")
        assert "registered already" in splitctl.refused("nodes", "add", "--id", "nas", "--url", url)


def test_a_stranger_is_not_added_and_nothing_is_written(module_cluster: LocalCluster, tmp_path: Path) -> None:
    growing, splitctl = module_cluster, Splitctl(module_cluster, tmp_path)
    registry = (growing.folder / "nodes.yaml").read_text()
    with storage_server(growing, tmp_path / "a", "other") as url:
        assert "other" in splitctl.refused("nodes", "add", "--id", "n7", "--url", url)
    with storage_server(growing, tmp_path / "b", "n7", "another-key-that-is-long-enough") as url:
        assert "key" in splitctl.refused("nodes", "add", "--id", "n7", "--url", url)
    nobody = f"http://127.0.0.1:{free_ports()}"
    assert nobody in splitctl.refused("nodes", "add", "--id", "n7", "--url", nobody)
    assert (growing.folder / "nodes.yaml").read_text() == registry
    assert up(growing) == SIX


# Reload


def test_a_bad_registry_is_refused_by_line_and_a_good_one_is_taken(
    module_cluster: LocalCluster, tmp_path: Path
) -> None:
    growing, splitctl = module_cluster, Splitctl(module_cluster, tmp_path)
    registry = growing.folder / "nodes.yaml"
    good = registry.read_text()
    lines = good.splitlines(keepends=True)
    registry.write_text("".join(lines[:-2]))  # n6 is dropped
    said = splitctl.refused("reload")
    assert str(registry) in said
    assert "n6" in said
    registry.write_text(good + "  colour: red\n")
    said = splitctl.refused("reload")
    assert "line" in said
    assert "colour" in said
    told = splitctl.run("status").decode()
    assert "is refused" in told
    assert "colour" in told
    assert up(growing) == SIX
    registry.write_text(good + "  state: readonly\n")
    reload(splitctl, 6, "changed n6")
    (node,) = [node for node in splitctl.documents("nodes") if node["id"] == "n6"]
    assert node["state"] == "readonly"
    assert "is refused" not in splitctl.end("status").stdout.decode()
    registry.write_text(good)
    reload(splitctl, 6, "changed n6")


def test_sighup_reads_the_registry_and_ends_nothing(module_cluster: LocalCluster, tmp_path: Path) -> None:
    growing = module_cluster
    pids = growing.pids()
    before = growing.status()["registry"]["loaded_ms"]
    os.kill(pids["front"], signal.SIGHUP)
    wait_until(lambda: growing.status()["registry"]["loaded_ms"] > before, "the registry read", growing.status)
    registry = growing.folder / "nodes.yaml"
    good = registry.read_text()
    registry.write_text("- id: n1\n")
    os.kill(pids["front"], signal.SIGHUP)
    wait_until(lambda: growing.status()["registry"]["refused"], "the registry refused", growing.status)
    assert growing.pids() == pids
    assert up(growing) == SIX
    registry.write_text(good)
    reload(Splitctl(growing, tmp_path), 6, "nothing has changed")


# Rebalance


def test_a_rebalance_is_watched_stopped_and_ended_and_every_byte_is_there(
    growing: LocalCluster, splitctl: Splitctl
) -> None:
    digests = {}
    for number in range(_FILES):
        data = os.urandom(LARGE)
        put(f"{growing.url}/file-{number}", data)
        digests[f"file-{number}"] = sha256(data).hexdigest()
    splitctl.run(*grow(growing))
    with (growing.folder / "nodes.yaml").open("a") as file:
        file.write("  weight: 100\n")  # it is to have far more than the others
    reload(splitctl, 7, "changed n7")
    (plan,) = splitctl.documents("rebalance", "--dry-run")
    assert plan["parts"] > 0
    assert not growing.disks.parts()["n7"]
    ctrl_c_ends_the_watching_alone(growing, splitctl)
    stopped = json.loads(splitctl.run("--json", "rebalance", "--stop"))
    assert stopped["state"] == _rebalance(growing)["state"] == "stopped"
    splitctl.refused("rebalance", "--stop")
    with load(growing.url, 2):
        (found,) = splitctl.documents("rebalance")
    assert found["state"] == "done"
    assert found["moved"] > 0
    assert len(growing.disks.parts()["n7"]) >= len(digests)
    for name, digest in digests.items():
        assert sha256(ask(f"{growing.url}/{name}").body).hexdigest() == digest
        upload = ask(f"{growing.url}/{name}", "HEAD").etag
        wait_until(partial(_lies_on_six, growing, upload), f"six parts of {name}", growing.disks.parts)
    assert "done, " in splitctl.run("status").decode()


def _lies_on_six(cluster: LocalCluster, etag: str) -> bool:
    return sorted(map(len, cluster.disks.parts(etag).values())) == [0, 1, 1, 1, 1, 1, 1]


def ctrl_c_ends_the_watching_alone(cluster: LocalCluster, splitctl: Splitctl) -> None:
    command = splitctl.command("rebalance", "--limit", "0.1")
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: _rebalance(cluster)["moved"] > 0, "the first part moved", cluster.status)
        process.send_signal(signal.SIGINT)
        said, problems = process.communicate(timeout=60)
    assert (process.returncode, problems) == (0, b"")
    assert b"it goes on" in said
    assert b"splitctl rebalance --stop" in said
    assert _rebalance(cluster)["state"] == "running"
    assert "running, " in splitctl.run("status").decode()
    splitctl.refused("rebalance")


def _rebalance(cluster: LocalCluster) -> dict[str, int | str]:
    found: dict[str, int | str] = cluster.status()["rebalance"] or {"state": "", "moved": 0}
    return found
