"""splitctl sync against a front with real sockets, and its plan beside a naive one."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from splitd.cli.main import main
from splitd.cli.sync.plan import Found, plan
from tests.unit.front_double import MODIFIED_S, FrontDouble, running_front

TREE = {"a": b"1", "s/b b#": b"22", "s/t/ü": b"333"}


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    with running_front() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose files are as old as the double's; it has an empty folder, too."""
    root = tmp_path / "here"
    for name, data in TREE.items():
        write(root / name, data)
    (root / "empty").mkdir()
    return root


def write(path: Path, data: bytes, modified_s: int = MODIFIED_S) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (modified_s, modified_s))


def run(front: FrontDouble, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["--url", front.url, *map(str, arguments)])


def steps(front: FrontDouble, *arguments: str | Path) -> set[tuple[str, str]]:
    result = run(front, "--json", "sync", *arguments)
    assert result.exit_code == 0, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    return {(document["action"], document["path"]) for document in documents}


def files(front: FrontDouble, top: str = "/t/") -> dict[str, bytes]:
    return {path.removeprefix(top): data for path, data in front.entries.items() if data is not None}


def fetched(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_up_stores_what_is_missing_and_then_has_nothing_to_do(front: FrontDouble, folder: Path) -> None:
    made = {("make", "/"), ("make", "empty"), ("make", "s"), ("make", "s/t")}
    assert steps(front, "up", folder, "/t") == made | {("transfer", name) for name in TREE}
    assert files(front) == TREE
    assert front.entries["/t/empty"] is None
    assert steps(front, "up", folder, "/t/") == set()


def test_up_stores_what_has_changed_by_size_or_time(front: FrontDouble, folder: Path) -> None:
    steps(front, "up", folder, "/t")
    write(folder / "a", b"longer, and older", MODIFIED_S - 5)
    write(folder / "s/b b#", b"xx", MODIFIED_S + 5)
    write(folder / "s/t/ü", b"???", MODIFIED_S - 5)
    assert steps(front, "up", folder, "/t") == {("transfer", "a"), ("transfer", "s/b b#")}
    assert files(front) == {"a": b"longer, and older", "s/b b#": b"xx", "s/t/ü": b"333"}


def test_with_checksum_the_bytes_decide(front: FrontDouble, folder: Path) -> None:
    steps(front, "up", folder, "/t")
    write(folder / "a", b"1", MODIFIED_S + 5)
    write(folder / "s/t/ü", b"???", MODIFIED_S - 5)
    assert steps(front, "up", "--checksum", "-n", folder, "/t") == {("transfer", "s/t/ü")}
    assert steps(front, "up", "--checksum", folder, "/t") == {("transfer", "s/t/ü")}
    assert files(front)["s/t/ü"] == b"???"
    assert steps(front, "down", "--checksum", "/t", folder) == set()


def test_a_dry_run_changes_nothing(front: FrontDouble, folder: Path) -> None:
    front.entries |= {"/t": None, "/t/old": b""}
    told = steps(front, "up", "-n", "--delete", folder, "/t")
    assert ("delete", "old") in told
    assert {("transfer", name) for name in TREE} < told
    assert files(front) == {"old": b""}
    assert not [line for line in front.seen if line.split()[0] not in {"GET", "HEAD"}]


def test_what_is_only_in_the_target_is_deleted_if_asked(front: FrontDouble, folder: Path) -> None:
    front.entries |= {"/t": None, "/t/old": None, "/t/old/x": b"", "/t/old/y": b"", "/t/s": b"a file"}
    result = run(front, "sync", "up", folder, "/t")
    assert result.exit_code == 1
    assert "s: a file on one side and a collection on the other" in result.stderr
    assert files(front) == {"a": b"1", "s": b"a file", "old/x": b"", "old/y": b""}
    assert {("delete", "old"), ("delete", "s"), ("make", "s")} < steps(front, "up", "--delete", folder, "/t")
    assert files(front) == TREE


def too_deep(folder: Path) -> None:
    """Make folders in a folder, until the path of the last one is too long for the system to list it."""
    name = "d" * 250
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(os.pathconf("/", "PC_PATH_MAX") // len(name) + 1):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)


def test_a_source_that_cannot_be_read_deletes_nothing(front: FrontDouble, folder: Path) -> None:
    steps(front, "up", folder, "/t")
    front.entries["/t/old"] = b"only there"
    too_deep(folder / "s")
    result = run(front, "sync", "up", "--delete", folder, "/t")
    assert result.exit_code == 1
    assert "nothing was done" in result.stderr
    assert "here/s/ddd" in result.stderr
    assert "ddd: File name too long" in result.stderr
    assert files(front) == TREE | {"old": b"only there"}
    assert run(front, "sync", "up", folder, "/t").exit_code == 1


def test_down_fetches_what_is_missing_and_then_has_nothing_to_do(front: FrontDouble, tmp_path: Path) -> None:
    front.entries |= {"/t": None, "/t/s": None, "/t/s/t": None} | {f"/t/{name}": data for name, data in TREE.items()}
    target = tmp_path / "new/there"
    made = {("make", "/"), ("make", "s"), ("make", "s/t")}
    assert steps(front, "down", "/t", target) == made | {("transfer", name) for name in TREE}
    assert fetched(target) == TREE
    assert {path.stat().st_mtime for path in target.rglob("*") if path.is_file()} == {MODIFIED_S}
    assert steps(front, "down", "/t", target) == set()
    write(target / "a", b"0", MODIFIED_S - 1)
    (target / "mine").mkdir()
    write(target / "mine/x", b"")
    write(target / "s/t/mine", b"")
    assert steps(front, "down", "/t", target) == {("transfer", "a")}
    assert steps(front, "down", "--delete", "/t", target) == {("delete", "mine"), ("delete", "s/t/mine")}
    assert fetched(target) == TREE


def test_a_name_that_leads_out_of_the_folder_is_refused(front: FrontDouble, tmp_path: Path) -> None:
    def lie(handler: Any) -> None:
        member = {"name": "../evil", "type": "file", "size": 1, "modified_ms": 0}
        handler.answer(200, json.dumps({"members": [member], "next": None}).encode(), "application/json")

    front.entries["/t"] = None
    front.faults["GET"] = lie
    result = run(front, "sync", "down", "/t", tmp_path / "there")
    assert result.exit_code == 1
    assert "no file here can have this name" in result.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_server_that_is_gone_ends_a_sync(front: FrontDouble, folder: Path) -> None:
    def go(handler: Any) -> None:
        front.socket.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        handler.say(500, "going")

    front.faults["PUT"] = go
    result = run(front, "sync", "up", "-j", "1", folder, "/t")
    assert result.exit_code == 3
    assert "2 failed and 1 more were not tried" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("up", "/no/such/folder", "/t"), ("down", "/none", "x"), ("down", "/file", "x"), ("up", ".", "/file")]
)
def test_what_cannot_be_synced_is_refused(front: FrontDouble, arguments: tuple[str, ...]) -> None:
    front.entries["/file"] = b""
    assert run(front, "sync", *arguments).exit_code in {1, 2}
    assert not Path("x").exists()


