"""splitctl nodes lost and nodes drain against a front with real sockets."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.front_double import FrontDouble, run

REGISTRY = "# ours\n" + "".join(f"- id: n{number}  # {number}\n  url: http://h:{number}\n" for number in range(1, 9))


@pytest.fixture
def registry(front: FrontDouble, tmp_path: Path) -> Path:
    """The registry of eight nodes that are up, except n3."""
    path = tmp_path / "nodes.yaml"
    path.write_text(REGISTRY)
    front.operators.serve(path)
    for node in front.status["nodes"]:
        node["state"] = "down" if node["id"] == "n3" else "up"
    return path


def with_state(node_id: str, state: str) -> str:
    url = f"  url: http://h:{node_id[1:]}\n"
    return REGISTRY.replace(url, f"{url}  state: {state}\n")


def refused(result: Result, registry: Path, *reasons: str) -> None:
    assert (result.exit_code, registry.read_text()) == (1, REGISTRY), result.output
    for reason in reasons:
        assert reason in result.stderr


def test_a_dead_server_is_lost_and_its_line_stays(front: FrontDouble, registry: Path) -> None:
    result = run(front, "nodes", "lost", "n3")
    assert result.stdout == "n3 is lost for good; 12 parts on it can be rebuilt on other servers\n"
    assert (result.exit_code, registry.read_text()) == (0, with_state("n3", "lost"))
    for arguments in (["n3"], ["n3", "--undo"]):
        result = run(front, "nodes", "drain", *arguments)
        assert (result.exit_code, "n3 was declared lost, which cannot be taken back" in result.stderr) == (1, True)
    again = run(front, "nodes", "lost", "n3")
    assert (again.exit_code, again.stdout) == (0, "n3 was declared lost already\n")


def test_a_server_that_answers_is_lost_only_where_that_is_meant(front: FrontDouble, registry: Path) -> None:
    refused(
        run(front, "nodes", "lost", "n4"), registry,
        "n4 answers: `splitctl nodes drain n4` moves its parts away first", "Nothing was changed; --yes does it",
    )  # fmt: skip
    assert run(front, "nodes", "lost", "n4", "--yes").exit_code == 0
    assert registry.read_text() == with_state("n4", "lost")


def test_files_that_could_not_be_read_any_more_are_told_first(front: FrontDouble, registry: Path) -> None:
    front.operators.unreadable = 1
    refused(
        run(front, "nodes", "lost", "n3"), registry,
        "1 file of the 12 with a part on n3 could not be read any more, because too few of their parts lie elsewhere",
    )  # fmt: skip
    done = run(front, "nodes", "lost", "n3", "--yes")
    assert done.stdout == (
        "n3 is lost for good; 11 parts on it can be rebuilt on other servers, and 1 file cannot be read any more\n"
    )
    assert registry.read_text() == with_state("n3", "lost")


def test_a_server_is_drained_and_active_again(front: FrontDouble, registry: Path) -> None:
    assert run(front, "nodes", "drain", "n4").stdout == "n4 takes no new parts, and its parts are moved to others\n"
    assert registry.read_text() == with_state("n4", "draining")
    assert run(front, "nodes", "drain", "n4").stdout == "n4 is draining already\n"
    assert run(front, "nodes", "drain", "n4", "--undo").stdout == "n4 takes parts again\n"
    assert registry.read_text() == with_state("n4", "active")
    result = run(front, "nodes", "drain", "n4", "--undo")
    assert (result.exit_code, "n4 is not draining, it is active" in result.stderr) == (1, True)


def test_a_server_that_new_files_need_is_drained_only_where_that_is_meant(front: FrontDouble, registry: Path) -> None:
    front.status["layout"] = "6+2"
    refused(run(front, "nodes", "drain", "n4"), registry, "stored as 6+2, on 8 servers, and 7 would be left")
    assert run(front, "nodes", "drain", "n4", "--yes").exit_code == 0
    assert registry.read_text() == with_state("n4", "draining")


@pytest.mark.parametrize("command", ["lost", "drain"])
def test_a_server_that_there_is_not_is_told_with_those_there_are(
    front: FrontDouble, registry: Path, command: str
) -> None:
    refused(run(front, "nodes", command, "n9"), registry, "there is no storage server n9; there are n1, n2")


def test_what_the_front_refuses_is_put_back(front: FrontDouble, registry: Path) -> None:
    front.operators.refuses = lambda: "nodes.yaml: line 2: no"
    refused(run(front, "nodes", "lost", "n3"), registry, "line 2: no (422)", "is as it was")


def test_a_registry_that_cannot_be_edited_stays_and_what_to_write_is_told(front: FrontDouble, registry: Path) -> None:
    shared = with_state("n3", "&s active").replace("url: http://h:8\n", "url: http://h:8\n  state: *s\n")
    registry.write_text(shared)
    result = run(front, "nodes", "drain", "n8")
    assert (result.exit_code, registry.read_text()) == (1, shared)
    assert "Write `state: draining` into the entry of n8 yourself" in result.stderr


def test_a_file_that_cannot_be_replaced_stays_and_what_to_write_is_told(front: FrontDouble, registry: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as on a full disk: no file can be written
    try:
        result = run(front, "nodes", "lost", "n3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    refused(result, registry, "it is as it was.  Write `state: lost` into the entry of n3 yourself")
    assert list(registry.parent.iterdir()) == [registry]


def test_a_registry_on_another_machine_is_told_of(front: FrontDouble, registry: Path) -> None:
    registry.rename(registry.with_name("elsewhere.yaml"))
    result = run(front, "nodes", "lost", "n3")
    assert (result.exit_code, "write `state: lost` into the entry of n3 yourself" in result.stderr) == (1, True)


def test_programs_get_a_document(front: FrontDouble, registry: Path) -> None:
    found = json.loads(run(front, "--json", "nodes", "lost", "n3").stdout)
    assert found == {"id": "n3", "mode": "lost", "loss": {"id": "n3", "files": 12, "unreadable": 0}}
    assert json.loads(run(front, "--json", "nodes", "drain", "n4").stdout) == {"id": "n4", "mode": "draining"}
