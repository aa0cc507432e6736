"""splitctl compose-node: adds a storage server for docker compose."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from splitd.cli.main import main

PROJECT = Path(__file__).parents[2]
OVERRIDE = "docker-compose.override.yml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that docker compose reads here."""
    (tmp_path / "config").mkdir()
    for name in ("docker-compose.yml", "config/nodes.example.yaml"):
        (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    good(run(tmp_path, "--registry-only"))
    return tmp_path


def run(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["compose-node", "--project", str(project), *arguments])


def good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def texts(project: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in project.rglob("*") if path.is_file()}


def test_a_node_gets_a_service_a_volume_and_a_place_in_the_registry(project: Path) -> None:
    before = texts(project)
    said = good(run(project, "n7")).stdout
    after = texts(project)
    assert "docker compose up --detach --wait" in said
    assert yaml.safe_load(after[OVERRIDE]) == {
        "services": {
            "n7": {
                "extends": {"file": "docker-compose.yml", "service": "n1"},
                "command": ["storaged", "--config", "/config/storaged.yaml", "--node", "n7"],
                "volumes": ["n7:/data"],
            }
        },
        "volumes": {"n7": None},
    }
    assert after["nodes.yaml"] == before["nodes.yaml"] + "- id: n7\n  url: http://n7:8090\n"
    assert after["docker-compose.yml"] == before["docker-compose.yml"]


def test_the_registry_is_made_once_from_its_example(project: Path) -> None:
    registry, example = project / "config/nodes.yaml", project / "config/nodes.example.yaml"
    assert registry.read_bytes() == example.read_bytes()
    registry.write_text("- id: n1\n  url: http://n1:8090\n")
    good(run(project, "--registry-only"))
    assert registry.read_text() == "- id: n1\n  url: http://n1:8090\n"
    registry.unlink()
    good(run(project, "n7"))
    assert registry.read_text() == example.read_text() + "- id: n7\n  url: http://n7:8090\n"
    assert run(project).exit_code == 2
    assert run(project, "n8", "--registry-only").exit_code == 2


def test_what_a_cluster_writes_is_not_in_git() -> None:
    ignored = (PROJECT / ".gitignore").read_text().splitlines()
    assert {"/config/nodes.yaml", "/docker-compose.override.yml"} <= set(ignored)


def test_the_front_is_published_on_this_machine_and_stays_healthy_when_the_store_is_full() -> None:
    front = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["front"]
    assert front["ports"] == ["${SPLITD_ADDRESS:-127.0.0.1}:${SPLITD_PORT:-8080}:8080"]
    assert "/health" in front["healthcheck"]["test"][-1]


def test_it_runs_as_a_storage_server_of_the_compose_file_does(project: Path) -> None:
    good(run(project, "n7"))
    added = yaml.safe_load((project / OVERRIDE).read_text())["services"]["n7"]
    model = yaml.safe_load((project / "docker-compose.yml").read_text())["services"]["n1"]
    assert added["command"] == [*model["command"][:-1], "n7"]
    assert model["volumes"][0] == "n1:/data"


def test_more_of_them_are_added_and_what_was_written_by_hand_stays(project: Path) -> None:
    override = project / OVERRIDE
    override.write_text("# mine\nservices:\n  front:\n    mem_limit: 1g  # enough\n")
    good(run(project, "n7"))
    good(run(project, "n8", "--disk", "/mnt/disk8"))
    text = override.read_text()
    assert text.startswith("# mine\nservices:\n  front:\n    mem_limit: 1g  # enough\n  n7:\n")
    found = yaml.safe_load(text)
    assert found["services"]["n8"]["volumes"] == ["/mnt/disk8:/data"]
    assert list(found["volumes"]) == ["n7"]
    assert [entry["id"] for entry in yaml.safe_load((project / "config/nodes.yaml").read_text())][-2:] == ["n7", "n8"]


def test_what_was_broken_off_is_finished_by_the_next_run(project: Path) -> None:
    registry = (project / "config/nodes.yaml").read_text()
    good(run(project, "n7"))
    whole = texts(project)
    (project / "config/nodes.yaml").write_text(registry)
    good(run(project, "n7"))
    assert texts(project) == whole
    (project / OVERRIDE).unlink()
    good(run(project, "n7"))
    assert texts(project) == whole


def test_new_files_belong_to_whom_the_compose_file_does(project: Path) -> None:
    somebody = 12345 if os.geteuid() == 0 else os.geteuid()
    for path in (project / "docker-compose.yml", project / "config/nodes.yaml"):
        os.chown(path, somebody, somebody if os.geteuid() == 0 else -1)
        path.chmod(0o640)
    good(run(project, "n7"))
    for path in (project / OVERRIDE, project / "config/nodes.yaml"):
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (somebody, 0o640)


def test_programs_get_a_document(project: Path) -> None:
    done = CliRunner().invoke(main, ["--json", "compose-node", "--project", str(project), "n7"])
    assert json.loads(done.stdout) == {
        "id": "n7",
        "url": "http://n7:8090",
        "files": [str(project / OVERRIDE), str(project / "config/nodes.yaml")],
    }


@pytest.mark.parametrize("name", ["n1", "front", "key"])
def test_a_name_that_the_compose_file_has_is_refused(project: Path, name: str) -> None:
    before = texts(project)
    result = run(project, name)
    assert (result.exit_code, f"{name} is there already" in result.stderr) == (1, True)
    assert texts(project) == before


def test_a_name_that_lies_elsewhere_is_refused(project: Path) -> None:
    with (project / "config/nodes.yaml").open("a") as file:
        file.write("- id: nas\n  url: http://nas.example:8090\n")
    before = texts(project)
    result = run(project, "nas")
    assert (result.exit_code, "http://nas.example:8090" in result.stderr) == (1, True)
    assert texts(project) == before


def test_an_override_that_cannot_be_added_to_is_refused_with_what_to_write(project: Path) -> None:
    (project / OVERRIDE).write_text("services: {front: {mem_limit: 1g}}\n")
    before = texts(project)
    result = run(project, "n7")
    assert result.exit_code == 1
    assert "  n7:\n    extends: {file: docker-compose.yml, service: n1}\n" in result.stderr
    assert texts(project) == before


@pytest.mark.parametrize("arguments", [("N7",), ("a_b",), ("n7-",), ("",), ("n7", "--disk", "disk7")])
def test_what_is_no_name_or_no_folder_ends_with_2(project: Path, arguments: tuple[str, ...]) -> None:
    before = texts(project)
    assert run(project, *arguments).exit_code == 2
    assert texts(project) == before


def test_a_folder_without_a_compose_file_is_told_by_name(tmp_path: Path) -> None:
    result = run(tmp_path, "n7")
    assert result.exit_code == 1
    assert str(tmp_path / "docker-compose.yml") in result.stderr
