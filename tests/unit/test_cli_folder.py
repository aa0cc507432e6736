from __future__ import annotations

import json
import os
import re
from pathlib import Path
from stat import S_IMODE

import attrs
import pytest
import yaml

from splitd.cli.local.folder import FolderError, grown, plan_cluster, plan_growth, prepare, prepare_nodes
from splitd.cli.local.plan import ClusterPlan
from splitd.cli.local.running import holder, locked, read_ready, ready_file, write_ready
from splitd.config import Config as FrontConfig
from splitd.model.striping import Layout, parse_layout
from splitd.nodes.entries import read_registry
from storaged.config import Config as NodeConfig
from storaged.system.settings import SettingsError, load_settings, read_cluster_key


def prepared(folder: Path, port: int = 9000, count: int = 6) -> ClusterPlan:
    plan = plan_cluster(folder, port, count)
    prepare(plan)
    return plan


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_daemons_can_read_what_is_written_for_them(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    front = load_settings(FrontConfig, str(plan.config), {})
    assert Path(front.data).is_dir()
    assert read_registry(front.registry, plan.registry.read_text())[5].id == "n6"
    for node in plan.nodes:
        settings = load_settings(NodeConfig, str(node.config), {})
        assert settings.node == node.node_id
        assert Path(settings.data).is_dir()
        assert read_cluster_key(settings.cluster_key_file) == read_cluster_key(front.cluster_key_file)


@pytest.mark.parametrize(("asked", "read"), [("2", 2), ("auto", "auto"), ("", 3)])
def test_the_front_gets_the_workers_that_are_asked_for(tmp_path: Path, asked: str, read: int | str) -> None:
    prepare(attrs.evolve(prepared(tmp_path), workers="3"))
    plan = attrs.evolve(prepared(tmp_path), workers=asked)
    prepare(plan)
    assert load_settings(FrontConfig, str(plan.config), {}).workers == read


def test_the_key_is_long_and_nobody_else_s_to_read(tmp_path: Path) -> None:
    key = prepared(tmp_path).key
    assert S_IMODE(key.stat().st_mode) == 0o600
    assert re.fullmatch("[0-9a-f]{64}\n", key.read_text())


def test_started_again_everything_is_kept(tmp_path: Path) -> None:
    prepared(tmp_path)
    before = files(tmp_path)
    prepared(tmp_path)
    assert files(tmp_path) == before


def test_more_nodes_are_added_and_comments_stay(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    plan.registry.write_text(plan.registry.read_text() + "# mine\n")
    assert [node.node_id for node in prepared(tmp_path, count=8).nodes][6:] == ["n7", "n8"]
    assert "# mine\n- id: n7\n" in plan.registry.read_text()


def test_fewer_nodes_than_there_are_start_all(tmp_path: Path) -> None:
    prepared(tmp_path, count=8)
    assert len(prepared(tmp_path, count=6).nodes) == 8


def test_a_node_that_lies_elsewhere_is_registered_and_not_ours(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    with plan.registry.open("a") as file:
        file.write("- id: nas\n  url: http://nas:8090\n- id: n7\n  url: http://nas:8091\n")
    assert [node.node_id for node in prepared(tmp_path, port=7000, count=7).nodes][6:] == ["n8"]
    urls = {entry["id"]: entry["url"] for entry in yaml.safe_load(plan.registry.read_text())}
    assert urls["nas"] == "http://nas:8090"
    assert urls["n7"] == "http://nas:8091"
    assert urls["n8"] == "http://127.0.0.1:7018"


def test_another_port_is_written_everywhere_and_other_settings_stay(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    with plan.config.open("a") as file:
        file.write("unit: 64KiB  # small\n")
    prepared(tmp_path, port=7000)
    front = load_settings(FrontConfig, str(plan.config), {})
    assert (front.listen, front.admin) == ("tcp:7000:interface=127.0.0.1", "tcp:7001:interface=127.0.0.1")
    assert front.unit == 64 * 1024
    assert plan.config.read_text().endswith("# small\n")
    assert load_settings(NodeConfig, str(plan.nodes[5].config), {}).listen == "tcp:7016:interface=127.0.0.1"
    assert yaml.safe_load(plan.registry.read_text())[5] == {"id": "n6", "url": "http://127.0.0.1:7016"}


@pytest.mark.parametrize("text", ["- id: [\n", "just text\n", "- no-id: 1\n"])
def test_a_registry_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "nodes.yaml").write_text(text)
    with pytest.raises(FolderError, match=r"nodes\.yaml"):
        plan_cluster(tmp_path, 9000, 6)


def test_a_configuration_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    plan.config.write_text("- a\n")
    with pytest.raises(FolderError, match=r"splitd\.yaml"):
        prepare(plan)


def test_a_folder_has_one_master(tmp_path: Path) -> None:
    with locked(tmp_path / "var"), pytest.raises(FolderError, match="another splitctl up"), locked(tmp_path / "var"):
        pass
    with locked(tmp_path / "var"):
        assert (tmp_path / "var").is_dir()


def test_who_has_a_folder_is_known_while_they_have_it(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None
    (tmp_path / "up.lock").write_text("1")  # left by one that was killed
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert holder(tmp_path) == os.getpid()


def growth(folder: Path, *joined: str, count: int = 1) -> list[str]:
    """Plan the growth of a cluster of six, and make the folders; return the ids of the new nodes."""
    plan = plan_growth(ClusterPlan(folder, 9000, ()), {*joined, *(f"n{number}" for number in range(1, 7))}, count)
    prepare_nodes(plan)
    return [node.node_id for node in plan.nodes]


def test_a_cluster_grows_by_the_next_nodes_and_those_alone_are_made(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    before = files(tmp_path)
    assert growth(tmp_path, count=2) == ["n7", "n8"]
    after = files(tmp_path)
    assert {path: after[path] for path in before} == before
    node = grown(plan).nodes[7]
    assert (node.node_id, node.port) == ("n8", 9018)
    assert load_settings(NodeConfig, str(node.config), {}).listen == "tcp:9018:interface=127.0.0.1"


def test_growth_that_was_broken_off_is_finished_first(tmp_path: Path) -> None:
    prepared(tmp_path)
    assert growth(tmp_path, count=2) == ["n7", "n8"]
    assert growth(tmp_path) == ["n7"]
    assert growth(tmp_path, "n7") == ["n8"]
    assert growth(tmp_path, "n7", count=3) == ["n8", "n9", "n10"]


def test_growth_that_was_broken_off_is_finished_by_the_next_start(tmp_path: Path) -> None:
    prepared(tmp_path)
    growth(tmp_path)
    assert [node.node_id for node in prepared(tmp_path).nodes][6:] == ["n7"]
    assert yaml.safe_load((tmp_path / "nodes.yaml").read_text())[6] == {"id": "n7", "url": "http://127.0.0.1:9017"}


def test_growth_takes_no_id_that_the_front_or_the_registry_has(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    with plan.registry.open("a") as file:
        file.write("- id: n7\n  url: http://nas:8090\n")
    assert growth(tmp_path, "n8", count=2) == ["n9", "n10"]


def test_cluster_json_tells_urls_and_process_ids(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    write_ready(plan, {"front": 10, **{f"n{number}": 10 + number for number in range(1, 7)}})
    document = json.loads(ready_file(tmp_path).read_text())
    assert document["front"] == {
        "url": "http://127.0.0.1:9000",
        "admin": "http://127.0.0.1:9001",
        "s3": "http://127.0.0.1:9002",
        "pid": 10,
        "config": str(tmp_path / "front/splitd.yaml"),
    }
    assert document["nodes"][1] == {
        "id": "n2",
        "url": "http://127.0.0.1:9012",
        "pid": 12,
        "data": str(tmp_path / "nodes/n2/data"),
    }
    assert len(document["nodes"]) == 6
    assert document["registry"] == str(tmp_path / "nodes.yaml")
    assert document["cluster_key_file"] == str(tmp_path / "cluster.key")
    assert read_ready(tmp_path) == document
    assert read_ready(tmp_path / "elsewhere") is None


def test_the_key_for_s3_is_made_once_and_told_while_there_are_no_users(tmp_path: Path) -> None:
    pids = {"front": 10, **{f"n{number}": 10 + number for number in range(1, 7)}}
    key = write_ready(prepared(tmp_path), pids)["s3_key"]
    assert (tmp_path / "s3.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "s3.key").read_text().split() == [key["access_key"], key["secret_key"]]
    assert write_ready(prepared(tmp_path), pids)["s3_key"] == key
    users = plan_cluster(tmp_path, 9000, users=tmp_path / "users.yaml")
    prepare(users)
    assert write_ready(users, pids)["s3_key"] is None


def test_a_layout_is_written_down_and_stays_until_another_one_is_asked_for(tmp_path: Path) -> None:
    plan = plan_cluster(tmp_path, 9000, None, parse_layout("6+2", 1))
    assert plan.numbers == tuple(range(1, 9))
    prepare(plan)
    assert load_settings(FrontConfig, str(plan.config), {}).cut() == Layout(6, 2, 256 * 1024)
    again = plan_cluster(tmp_path, 9000, 8)
    prepare(again)
    assert load_settings(FrontConfig, str(plan.config), {}).layout == "6+2"
    prepare(plan_cluster(tmp_path, 9000, None, parse_layout("4+1", 1)))
    assert load_settings(FrontConfig, str(plan.config), {}).layout == "4+1"


def test_a_small_layout_needs_few_nodes_in_later_starts_too(tmp_path: Path) -> None:
    prepare(plan_cluster(tmp_path, 9000, 3, parse_layout("2+1", 1)))
    assert plan_cluster(tmp_path, 9000, 3).numbers == (1, 2, 3)


@pytest.mark.parametrize(("count", "layout"), [(7, "6+2"), (5, None)])
def test_fewer_nodes_than_a_file_has_parts_are_refused(tmp_path: Path, count: int, layout: str | None) -> None:
    with pytest.raises(ValueError, match=f"{count} storage servers are too few"):
        plan_cluster(tmp_path, 9000, count, parse_layout(layout, 1) if layout else None)
    assert list(tmp_path.iterdir()) == []


def test_a_layout_that_is_none_stops_the_start_with_its_key(tmp_path: Path) -> None:
    plan = prepared(tmp_path)
    plan.config.write_text(plan.config.read_text() + "layout: 6x2\n")
    with pytest.raises(SettingsError, match=r"splitd\.yaml: layout: not a layout: '6x2'"):
        load_settings(FrontConfig, str(plan.config), {})
