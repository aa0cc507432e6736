"""put and get against a front with real sockets."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splitd.cli.main import main
from tests.unit.front_double import FrontDouble, etag

_MORE_THAN_SOCKETS_HOLD = 64 * 2**20


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
    result = run(front, "get", "--retries", "0", "/a", tmp_path / "a")
    assert result.exit_code == 4
    assert "got 4 bytes, expected 100" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_named(front: FrontDouble, tmp_path: Path) -> None:
    front.entries["/a"] = b"hello"
    result = run(front, "get", "/a", tmp_path / "no/such/folder")
    assert result.exit_code == 4
    assert "no/such/folder: No such file or directory" in result.stderr


def test_what_lies_beside_the_target_is_left_alone(front: FrontDouble, tmp_path: Path) -> None:
    front.entries["/a"] = b"hello"
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "a.part").symlink_to("precious")
    (tmp_path / "a.new").write_bytes(b"mine")
    for fault in (None, end_early):
        if fault:
            front.faults["GET"] = fault
        run(front, "get", "--retries", "0", "--force", "/a", tmp_path / "a")
        assert (tmp_path / "a.part").is_symlink()
        assert (tmp_path / "precious").read_bytes() == b"precious"
        assert (tmp_path / "a.new").read_bytes() == b"mine"
        assert (tmp_path / "a").read_bytes() == b"hello"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("character", ["x", "語"])
def test_a_name_as_long_as_the_disk_allows_can_be_fetched(front: FrontDouble, tmp_path: Path, character: str) -> None:
    name = character * (255 // len(character.encode()))
    front.entries[f"/{name}"] = b"hello"
    good(run(front, "get", f"/{name}", tmp_path))
    assert (tmp_path / name).read_bytes() == b"hello"


def test_a_name_that_no_file_can_have_is_refused_before_a_byte_is_fetched(front: FrontDouble, tmp_path: Path) -> None:
    result = run(front, "get", "/a", tmp_path / ("x" * 256))
    assert result.exit_code == 4
    assert "File name too long" in result.stderr
    assert front.seen == []


def test_a_file_that_somebody_makes_meanwhile_is_not_replaced(front: FrontDouble, tmp_path: Path) -> None:
    def make_it(handler: Any) -> None:
        (tmp_path / "a").write_bytes(b"theirs")
        handler._get()

    front.entries["/a"] = b"ours"
    front.faults["GET"] = make_it
    result = run(front, "get", "/a", tmp_path / "a")
    assert result.exit_code == 2
    assert (tmp_path / "a").read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_link_that_leads_nowhere_is_not_written_through(front: FrontDouble, tmp_path: Path) -> None:
    front.entries["/a"] = b"hello"
    (tmp_path / "a").symlink_to("nowhere")
    assert run(front, "get", "/a", tmp_path / "a").exit_code == 2
    assert not (tmp_path / "nowhere").exists()


def test_force_does_not_replace_what_is_no_file(front: FrontDouble, tmp_path: Path) -> None:
    front.entries["/a"] = b"hello"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder/a").mkdir(parents=True)
    for target in ("pipe", "folder"):
        assert run(front, "get", "--force", "/a", tmp_path / target).exit_code == 2
    assert (tmp_path / "pipe").is_fifo()


def test_one_bad_member_does_not_spoil_the_rest(front: FrontDouble, tmp_path: Path) -> None:
    def refuse_some(handler: Any) -> None:
        if handler._path.endswith(("/bad", "/worse")):
            handler.close_connection = True
            handler.say(400, "no file can have this name")
        else:
            handler._put()

    front.faults["PUT"] = refuse_some
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for name in ("a", "bad", "c", "sub/worse", "sub/z"):
        (tree / name).write_bytes(b"1")
    result = run(front, "put", "-r", tree, "/copy")
    assert result.exit_code == 1
    assert sorted(path for path, entry in front.entries.items() if entry) == ["/copy/a", "/copy/c", "/copy/sub/z"]
    assert "2 failed:\n" in result.stderr
    assert "PUT /copy/bad: no file can have this name (400)" in result.stderr
    assert "PUT /copy/sub/worse: no file can have this name (400)" in result.stderr


def test_a_collection_that_cannot_be_made_is_one_failure(front: FrontDouble, tmp_path: Path) -> None:
    def refuse_sub(handler: Any) -> None:
        if "/sub" in handler._path:
            handler.say(400, "no collection can have this name")
        else:
            handler._mkcol()

    front.faults["MKCOL"] = refuse_sub
    tree = tmp_path / "tree"
    (tree / "sub/deep").mkdir(parents=True)
    for name in ("sub/a", "sub/deep/b", "z"):
        (tree / name).write_bytes(b"1")
    result = run(front, "put", "-r", tree, "/copy")
    assert result.exit_code == 1
    assert "1 failed and 3 more were not tried:" in result.stderr
    assert front.entries["/copy/z"] == b"1"
    assert sum("/sub" in line for line in front.seen) == 1


def test_a_file_that_cannot_be_read_whole_does_not_spoil_the_rest(front: FrontDouble, tmp_path: Path) -> None:
    def shorten_next(handler: Any) -> None:
        (tmp_path / "b").write_bytes(b"")
        handler._put()

    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    front.faults["PUT"] = shorten_next
    result = run(front, "put", "-j", "1", "-r", tmp_path, "/x/")
    assert result.exit_code == 1
    assert (front.entries[f"/x/{tmp_path.name}/a"], front.entries[f"/x/{tmp_path.name}/c"]) == (b"a", b"c")
    assert "1 failed:\n" in result.stderr
    assert "b: ended 1 bytes early" in result.stderr


def test_a_server_that_is_gone_ends_the_rest(front: FrontDouble, tmp_path: Path) -> None:
    def go(handler: Any) -> None:
        front.socket.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        handler.say(500, "going")

    front.faults["PUT"] = go
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    result = run(front, "put", "-j", "1", tmp_path / "a", tmp_path / "b", tmp_path / "c", "/x")
    assert result.exit_code == 3
    assert "2 failed and 1 more were not tried:" in result.stderr
