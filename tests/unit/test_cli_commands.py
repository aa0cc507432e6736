"""The other commands against a front with real sockets, and their exit codes."""

from __future__ import annotations

import json
import socket
import time

import pytest
from click.testing import CliRunner, Result

from splitd.cli.main import main
from tests.unit.front_double import MODIFIED_S, FrontDouble, etag, run
from tests.unit.operators_double import REBALANCE, STATUS


def good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def test_a_long_list_is_read_page_by_page(front: FrontDouble) -> None:
    names = [f"{number} #ü" for number in range(8)]
    front.entries |= {"/c": None} | {f"/c/{name}": b"" for name in names}
    assert good(run(front, "ls", "/c")).stdout.splitlines() == names
    assert len([line for line in front.seen if line.startswith("GET /c?")]) == 3


def test_collections_are_told_from_files(front: FrontDouble) -> None:
    front.entries |= {"/c": None, "/f": b"12345"}
    assert good(run(front, "ls")).stdout == "c/\nf\n"
    collection, file = good(run(front, "ls", "-l", "/")).stdout.splitlines()
    assert collection.split()[0] == "-"
    assert file.split()[0] == "5"
    assert file.split()[-1] == "f"


def test_a_file_is_listed_alone(front: FrontDouble) -> None:
    front.entries["/f"] = b"12345"
    assert json.loads(good(run(front, "--json", "ls", "/f")).stdout) == {
        "name": "f",
        "type": "file",
        "size": 5,
        "modified_ms": MODIFIED_S * 1000,
        "etag": etag("/f"),
        "content_type": "application/x-thing",
    }


def test_json_lists_a_member_a_line(front: FrontDouble) -> None:
    front.entries |= {f"/{number}": b"" for number in range(5)}
    lines = good(run(front, "--json", "ls")).stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["0", "1", "2", "3", "4"]


def test_a_collection_without_an_answer_to_head_is_one_all_the_same(front: FrontDouble) -> None:
    front.entries |= {"/c": None, "/c/f": b""}
    front.faults["HEAD"] = lambda handler: handler.say(405, "not here")
    assert good(run(front, "ls", "/c")).stdout == "f\n"


def test_a_collection_is_deleted_with_r_only(front: FrontDouble) -> None:
    front.entries |= {"/c": None, "/c/f": b"", "/f": b""}
    refused = run(front, "rm", "/f", "/c")
    assert refused.exit_code == 1
    assert "/c: this is a collection" in refused.stderr
    assert set(front.entries) == {"/", "/c", "/c/f"}
    good(run(front, "rm", "-r", "/c"))
    assert set(front.entries) == {"/"}


def test_collections_are_made_with_those_above_them_on_request(front: FrontDouble) -> None:
    assert run(front, "mkdir", "/a/b/c").exit_code == 1
    good(run(front, "mkdir", "-p", "/a/b/c"))
    assert set(front.entries) == {"/", "/a", "/a/b", "/a/b/c"}
    good(run(front, "mkdir", "-p", "/a/b/c"))
    assert run(front, "mkdir", "/a/b/c").exit_code == 1


def test_the_status_is_readable(front: FrontDouble) -> None:
    front.status = STATUS
    output = good(run(front, "status")).stdout
    assert "0:01:01" in output
    assert "512.0 GiB" in output
    assert "connection [refused]" in output
    assert "7 to delete, 8 deleted; 9 parts stay on n2 for now" in output
    assert "warning: a warning" in output
    assert json.loads(good(run(front, "--json", "status")).stdout) == STATUS


def test_the_status_shows_all_fronts_that_share_the_catalog(front: FrontDouble) -> None:
    one = {
        "id": "5ac0ffee", "address": "host1:8080", "version": "1.2", "since_ms": 1_700_000_000_000,
        "heard_ms": time.time_ns() // 1_000_000 + 500, "gone": False, "upkeep": ["upkeep"], "asked": True,
    }  # fmt: skip
    two = {**one, "id": "0ddba11", "address": "host2:8080", "heard_ms": 0, "gone": True, "upkeep": [], "asked": False}
    front.status = {**STATUS, "fronts": [one, two]}
    output = good(run(front, "status")).stdout
    first, second = (
        next(line for line in output.splitlines() if each in line) for each in ("host1:8080", "host2:8080")
    )
    assert first.split()[:2] + first.split()[3:5] == ["5ac0ffee", "(asked)", "host1:8080", "1.2"]
    assert "0:00:00" in first
    assert first.split()[-1] == "upkeep"
    assert second.split()[:3] == ["0ddba11", "gone", "host2:8080"]
    assert "\njournal" not in output, "there is none"
    front.status = STATUS
    assert "last heard" not in good(run(front, "status")).stdout


