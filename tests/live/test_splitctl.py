"""splitctl as its users run it: a process with arguments, pipes and an exit code."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from splitd.model.path_faults import MAX_PATH
from tests.live.clients import ask
from tests.live.local_cluster import LocalCluster
from tests.live.splitctl import Splitctl

NAMES = ["plain", "two words", "a#b", "a?b=c", "100%", "%41", "a+b&c;d", "Größe 日本", "-dash", 'it\'s "so"']
DATA = os.urandom(2_000_003)


@pytest.fixture
def splitctl(cluster: LocalCluster, tmp_path: Path) -> Splitctl:
    return Splitctl(cluster, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_stored_listed_fetched_and_deleted(splitctl: Splitctl, name: str) -> None:
    (splitctl.folder / name).write_bytes(DATA)
    splitctl.run("put", "--", name, "/names/")
    assert splitctl.lines("ls", "/names") == [name]
    assert splitctl.lines("ls", f"/names/{name}") == [name]
    splitctl.run("get", f"/names/{name}", "copy")
    assert (splitctl.folder / "copy").read_bytes() == DATA
    splitctl.run("rm", f"/names/{name}")
    assert splitctl.lines("ls", "/names") == []
    splitctl.run("rm", "-r", "/names")


def test_the_longest_path_is_as_good_as_any_other(splitctl: Splitctl) -> None:
    name = "漢" * 85
    folder = f"/{name}" * 15
    path = f"{folder}/{name}"
    assert len(path.encode()) == MAX_PATH
    (splitctl.folder / name).write_bytes(DATA)
    splitctl.run("put", name, f"{folder}/")
    assert splitctl.lines("ls", folder) == [name]
    assert splitctl.lines("ls", path) == [name]
    splitctl.run("get", path, "copy")
    assert (splitctl.folder / "copy").read_bytes() == DATA
    assert splitctl.run("get", path, "-") == DATA
    splitctl.run("rm", path)
    splitctl.run("mkdir", path)
    assert splitctl.lines("ls", folder) == [f"{name}/"]
    splitctl.run("put", name, f"{path}/", expected=1)  # one name too many
    splitctl.run("rm", "-r", f"/{name}")


def test_standard_input_becomes_a_file_and_a_file_goes_to_standard_output(splitctl: Splitctl) -> None:
    splitctl.run("put", "-", "/piped", data=DATA)
    assert splitctl.run("get", "/piped", "-") == DATA
    splitctl.run("put", "-", "/piped", data=b"")
    assert splitctl.run("get", "/piped", "-") == b""
    splitctl.run("rm", "/piped")


def test_a_tree_of_folders_is_stored_with_all_that_is_in_it(splitctl: Splitctl) -> None:
    files = {"a": b"", "sub/b b": b"b", "sub/deep/ü": DATA}
    for name, data in files.items():
        path = splitctl.folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (splitctl.folder / "tree" / "empty").mkdir()
    splitctl.run("put", "-r", "tree", "/above/it/")
    for name, data in files.items():
        assert splitctl.run("get", f"/above/it/tree/{name}", "-") == data
    assert splitctl.lines("ls", "/above/it/tree") == ["a", "empty/", "sub/"]
    assert splitctl.lines("ls", "/above/it/tree/empty") == []
    splitctl.run("rm", "/above", expected=1)
    splitctl.run("rm", "-r", "/above")
    splitctl.run("ls", "/above", expected=1)


def test_programs_get_documents(splitctl: Splitctl) -> None:
    (splitctl.folder / "file.txt").write_bytes(b"hello")
    (collection,) = splitctl.documents("mkdir", "/documents")
    assert collection == {"path": "/documents", "type": "collection"}
    (stored,) = splitctl.documents("put", "file.txt", "/documents/")
    assert (stored["path"], stored["created"]) == ("/documents/file.txt", True)
    assert splitctl.documents("put", "file.txt", "/documents/")[0]["created"] is False
    (listed,) = splitctl.documents("ls", "/documents")
    assert (listed["name"], listed["type"], listed["size"]) == ("file.txt", "file", 5)
    (fetched,) = splitctl.documents("get", "/documents/file.txt", "copy")
    assert (fetched["size"], fetched["etag"]) == (5, listed["etag"])
    assert splitctl.documents("rm", "-r", "/documents") == [{"path": "/documents", "deleted": True}]


def test_the_cluster_is_well_and_has_six_nodes(splitctl: Splitctl) -> None:
    (status,) = splitctl.documents("status")
    assert (status["ready"], status["problems"]) == (True, [])
    nodes = splitctl.documents("nodes")
    assert [(node["id"], node["state"]) for node in nodes] == [(f"n{number}", "up") for number in range(1, 7)]
    for command in ("status", "nodes"):
        said = splitctl.run(command).decode()
        assert all(f"n{number} " in said for number in range(1, 7))
        assert " %, spread " in said


def test_collections_are_made_one_by_one_or_with_those_above(splitctl: Splitctl) -> None:
    splitctl.run("mkdir", "/made/deep", expected=1)
    splitctl.run("mkdir", "-p", "/made/deep")
    splitctl.run("mkdir", "/made", expected=1)
    splitctl.run("mkdir", "-p", "/made")
    assert splitctl.lines("ls", "/made") == ["deep/"]
    splitctl.run("rm", "-r", "/made")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["get", "/missing", "copy"], 1),
        (["rm", "/missing"], 1),
        (["ls", "/missing"], 1),
        (["get", "/", "copy"], 2),
        (["put", "missing", "/x"], 2),
        (["no-such-command"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_exit_code_tells_what_went_wrong(splitctl: Splitctl, arguments: list[str], code: int) -> None:
    splitctl.run(*arguments, expected=code)
    assert not list(splitctl.folder.iterdir())


def test_the_exit_code_is_3_where_nobody_listens(splitctl: Splitctl) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # the port is ours, and nobody listens on it
        splitctl.run("--url", f"http://127.0.0.1:{nobody.getsockname()[1]}", "get", "/x", "copy", expected=3)


def test_trees_are_synced_copied_moved_found_and_fetched(splitctl: Splitctl) -> None:
    files = {"a": b"", "sub/b b#": DATA, "sub/deep/ü": b"3"}
    for name, data in files.items():
        path = splitctl.folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    made = [{"action": "make", "path": path} for path in ("/", "sub", "sub/deep")]
    done = splitctl.documents("sync", "up", "tree", "/synced")
    assert done[:3] == made
    assert {step["path"] for step in done[3:]} == files.keys()
    assert splitctl.documents("sync", "up", "tree", "/synced") == []
    assert splitctl.documents("sync", "up", "--checksum", "tree", "/synced") == []
    splitctl.run("put", "--verify", "tree/a", "tree/sub/b b#", "/synced/sub/")
    splitctl.run("cp", "-r", "/synced", "/copy")
    splitctl.run("mv", "/synced", "/moved")
    splitctl.run("mv", "-n", "/moved", "/copy/a", expected=1)
    found = ["/copy/a", "/copy/sub/", "/copy/sub/a", "/copy/sub/b b#", "/copy/sub/deep/", "/copy/sub/deep/ü"]
    assert splitctl.lines("find", "/copy") == found
    assert splitctl.lines("find", "--larger", "1MiB", "/copy") == ["/copy/sub/b b#"]
    [total] = splitctl.documents("du", "-d", "0", "/copy")
    assert total == {"path": "/copy", "files": 4, "bytes": len(DATA) + 1}
    splitctl.run("get", "-r", "/copy", "back")
    assert (splitctl.folder / "back/sub/deep/ü").read_bytes() == b"3"
    assert (splitctl.folder / "back/sub/b b#").read_bytes() == DATA
    splitctl.run("sync", "down", "--delete", "/moved", "tree")
    assert (splitctl.folder / "tree/sub/a").read_bytes() == b""
    assert splitctl.documents("sync", "down", "--delete", "/moved", "tree") == []
    splitctl.run("rm", "-r", "/moved", "/copy")


def test_links_are_made_listed_used_and_taken_back(splitctl: Splitctl, cluster: LocalCluster) -> None:
    splitctl.run("put", "-", "/shared file", data=DATA)
    assert splitctl.lines("share", "list") == ["there are no links"]
    [url] = splitctl.lines("share", "add", "/shared file", "--days", "1", "--downloads", "1")
    assert ask(f"{url}/shared%20file").body == DATA
    assert ask(f"{url}/shared%20file").status == 410
    with_password = json.loads(
        splitctl.run("--json", "share", "add", "/shared file", "--password-stdin", data=b"sesame\n")
    )
    assert with_password["password"] is True
    assert DATA not in ask(f"{cluster.url}{with_password['url']}/shared%20file").body
    splitctl.run("mkdir", "/in")
    [into] = splitctl.lines("share", "add", "/in", "--upload")
    assert ask(f"{into}/left", "PUT", b"x").status == 201
    assert splitctl.lines("ls", "/in") == ["left"]
    [shares] = splitctl.documents("share", "list", "--all")
    assert sorted(each["mode"] for each in shares) == ["read", "read", "upload"]
    splitctl.run("share", "rm", *(each["id"] for each in shares))
    assert ask(url).status == 404
    splitctl.run("share", "rm", shares[0]["id"], expected=1)
    splitctl.run("rm", "-r", "/in", "/shared file")
