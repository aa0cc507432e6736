"""cp, mv, find and du against a front with real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splitd.cli.main import main
from tests.unit.front_double import MODIFIED_S, FrontDouble, running_front

DEEP = 1100


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    with running_front() as running:
        running.entries |= {
            "/a": b"1",
            "/c": None,
            "/c/b.txt": b"22",
            "/c/d": None,
            "/c/d/e.jpg": b"333",
            "/x y#ü": b"",
        }
        yield running


def run(front: FrontDouble, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--url", front.url, *arguments])


def good(front: FrontDouble, *arguments: str) -> str:
    result = run(front, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def documents(front: FrontDouble, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in good(front, "--json", *arguments).splitlines()]


def test_a_file_is_renamed(front: FrontDouble) -> None:
    good(front, "mv", "/x y#ü", "/neu %41")
    assert "/x y#ü" not in front.entries
    assert front.entries["/neu %41"] == b""


@pytest.mark.parametrize("dest", ["/c", "/c/"])
def test_a_file_is_moved_into_a_collection(front: FrontDouble, dest: str) -> None:
    assert documents(front, "mv", "/a", dest) == [{"source": "/a", "path": "/c/a", "created": True}]
    assert front.entries["/c/a"] == b"1"


def test_a_collection_moves_with_all_that_is_in_it(front: FrontDouble) -> None:
    good(front, "mv", "/c", "/z")
    assert {path for path in front.entries if path.startswith("/z")} == {"/z", "/z/b.txt", "/z/d", "/z/d/e.jpg"}
    assert "/c" not in front.entries


def test_a_copy_leaves_its_source(front: FrontDouble) -> None:
    good(front, "cp", "/a", "/b")
    assert front.entries["/a"] == front.entries["/b"] == b"1"


def test_collections_are_copied_only_if_asked(front: FrontDouble) -> None:
    result = run(front, "cp", "/a", "/c", "/d/")
    assert result.exit_code == 1
    assert "/c: this is a collection" in result.stderr
    assert not [line for line in front.seen if line.startswith("COPY")]
    front.entries["/d"] = None
    good(front, "cp", "-r", "/a", "/c", "/d/")
    assert front.entries["/d/c/d/e.jpg"] == b"333"
    assert front.entries["/d/a"] == b"1"


def test_missing_collections_are_made_if_asked(front: FrontDouble) -> None:
    assert run(front, "mv", "/a", "/new/deep/a").exit_code == 1
    good(front, "mv", "-p", "/a", "/new/deep/a")
    assert front.entries["/new/deep/a"] == b"1"


@pytest.mark.parametrize("command", ["cp", "mv"])
def test_what_is_there_is_replaced_unless_told_otherwise(front: FrontDouble, command: str) -> None:
    result = run(front, command, "-n", "/a", "/c/b.txt")
    assert result.exit_code == 1
    assert "/c/b.txt is there already, and --no-clobber keeps it" in result.stderr
    assert front.entries["/c/b.txt"] == b"22"
    assert documents(front, command, "/a", "/c/b.txt") == [{"source": "/a", "path": "/c/b.txt", "created": False}]
    assert front.entries["/c/b.txt"] == b"1"


def test_one_of_several_that_fails_does_not_keep_the_others(front: FrontDouble) -> None:
    result = run(front, "mv", "/a", "/none", "/x y#ü", "/c")
    assert result.exit_code == 1
    assert "1 of 3 failed:" in result.stderr
    assert "/none does not exist" in result.stderr
    assert front.entries["/c/a"] == b"1"
    assert front.entries["/c/x y#ü"] == b""


@pytest.mark.parametrize("arguments", [("cp", "-r", "/", "/c/"), ("mv", "/", "/new")])
def test_the_root_stays(front: FrontDouble, arguments: tuple[str, ...]) -> None:
    assert run(front, *arguments).exit_code == 2


def test_find_lists_each_collection_before_what_is_in_it(front: FrontDouble) -> None:
    everything = ["/a", "/c/", "/c/b.txt", "/c/d/", "/c/d/e.jpg", "/x y#ü"]
    assert good(front, "find").splitlines() == everything
    assert good(front, "find", "/c/").splitlines() == ["/c/b.txt", "/c/d/", "/c/d/e.jpg"]
    assert good(front, "find", "-0").split("\0") == [*everything, ""]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--name", "*.jpg"], ["/c/d/e.jpg"]),
        (["--name", "?"], ["/a", "/c/", "/c/d/"]),
        (["--type", "d"], ["/c/", "/c/d/"]),
        (["--type", "f", "--name", "[ab]*"], ["/a", "/c/b.txt"]),
        (["--larger", "1"], ["/c/b.txt", "/c/d/e.jpg"]),
        (["--larger", "1", "--smaller", "3B"], ["/c/b.txt"]),
        (["--smaller", "1KiB", "--name", "x*"], ["/x y#ü"]),
    ],
)
def test_find_shows_what_fits_to_all_options(front: FrontDouble, options: list[str], expected: list[str]) -> None:
    assert good(front, "find", *options).splitlines() == expected


def test_find_knows_ages(front: FrontDouble) -> None:
    days = int(time.time() - MODIFIED_S) // 86_400
    assert good(front, "find", "--newer", f"{days + 1}d", "--name", "a") == "/a\n"
    assert good(front, "find", "--older", f"{days - 1}d", "--name", "a") == "/a\n"
    assert good(front, "find", "--newer", f"{days - 1}d") == ""
    assert good(front, "find", "--older", f"{days + 1}d") == ""


@pytest.mark.parametrize("option", [("--newer", "7"), ("--older", "-1d"), ("--newer", "1y"), ("--larger", "many")])
def test_find_refuses_what_is_no_age_and_no_size(front: FrontDouble, option: tuple[str, str]) -> None:
    result = run(front, "find", *option)
    assert result.exit_code == 2
    assert option[1] in result.stderr


def test_find_needs_a_collection(front: FrontDouble) -> None:
    assert run(front, "find", "/none").exit_code == 1
    assert run(front, "find", "/a").exit_code == 1


def test_find_goes_deeper_than_python_s_stack(front: FrontDouble) -> None:
    front.entries |= {"/n" * depth: None for depth in range(1, DEEP)}
    assert good(front, "find", "/n").count("\n") == DEEP - 2


def test_what_is_deleted_while_it_is_walked_is_left_out(front: FrontDouble) -> None:
    def list_and_delete(handler: Any) -> None:
        page = handler._page("/")  # tells of /c, which is deleted before the page is answered
        for path in [path for path in front.entries if path.startswith("/c")]:
            del front.entries[path]
        del front.faults["GET"]
        handler.answer(200, json.dumps(page).encode(), "application/json")

    front.faults["GET"] = list_and_delete
    assert good(front, "find").splitlines() == ["/a", "/c/", "/x y#ü"]


def test_du_counts_files_and_bytes_of_collections(front: FrontDouble) -> None:
    assert documents(front, "du") == [
        {"path": "/c", "files": 2, "bytes": 5},
        {"path": "/", "files": 4, "bytes": 6},
    ]
    assert documents(front, "du", "-d", "0", "/c") == [{"path": "/c", "files": 2, "bytes": 5}]
    assert [line["path"] for line in documents(front, "du", "-d", "9")] == ["/c/d", "/c", "/"]
    assert documents(front, "du", "/c/b.txt") == [{"path": "/c/b.txt", "files": 1, "bytes": 2}]


def test_du_shows_sizes_for_people_or_exactly(front: FrontDouble) -> None:
    front.entries["/c/d/e.jpg"] = bytes(3 * 2**20)
    assert good(front, "du", "/c/d").split() == ["3.0", "MiB", "1", "file", "/c/d"]
    assert good(front, "du", "-b", "/c/d").split() == ["3145728", "1", "file", "/c/d"]


def test_du_of_nothing_fails(front: FrontDouble) -> None:
    assert run(front, "du", "/none").exit_code == 1
