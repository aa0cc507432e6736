"""splitctl compose-node: adds a storage server for docker compose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from splitd.cli.main import main
from splitd.config import Config

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
    said = good(run(project, "n9")).stdout
    after = texts(project)
    assert "docker compose up --detach --wait" in said
    assert yaml.safe_load(after[OVERRIDE]) == {
        "services": {
            "n9": {
                "extends": {"file": "docker-compose.yml", "service": "n1"},
                "command": ["storaged", "--config", "/config/storaged.yaml", "--node", "n9"],
                "volumes": ["n9:/data"],
            }
        },
        "volumes": {"n9": None},
    }
    assert after["nodes.yaml"] == before["nodes.yaml"] + "- id: n9\n  url: http://n9:8090\n"
    assert after["docker-compose.yml"] == before["docker-compose.yml"]


def test_the_registry_is_made_once_from_its_example(project: Path) -> None:
    registry, example = project / "config/nodes.yaml", project / "config/nodes.example.yaml"
    assert registry.read_bytes() == example.read_bytes()
    changed = registry.read_text().replace("url: http://n1:8090", "url: http://other:8090")
    registry.write_text(changed)
    good(run(project, "--registry-only"))
    assert registry.read_text() == changed
    registry.unlink()
    good(run(project, "n9"))
    assert registry.read_text() == example.read_text() + "- id: n9\n  url: http://n9:8090\n"
    assert run(project).exit_code == 2
    assert run(project, "n10", "--registry-only").exit_code == 2


def test_servers_that_the_compose_file_did_not_have_before_join_an_older_registry(project: Path) -> None:
    registry = project / "config/nodes.yaml"
    older = "# ours\n- id: n1\n  url: http://n1:8090\n  state: readonly\n- id: nas\n  url: http://nas:8090\n"
    registry.write_text(older + "- id: n3\n  url: http://elsewhere:8090\n")
    good(run(project, "--registry-only"))
    added = ["n2", "n4", "n5", "n6", "n7", "n8"]
    assert registry.read_text().startswith(older)
    assert [entry["id"] for entry in yaml.safe_load(registry.read_text())] == ["n1", "nas", "n3", *added]
    again = registry.read_text()
    good(run(project, "--registry-only"))
    assert registry.read_text() == again


def test_the_compose_file_has_eight_servers_of_its_own_registry_and_files_of_6_and_2() -> None:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    servers = [f"n{number}" for number in range(1, 9)]
    for name in servers:
        assert compose["services"][name]["command"][-2:] == ["--node", name]
        assert compose["services"][name]["volumes"][0] == f"{name}:/data"
    assert set(servers) <= set(compose["volumes"])
    assert compose["services"]["front"]["command"][-2:] == ["--layout", "${SPLITD_LAYOUT:-6+2}"]
    example = yaml.safe_load((PROJECT / "config/nodes.example.yaml").read_text())
    assert example == [{"id": name, "url": f"http://{name}:8090"} for name in servers]


def test_what_a_cluster_writes_is_not_in_git() -> None:
    ignored = (PROJECT / ".gitignore").read_text().splitlines()
    assert {"/config/nodes.yaml", "/docker-compose.override.yml"} <= set(ignored)


def test_the_front_is_published_on_this_machine_and_stays_healthy_when_the_store_is_full() -> None:
    front = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["front"]
    assert front["ports"] == [
        "${SPLITD_ADDRESS:-127.0.0.1}:${SPLITD_PORT:-8080}:8080",
        "${SPLITD_ADDRESS:-127.0.0.1}:${SPLITD_S3_PORT:-8082}:8082",
    ]
    assert "/health" in front["healthcheck"]["test"][-1]


def test_it_runs_as_a_storage_server_of_the_compose_file_does(project: Path) -> None:
    good(run(project, "n9"))
    added = yaml.safe_load((project / OVERRIDE).read_text())["services"]["n9"]
    model = yaml.safe_load((project / "docker-compose.yml").read_text())["services"]["n1"]
    assert added["command"] == [*model["command"][:-1], "n9"]
    assert model["volumes"][0] == "n1:/data"


def test_more_of_them_are_added_and_what_was_written_by_hand_stays(project: Path) -> None:
    override = project / OVERRIDE
    override.write_text("# mine\nservices:\n  front:\n    mem_limit: 1g  # enough\n")
    good(run(project, "n9"))
    good(run(project, "n10", "--disk", "/mnt/disk10"))
    text = override.read_text()
    assert text.startswith("# mine\nservices:\n  front:\n    mem_limit: 1g  # enough\n  n9:\n")
    found = yaml.safe_load(text)
    assert found["services"]["n10"]["volumes"] == ["/mnt/disk10:/data"]
    assert list(found["volumes"]) == ["n9"]
    assert [entry["id"] for entry in yaml.safe_load((project / "config/nodes.yaml").read_text())][-2:] == ["n9", "n10"]


def test_what_was_broken_off_is_finished_by_the_next_run(project: Path) -> None:
    registry = (project / "config/nodes.yaml").read_text()
    good(run(project, "n9"))
    whole = texts(project)
    (project / "config/nodes.yaml").write_text(registry)
    good(run(project, "n9"))
    assert texts(project) == whole
    (project / OVERRIDE).unlink()
    good(run(project, "n9"))
    assert texts(project) == whole


def test_new_files_belong_to_whom_the_compose_file_does(project: Path) -> None:
    somebody = 12345 if os.geteuid() == 0 else os.geteuid()
    for path in (project / "docker-compose.yml", project / "config/nodes.yaml"):
        os.chown(path, somebody, somebody if os.geteuid() == 0 else -1)
        path.chmod(0o640)
    good(run(project, "n9"))
    for path in (project / OVERRIDE, project / "config/nodes.yaml"):
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (somebody, 0o640)


def test_programs_get_a_document(project: Path) -> None:
    done = CliRunner().invoke(main, ["--json", "compose-node", "--project", str(project), "n9"])
    assert json.loads(done.stdout) == {
        "id": "n9",
        "url": "http://n9:8090",
        "files": [str(project / OVERRIDE), str(project / "config/nodes.yaml")],
    }


@pytest.mark.parametrize(
    ("name", "file"),
    [("pg1", "docker-compose.ha.yml"), ("passwords", "docker-compose.ha.yml"), ("tls", "docker-compose.tls.yml")],
)
def test_a_name_is_refused_that_a_file_has_which_may_be_used_as_well(project: Path, name: str, file: str) -> None:
    (project / file).write_bytes((PROJECT / file).read_bytes())
    before = texts(project)
    result = run(project, name)
    assert (result.exit_code, f"{file}: {name} is there already" in result.stderr) == (1, True)
    assert texts(project) == before
    good(run(project, "n9"))


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
    result = run(project, "n9")
    assert result.exit_code == 1
    assert "  n9:\n    extends: {file: docker-compose.yml, service: n1}\n" in result.stderr
    assert texts(project) == before


@pytest.mark.parametrize("arguments", [("N9",), ("a_b",), ("n9-",), ("",), ("n9", "--disk", "disk9")])
def test_what_is_no_name_or_no_folder_ends_with_2(project: Path, arguments: tuple[str, ...]) -> None:
    before = texts(project)
    assert run(project, *arguments).exit_code == 2
    assert texts(project) == before


def test_a_folder_without_a_compose_file_is_told_by_name(tmp_path: Path) -> None:
    result = run(tmp_path, "n9")
    assert result.exit_code == 1
    assert str(tmp_path / "docker-compose.yml") in result.stderr


class Loader(yaml.SafeLoader):
    """Knows the tag by which a list of docker compose replaces another one."""


Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))

HARDENED = ("init", "read_only", "tmpfs", "cap_drop", "security_opt", "pull_policy", "image")


def test_the_variant_with_tls_publishes_nothing_in_clear_and_is_as_hardened() -> None:
    plain = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    tls = yaml.load((PROJECT / "docker-compose.tls.yml").read_text(), Loader)
    certificate, front = tls["services"]["certificate"], tls["services"]["front"]
    assert {key: certificate[key] for key in HARDENED} == {key: plain["x-server"][key] for key in HARDENED}
    assert certificate["network_mode"] == "none"
    assert [port.rpartition(":")[2] for port in front["ports"]] == ["8443", "8444"]
    options = dict(each.removeprefix("--").split("=", 1) for each in front["command"][1:])
    before = plain["services"]["front"]["command"]
    assert options["config"] == before[before.index("--config") + 1]
    assert options["layout"] == before[before.index("--layout") + 1]
    assert {name.replace("-", "_") for name in options if name != "config"} <= set(Config.__struct_fields__)
    assert {options["listen-tls"], options["s3"]} == {"tls:/tls:8443", "tls:/tls:8444"}


def test_the_first_certificate_is_made_once_and_its_key_is_not_given_away(tmp_path: Path) -> None:
    tls = yaml.load((PROJECT / "docker-compose.tls.yml").read_text(), Loader)
    [script] = tls["services"]["certificate"]["command"]
    folder = tmp_path / "tls"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-c", script.replace("/tls", str(folder))]
    made = []
    for _ in range(2):
        subprocess.run(command, env={"SPLITD_NAME": "one.example,10.0.0.7", "PATH": path}, check=True)
        made.append({each.name: each.read_text() for each in folder.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"self-signed.pem", "for-clients"}
    assert made[0]["for-clients"] in made[0]["self-signed.pem"]
    assert "PRIVATE" not in made[0]["for-clients"]
    assert (folder / "self-signed.pem").stat().st_mode & 0o777 == 0o600