def test_the_status_tells_what_lifecycle_rules_have_done(front: FrontDouble) -> None:
    front.status = STATUS
    assert "lifecycle" not in good(run(front, "status")).stdout
    walk = {"began_ms": 1, "ended_ms": 2, "buckets": 2, "expired": 7, "aborted": 1, "kept": 3, "problem": ""}
    front.status = {**STATUS, "lifecycle": walk}
    output = good(run(front, "status")).stdout
    assert "2 buckets with rules, 7 objects deleted, 1 uploads aborted, 3 kept" in output


def test_the_status_tells_the_spread_a_refused_registry_and_a_rebalance(front: FrontDouble) -> None:
    front.status = STATUS
    output = good(run(front, "status")).stdout
    assert "2, fill 41 to 44 %, spread 3.0 %" in output
    assert "/nowhere/nodes.yaml, read 2023-11-1" in output
    assert "refused" not in output.replace("[refused]", "")
    assert "rebalance" not in output
    refused = {"time_ms": 1_800_000_000_000, "reason": "nodes.yaml: line 3: no [such] key"}
    rebalance = {**REBALANCE, "moved": 7, "bytes": 2**20, "spread": 0.1, "limit": 40_000_000}
    registry = {**STATUS["registry"], "refused": refused}
    front.status = {**STATUS, "registry": registry, "rebalance": rebalance, "warnings": [refused["reason"]]}
    output = good(run(front, "status")).stdout
    assert "; the one of 2027-01-15" in output
    assert "warning: nodes.yaml: line 3: no [such] key" in output
    assert "running, 7 parts (1.0 MiB) moved, spread 21.0 % before, 10.0 % now, target 1.0 %" in output
    assert "at most 40 MB/s" in output


def test_a_service_that_is_not_ready_ends_with_1(front: FrontDouble) -> None:
    writes = {"ready": False, "problems": ["too few nodes"]}
    front.status = STATUS | {"ready": False, "problems": ["too few nodes"], "writes": writes}
    result = run(front, "status")
    assert result.exit_code == 1
    assert "problem: too few nodes" in result.stdout
    assert "no; reads yes, writes no" in result.stdout


@pytest.mark.parametrize("command", [("ls", "/no"), ("get", "/no", "-"), ("rm", "/no"), ("mkdir", "/no/no")])
def test_what_is_not_there_ends_with_1(front: FrontDouble, command: tuple[str, ...]) -> None:
    result = run(front, *command)
    assert result.exit_code == 1
    assert "/no" in result.stderr


@pytest.mark.parametrize(
    "command", [("put", __file__, "/x"), ("get", "/x", "-"), ("ls",), ("rm", "/x"), ("mkdir", "/x"), ("status",)]
)
def test_a_server_that_is_not_there_ends_with_3(command: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = CliRunner().invoke(main, ["--url", url, "--admin", url, *command])
    assert result.exit_code == 3
    assert result.stderr == f"Error: cannot reach {url}: the connection was refused\n"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://h", "http://", "http://h:0", "http://h:99999", "http://[h"])
def test_what_is_no_url_ends_with_2(url: str) -> None:
    assert CliRunner().invoke(main, ["--url", url, "ls"]).exit_code == 2


def test_an_answer_that_is_not_json_ends_with_4(front: FrontDouble) -> None:
    front.faults["GET"] = lambda handler: handler.say(200, "hello")
    result = run(front, "status")
    assert result.exit_code == 4
    assert "not JSON" in result.stderr


def test_the_server_s_sentence_cannot_steer_the_terminal(front: FrontDouble) -> None:
    front.faults["DELETE"] = lambda handler: handler.say(503, "no\x1b[31m\nway")
    assert run(front, "rm", "/x").stderr == "Error: DELETE /x: no?[31m way (503)\n"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            b'{"error": "only those with admin on the root see the\\u001b keys"}',
            "only those with admin on the root see the? keys",
        ),
        (b'{"error": 1}', "Forbidden"),
        (b"[]", "Forbidden"),
        (b'{"error": "cut', "Forbidden"),
        (b"\xff", "Forbidden"),
    ],
)
def test_the_sentence_may_be_in_json(front: FrontDouble, body: bytes, told: str) -> None:
    front.faults["GET"] = lambda handler: handler.answer(403, body, "application/json")
    result = run(front, "key", "list", "--all")
    assert (result.exit_code, result.stderr) == (1, f"Error: GET /.splitd/api/keys: {told} (403)\n")


def test_exit_codes_are_told_in_the_help() -> None:
    assert "Exit codes:" in CliRunner().invoke(main, ["--help"]).stdout