def trees() -> st.SearchStrategy[dict[str, Found]]:
    """Trees of few names, in which each path's collections are there."""
    leaf = st.builds(Found, st.integers(0, 1), st.integers(0, 1))
    names = st.sampled_from(["a", "a-", "b"])
    nested = st.recursive(leaf, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6)
    return st.dictionaries(names, nested, max_size=3).map(flat)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Found]:
    found: dict[str, Found] = {}
    for name, entry in tree.items():
        if isinstance(entry, Found):
            found[prefix + name] = entry
        else:
            found[prefix + name] = Found(None, 0)
            found |= flat(entry, f"{prefix}{name}/")
    return found


def is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top + "/")


@given(source=trees(), target=trees())
def test_a_plan_that_deletes_makes_the_target_like_the_source(
    source: dict[str, Found], target: dict[str, Found]
) -> None:
    steps = plan(source, target, delete=True, checksum=False)
    left = {path: entry for path, entry in target.items() if not any(is_below(path, top) for top in steps.delete)}
    for path in steps.make:
        assert path not in left
        assert "/" not in path or not left[path.rpartition("/")[0]].is_file
        left[path] = Found(None, 0)
    for path in steps.transfer:
        assert "/" not in path or not left[path.rpartition("/")[0]].is_file
        left[path] = source[path]
    assert left.keys() == source.keys()
    for path, entry in source.items():
        assert left[path].size == entry.size
        assert not entry.is_file or left[path].modified_ms >= entry.modified_ms
    assert all(path not in source or source[path].is_file != target[path].is_file for path in steps.delete)
    assert steps.conflicts == []


@given(source=trees(), target=trees())
def test_a_plan_that_does_not_delete_leaves_all_of_the_target(
    source: dict[str, Found], target: dict[str, Found]
) -> None:
    steps = plan(source, target, delete=False, checksum=True)
    assert steps.delete == []
    for path in steps.conflicts:
        assert source[path].is_file != target[path].is_file
    touched = {*steps.make, *steps.transfer, *steps.compare}
    for path in touched:
        assert path not in target or target[path].is_file == source[path].is_file
    for path, entry in source.items():
        blocked = any(is_below(path, top) for top in steps.conflicts)
        same = path in target and not entry.is_file
        assert (path in touched) == (not blocked and not same)
