"""put and get against a front with real sockets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splitd.cli.main import main
from tests.unit.front_double import FrontDouble, etag, running_front

_MORE_THAN_SOCKETS_HOLD = 64 * 2**20


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    with running_front() as running:
        yield running


def run(front: FrontDouble, *arguments: str | Path, data: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["--url", front.url, *map(str, arguments)], input=data)


def good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def answer_early(handler: Any) -> None:
    handler.close_connection = True
    handler.say(507, "fewer than six storage servers have room")


def hang_up(handler: Any) -> None:
    handler.close_connection = True


def end_early(handler: Any) -> None:
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("ETag", '"x"')
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"half")


def test_a_file_gets_the_name_it_is_given(front: FrontDouble, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    good(run(front, "put", tmp_path / "a.txt", "/b.txt"))
    assert front.entries["/b.txt"] == b"hello"
    assert front.types["/b.txt"] == "text/plain"


@pytest.mark.parametrize("dest", ["/", "/there", "/new/deep/"])
def test_a_file_goes_into_a_collection(front: FrontDouble, tmp_path: Path, dest: str) -> None:
    front.entries["/there"] = None
    (tmp_path / "a").write_bytes(b"hello")
    good(run(front, "put", tmp_path / "a", dest))
    assert front.entries[dest.rstrip("/") + "/a"] == b"hello"


def test_several_files_go_into_a_collection_that_is_made(front: FrontDouble, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    good(run(front, "put", tmp_path / "a", tmp_path / "b", "/x"))
    assert (front.entries["/x/a"], front.entries["/x/b"]) == (b"a", b"b")
    assert front.seen.count("MKCOL /x") == 1


def test_names_are_quoted_on_the_way_and_come_back(front: FrontDouble, tmp_path: Path) -> None:
    source = tmp_path / "50% #1? ü.bin"
    source.write_bytes(b"odd")
    good(run(front, "put", source, "/a b/"))
    assert front.entries["/a b/50% #1? ü.bin"] == b"odd"
    good(run(front, "get", "/a b/50% #1? ü.bin", tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"odd"


def test_a_folder_goes_up_whole(front: FrontDouble, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub/empty").mkdir(parents=True)
    (tree / "a").write_bytes(b"1")
    (tree / "sub/b").write_bytes(b"")
    os.mkfifo(tree / "pipe")
    result = good(run(front, "put", "-r", tree, "/copy"))
    stored = {path: entry for path, entry in front.entries.items() if path != "/"}
    assert stored == {"/copy": None, "/copy/a": b"1", "/copy/sub": None, "/copy/sub/b": b"", "/copy/sub/empty": None}
    assert "pipe: left out" in result.stderr
    good(run(front, "put", "-r", tree, "/copy"))
    assert front.entries["/copy/tree/a"] == b"1"


def test_standard_input_is_sent_in_chunks(front: FrontDouble) -> None:
    data = bytes(range(256)) * 20_000
    good(run(front, "put", "-", "/x/in", data=data))
    assert front.entries["/x/in"] == data


def test_json_tells_what_was_stored(front: FrontDouble, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    for created in (True, False):
        result = good(run(front, "--json", "put", tmp_path / "a", "/a"))
        assert json.loads(result.stdout) == {"path": "/a", "etag": etag("/a"), "created": created}


@pytest.mark.parametrize("source", ["file", "-"])
def test_a_refusal_in_the_middle_is_told_in_the_server_s_words(front: FrontDouble, tmp_path: Path, source: str) -> None:
    front.faults["PUT"] = answer_early
    name = source if source == "-" else str(sparse(tmp_path / "big", _MORE_THAN_SOCKETS_HOLD))
    result = run(front, "put", name, "/big", data=bytes(_MORE_THAN_SOCKETS_HOLD) if source == "-" else None)
    assert result.exit_code == 1
    assert result.stderr == "Error: PUT /big: fewer than six storage servers have room (507)\n"


@pytest.mark.parametrize("size", [5, _MORE_THAN_SOCKETS_HOLD])
def test_a_server_that_hangs_up_is_a_broken_transfer(front: FrontDouble, tmp_path: Path, size: int) -> None:
    front.faults["PUT"] = hang_up
    result = run(front, "put", sparse(tmp_path / "a", size), "/a")
    assert result.exit_code == 4
    assert result.stderr.startswith("Error: PUT /a: ")


@pytest.mark.parametrize(
    "arguments", [("nowhere", "/x"), ("-", "/x/"), (".", "/x"), ("only-one",)], ids=lambda each: each[0]
)
def test_what_cannot_be_sent_is_wrong_usage(front: FrontDouble, arguments: tuple[str, ...]) -> None:
    assert run(front, "put", *arguments).exit_code == 2
    assert not [line for line in front.seen if line.startswith("PUT")]


def test_a_file_comes_back_under_its_own_name_in_a_folder(front: FrontDouble, tmp_path: Path) -> None:
    front.entries["/a"] = b"hello"
    result = good(run(front, "--json", "get", "/a", tmp_path))
    assert (tmp_path / "a").read_bytes() == b"hello"
    assert json.loads(result.stdout) == {"path": "/a", "file": str(tmp_path / "a"), "size": 5, "etag": etag("/a")}
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_file_goes_to_standard_output(front: FrontDouble) -> None:
    front.entries["/a"] = b"\x00\xff" * 1_000_000
    assert good(run(front, "get", "/a", "-")).stdout_bytes == front.entries["/a"]


def test_a_file_that_is_there_is_replaced_by_force_only(front: FrontDouble, tmp_path: Path) -> None:
    front.entries["/a"] = b"new"
    target = tmp_path / "a"
    target.write_bytes(b"old")
    assert run(front, "get", "/a", target).exit_code == 2
    assert target.read_bytes() == b"old"
    good(run(front, "get", "--force", "/a", target))
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(("path", "words"), [("/none", "does not exist (404)"), ("/coll", "this is a collection")])
def test_what_is_no_file_cannot_be_fetched(front: FrontDouble, tmp_path: Path, path: str, words: str) -> None:
    front.entries["/coll"] = None
    result = run(front, "get", path, tmp_path / "x")
    assert result.exit_code == 1
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_ends_early_leaves_nothing_behind(front: FrontDouble, tmp_path: Path) -> None:
    front.faults["GET"] = end_early
    result = run(front, "get", "/a", tmp_path / "a")
    assert result.exit_code == 4
    assert "got 4 bytes, expected 100" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_named(front: FrontDouble, tmp_path: Path) -> None:
    front.entries["/a"] = b"hello"
    result = run(front, "get", "/a", tmp_path / "no/such/folder")
    assert result.exit_code == 4
    assert "no/such/folder: No such file or directory" in result.stderr
