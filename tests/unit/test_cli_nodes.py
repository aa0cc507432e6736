"""splitctl nodes, nodes add and reload against a front with real sockets."""

from __future__ import annotations

import io
import json
import os
import resource
import socket
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console

from splitd.cli.errors import Unreachable
from splitd.cli.fill import describe_spread, fill_bar, node_table
from splitd.cli.joining import NotUp, wait_until_up
from splitd.cli.registry_editor import RegistryEditor
from splitd.cli.server import Server
from tests.unit.front_double import FrontDouble, run
from tests.unit.operators_double import STATUS

URL = "http://10.0.0.7:8090"
REGISTRY = """\
# ours; the first is the oldest
- id: n1   # in the cellar
  url: http://h:1
  zone: "1"
- {id: nas, url: 'http://nas:8090'}
# the end
"""


@pytest.fixture
def registry(front: FrontDouble, tmp_path: Path) -> Path:
    """The registry that the front reads; a server is ready to be added to it."""
    path = tmp_path / "nodes.yaml"
    path.write_text(REGISTRY)
    front.operators.serve(path)
    front.operators.servers[URL] = {"capacity": 2**40, "free": 2**39}
    return path


def good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def add(front: FrontDouble, *more: str) -> Result:
    return run(front, "nodes", "add", "--id", "n7", "--url", URL, *more)


# The list


def test_the_nodes_are_listed_with_their_fill_as_bars_and_the_spread(front: FrontDouble) -> None:
    front.status = STATUS
    heading, first, second, empty, spread = good(run(front, "nodes")).stdout.splitlines()
    assert heading.split() == ["node", "state", "mode", "zone", "url", "free", "capacity", "fill", "problem"]
    assert first.split()[:3] == ["n1", "up", "active"]
    assert "█" * 10 + "░" * 10 + "  50.0 %" in first
    assert second.split()[:3] == ["n2", "down", "readonly"]
    assert "connection [refused]" in second
    assert "%" not in second
    assert (empty, spread) == ("", "fill 41 to 44 %, spread 3.0 %")


def test_the_size_of_a_disk_that_nodes_share_is_shown_once(front: FrontDouble) -> None:
    first = {**STATUS["nodes"][0], "volume": "v"}
    shared = [{**first, "id": f"n{number}"} for number in range(1, 7)]
    front.status = {**STATUS, "nodes": [*shared, {**first, "id": "n7", "volume": "w"}, STATUS["nodes"][1]]}
    heading, *rows, _, total = good(run(front, "nodes")).stdout.splitlines()
    sizes = [row[heading.index("url") + len("http://h:1") : heading.index("fill")].split() for row in rows]
    one = "512.0 GiB 1.0 TiB"
    assert [" ".join(each) for each in sizes] == [one, *["same disk as n1"] * 5, one, "0 B 0 B"]
    assert total == "8 nodes on 3 disks with 1.0 TiB of 2.0 TiB free, fill 41 to 44 %, spread 3.0 %"
    assert "8 nodes on 3 disks" in good(run(front, "status")).stdout


def test_json_lists_a_node_a_line(front: FrontDouble) -> None:
    front.status = STATUS
    lines = good(run(front, "--json", "nodes")).stdout.splitlines()
    assert [json.loads(line) for line in lines] == STATUS["nodes"]


@pytest.mark.parametrize(
    ("fill", "bar"),
    [(0.0, "...................."), (0.26, "#####..............."), (1.0, "####################"), (1.2, "#" * 20)],
)
def test_a_bar_is_readable_without_colours_and_in_plain_letters(fill: float, bar: str) -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), "ascii"), width=200)
    assert fill_bar(console, fill).plain.split(" ", 1)[0] == bar


def test_the_list_fits_a_terminal_of_80_columns() -> None:
    file = io.StringIO()
    node = {**STATUS["nodes"][0], "url": "http://127.0.0.1:8091"}
    console = Console(file=file, width=80)
    console.print(node_table(console, [node] * 2))
    heading, *rows = file.getvalue().splitlines()
    assert heading.split() == ["node", "state", "mode", "url", "free", "capacity", "fill"]
    assert [row.split()[:4] for row in rows] == [["n1", "up", "active", "http://127.0.0.1:8091"]] * 2
    assert all("█" * 5 + "░" * 5 + "  50.0 %" in row for row in rows)


