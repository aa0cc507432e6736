"""splitctl grow in cases in which it can do nothing; the others are tested with real processes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from splitd.cli.local.folder import plan_cluster, prepare
from splitd.cli.local.plan import ClusterPlan
from splitd.cli.local.running import locked, write_ready
from splitd.cli.main import main
from tests.ports import free_ports
from tests.unit.front_double import running_front


def grow(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["grow", "--dir", str(folder), *more])


def prepared(folder: Path, port: int = 9000) -> ClusterPlan:
    plan = plan_cluster(folder, port, 6)
    prepare(plan)
    return plan


def test_where_no_cluster_runs_it_is_told_how_to_start_a_larger_one(tmp_path: Path) -> None:
    prepared(tmp_path)
    result = grow(tmp_path, "--by", "2")
    assert result.exit_code == 1
    assert f"no splitctl up runs in {tmp_path}; `splitctl up --nodes 8 --dir {tmp_path}` starts one" in result.stderr


def test_where_there_is_no_cluster_nothing_is_made(tmp_path: Path) -> None:
    result = grow(tmp_path / "var")
    assert result.exit_code == 1
    assert "`splitctl up --nodes 6 " in result.stderr
    assert not list(tmp_path.iterdir())


def test_none_is_no_number_of_storage_servers(tmp_path: Path) -> None:
    assert grow(tmp_path, "--by", "0").exit_code == 2


@pytest.fixture
def port() -> int:
    """The port of a cluster's front, with the ports of seven storage servers free."""
    return free_ports([0, 1, *range(11, 18)])


def test_a_taken_port_ends_with_5_before_anything_is_made(tmp_path: Path, port: int) -> None:
    plan = prepared(tmp_path, port)
    document = write_ready(plan, {"front": 1, **{node.node_id: 1 for node in plan.nodes}})
    with locked(tmp_path), running_front() as front, socket.create_server(("127.0.0.1", port + 17)):
        front.operators.serve(plan.registry)
        text = (tmp_path / "cluster.json").read_text()
        (tmp_path / "cluster.json").write_text(text.replace(document["front"]["admin"], front.url))
        result = grow(tmp_path)
    assert result.exit_code == 5
    assert f"taken on 127.0.0.1: {port + 17} (node n7)" in result.stderr
    assert not (tmp_path / "nodes" / "n7").exists()
    assert "n7" not in plan.registry.read_text()