def test_where_no_node_is_up_there_is_no_spread() -> None:
    assert describe_spread(None) == "fill not known"


# Adding


def test_a_node_is_added_and_all_else_stays_byte_for_byte(front: FrontDouble, registry: Path) -> None:
    said = good(add(front)).stdout
    assert registry.read_text() == REGISTRY + f"- id: n7\n  url: {URL}\n"
    assert "512.0 GiB of 1.0 TiB free" in said
    assert "3 storage servers; added n7" in said
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("n7 ")][-1] == ["n7", "up"]
    assert list(registry.parent.iterdir()) == [registry]


def test_a_front_that_has_read_the_registry_already_has_added_it_all_the_same(
    front: FrontDouble, registry: Path
) -> None:
    def read_first() -> str:
        front.operators.refuses = lambda: ""
        front.operators.reload({})
        return ""

    front.operators.refuses = read_first
    assert "3 storage servers; added n7" in good(add(front)).stdout


def test_zone_and_weight_are_written_too(front: FrontDouble, registry: Path) -> None:
    good(add(front, "--zone", "1", "--weight", "2"))
    assert registry.read_text() == REGISTRY + f"- id: n7\n  url: {URL}\n  zone: '1'\n  weight: 2\n"


def test_programs_get_one_document(front: FrontDouble, registry: Path) -> None:
    document = json.loads(good(run(front, "--json", "nodes", "add", "--id", "n7", "--url", URL)).stdout)
    assert document["registry"] == str(registry)
    assert document["changes"] == {"nodes": 3, "added": ["n7"], "moved": [], "changed": []}
    assert (document["server"]["free"], document["node"]["state"]) == (2**39, "up")


def test_without_waiting_it_returns_before_the_node_is_up(front: FrontDouble, registry: Path) -> None:
    document = json.loads(good(run(front, "--json", "nodes", "add", "--id", "n7", "--url", URL, "--no-wait")).stdout)
    assert document["node"]["state"] == "unknown"


def test_mode_owner_and_link_of_the_registry_stay(front: FrontDouble, registry: Path) -> None:
    somebody = 12345 if os.geteuid() == 0 else -1
    os.chown(registry, somebody, somebody)
    registry.chmod(0o640)
    before = registry.stat()
    link = registry.with_name("link.yaml")
    link.symlink_to(registry)
    good(add(front, "--registry", str(link)))
    after = registry.stat()
    assert link.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_size > before.st_size


@pytest.mark.parametrize(
    ("node_id", "url", "reason"), [("n1", URL, "registered already"), ("n7", "http://away:1", "cannot be reached")]
)
def test_nothing_is_written_where_the_front_does_not_like_the_server(
    front: FrontDouble, registry: Path, node_id: str, url: str, reason: str
) -> None:
    result = run(front, "nodes", "add", "--id", node_id, "--url", url)
    assert result.exit_code == 1
    assert reason in result.stderr
    assert registry.read_text() == REGISTRY


def test_a_refused_registry_is_put_back_and_the_reason_told(front: FrontDouble, registry: Path) -> None:
    front.operators.refuses = lambda: "nodes.yaml: line 7: no such zone"
    before = registry.stat()
    result = add(front)
    assert result.exit_code == 1
    assert f"line 7: no such zone (422); {registry} is as it was" in result.stderr
    assert registry.read_text() == REGISTRY
    assert registry.stat().st_mode == before.st_mode


def test_what_somebody_else_writes_meanwhile_is_not_undone(front: FrontDouble, registry: Path) -> None:
    def write() -> str:
        registry.write_text("# mine\n")
        return "line 1: no nodes"

    front.operators.refuses = write
    assert "was changed meanwhile and stays so" in add(front).stderr
    assert registry.read_text() == "# mine\n"


def test_a_node_that_stands_in_the_registry_already_is_finished_joining(front: FrontDouble, registry: Path) -> None:
    registry.write_text(text := REGISTRY + f"- {{id: n7, url: '{URL}/'}}\n")
    assert "added n7" in good(add(front)).stdout
    assert registry.read_text() == text


def test_a_node_that_stands_there_with_another_url_is_refused(front: FrontDouble, registry: Path) -> None:
    registry.write_text(text := REGISTRY + "- id: n7\n  url: http://old:1\n")
    result = add(front)
    assert result.exit_code == 1
    assert "n7 stands there already, with the url http://old:1" in result.stderr
    assert registry.read_text() == text


def test_a_registry_on_another_machine_is_told_of_and_what_to_write_into_it(front: FrontDouble, registry: Path) -> None:
    registry.rename(registry.with_name("elsewhere.yaml"))
    result = add(front)
    assert result.exit_code == 1
    assert f"there is no {registry} on this machine" in result.stderr
    assert f"- id: n7\n  url: {URL}\n" in result.stderr


def test_a_file_that_the_front_does_not_read_is_left_alone(front: FrontDouble, registry: Path) -> None:
    other = registry.with_name("other.yaml")
    other.write_text("- id: nas\n  url: http://nas:8090\n")
    result = add(front, "--registry", str(other))
    assert result.exit_code == 1
    assert "is not what this front reads, it lacks n1" in result.stderr
    assert other.read_text() == "- id: nas\n  url: http://nas:8090\n"


def test_a_copy_that_the_front_does_not_read_is_found_out(front: FrontDouble, registry: Path) -> None:
    copy = registry.with_name("copy.yaml")
    copy.write_text(REGISTRY)
    result = add(front, "--registry", str(copy), "--no-wait")
    assert result.exit_code == 1
    assert "the front does not know it" in result.stderr


def test_a_list_in_brackets_is_refused_with_what_to_do(front: FrontDouble, registry: Path) -> None:
    registry.write_text(text := "[{id: n1, url: 'http://h:1'}, {id: nas, url: 'http://nas:8090'}]\n")
    result = add(front)
    assert result.exit_code == 1
    assert "stands in brackets" in result.stderr
    assert f"- id: n7\n  url: {URL}\n" in result.stderr
    assert registry.read_text() == text


def test_a_file_that_cannot_be_replaced_stays_and_the_lines_to_add_are_told(front: FrontDouble, registry: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as on a full disk: no file can be written
    try:
        result = add(front)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 1
    assert f"- id: n7\n  url: {URL}\n" in result.stderr
    assert registry.read_text() == REGISTRY
    assert list(registry.parent.iterdir()) == [registry]


def test_a_registry_keeps_its_node_where_the_front_goes_away_before_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "nodes.yaml"
    path.write_text(REGISTRY)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        front = Server(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unreachable, match="`splitctl reload` tells the front"):
            RegistryEditor(path).join([{"id": "n7", "url": URL}], front)
    assert path.read_text() == REGISTRY + f"- id: n7\n  url: {URL}\n"


def test_a_node_that_does_not_come_up_is_told_with_its_problem(front: FrontDouble) -> None:
    front.status = STATUS
    with pytest.raises(NotUp, match=r"n2 is down: connection \[refused\]; n9 is not in the registry"):
        wait_until_up(Server(front.url), {"n1", "n2", "n9"}, patience_s=0)


@pytest.mark.parametrize("weight", ["0", "-1", "1001", "heavy"])
def test_a_weight_that_is_none_is_wrong_usage(front: FrontDouble, registry: Path, weight: str) -> None:
    assert add(front, "--weight", weight).exit_code == 2
    assert registry.read_text() == REGISTRY


# Reload


def test_a_reload_tells_what_has_changed(front: FrontDouble, registry: Path) -> None:
    assert good(run(front, "reload")).stdout == "2 storage servers; nothing has changed\n"
    registry.write_text(REGISTRY + "- id: n8\n  url: http://h:8\n")
    assert good(run(front, "reload")).stdout == "3 storage servers; added n8\n"
    found = json.loads(good(run(front, "--json", "reload")).stdout)
    assert found == {"nodes": 3, "added": [], "moved": [], "changed": []}


def test_a_refused_reload_ends_with_1_and_the_reason(front: FrontDouble, registry: Path) -> None:
    front.operators.refuses = lambda: "nodes.yaml: line 2: n1 is missing"
    result = run(front, "reload")
    assert result.exit_code == 1
    assert "nodes.yaml: line 2: n1 is missing" in result.stderr
