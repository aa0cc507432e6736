"""get: goes on after a broken connection, keeps what has arrived, and fetches whole collections."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splitd.cli.crew import Crew
from splitd.cli.errors import TransferBroken
from splitd.cli.fetching import Fetch
from splitd.cli.main import main
from splitd.cli.progress import Ended, Meter, meter
from splitd.cli.server import Server
from splitd.cli.writing import continued_file
from tests.unit.front_double import FrontDouble, etag, running_front

DATA = bytes(range(256)) * 16


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    with running_front() as running:
        running.entries["/a"] = DATA
        yield running


def run(front: FrontDouble, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["--url", front.url, *map(str, arguments)])


def breaks_after(count: int, then: Callable[[Any], None] | None = None) -> Callable[[Any], None]:
    """Return a fault that sends so many bytes of what is asked for, and then breaks the connection."""

    def fault(handler: Any) -> None:
        handler.close_connection = True
        start = handler._asked_start(etag("/a"))
        handler.send_response(206 if start else 200)
        handler.send_header("ETag", etag("/a"))
        handler.send_header("Content-Length", str(len(DATA) - start))
        handler.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        handler.end_headers()
        handler.wfile.write(DATA[start : start + count])
        if then:
            then(handler)

    return fault


def leave_part(target: Path, version: str, data: bytes) -> None:
    """Begin to write a target, and fail after so much of it."""
    with suppress(KeyError), continued_file(target, version, len(DATA)) as (file, _):
        file.write(data)
        raise KeyError


def fetch(front: FrontDouble, target: Path, retries: int, pauses: list[float]) -> int:
    with meter(0) as bar, target.open("wb") as file:
        return Fetch(Server(front.url), "/a", bar, retries, pauses.append).fetch(file).size


def test_a_download_goes_on_where_it_broke(front: FrontDouble, tmp_path: Path) -> None:
    front.faults["GET"] = breaks_after(1000)
    pauses: list[float] = []
    assert fetch(front, tmp_path / "a", 1, pauses) == len(DATA)
    assert (tmp_path / "a").read_bytes() == DATA
    assert front.seen == ["GET /a"] * 5
    assert pauses == [0.5] * 4


def test_tries_that_bring_nothing_are_counted(front: FrontDouble, tmp_path: Path) -> None:
    front.faults["GET"] = breaks_after(1000, lambda _: front.faults.update(GET=breaks_after(0)))
    pauses: list[float] = []
    with pytest.raises(TransferBroken):
        fetch(front, tmp_path / "a", 3, pauses)
    assert pauses == [0.5, 1.0, 2.0]
    assert len(front.seen) == 4


def test_a_first_try_that_brings_nothing_is_the_last(front: FrontDouble, tmp_path: Path) -> None:
    front.faults["GET"] = breaks_after(0)
    pauses: list[float] = []
    with pytest.raises(TransferBroken):
        fetch(front, tmp_path / "a", 5, pauses)
    assert pauses == []


def test_a_file_that_is_replaced_meanwhile_is_fetched_from_its_start(front: FrontDouble, tmp_path: Path) -> None:
    def replace(handler: Any) -> None:
        handler.answer(200, b"new", "text/plain", '"other"')

    front.faults["GET"] = breaks_after(1000, lambda _: front.faults.update(GET=replace))
    assert fetch(front, tmp_path / "a", 1, []) == 3
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_file_that_is_replaced_meanwhile_is_an_error_on_standard_output(front: FrontDouble) -> None:
    class Pipe:
        got = b""

        def seekable(self) -> bool:
            return False

        def write(self, data: bytes) -> None:
            self.got += data

    def replace(handler: Any) -> None:
        handler.answer(200, b"new", "text/plain", '"other"')

    front.faults["GET"] = breaks_after(1000, lambda _: front.faults.update(GET=replace))
    pipe: Any = Pipe()
    with meter(0) as bar, pytest.raises(Exception, match="was replaced while it was fetched"):
        Fetch(Server(front.url), "/a", bar, 1, lambda _: None).fetch(pipe)
    assert pipe.got == DATA[:1000]


def test_a_server_that_answers_another_range_is_not_believed(front: FrontDouble, tmp_path: Path) -> None:
    def other(handler: Any) -> None:
        handler.send_response(206)
        handler.send_header("ETag", etag("/a"))
        handler.send_header("Content-Length", "10")
        handler.send_header("Content-Range", f"bytes 0-9/{len(DATA)}")
        handler.end_headers()
        handler.wfile.write(DATA[:10])

    front.faults["GET"] = breaks_after(1000, lambda _: front.faults.update(GET=other))
    with pytest.raises(Exception, match="answered another range"):
        fetch(front, tmp_path / "a", 5, [])


def test_what_has_arrived_is_used_the_next_time(front: FrontDouble, tmp_path: Path) -> None:
    front.faults["GET"] = breaks_after(1000)
    assert run(front, "get", "--continue", "--retries", "0", "/a", tmp_path / "b").exit_code == 4
    [part] = tmp_path.iterdir()
    assert part.read_bytes() == DATA[:1000]
    front.faults.clear()
    result = run(front, "--json", "get", "-c", "/a", tmp_path / "b")
    assert json.loads(result.stdout)["size"] == len(DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_bytes() == DATA


def test_a_part_that_is_whole_is_only_renamed(front: FrontDouble, tmp_path: Path) -> None:
    leave_part(tmp_path / "b", f"/a {etag('/a')}", DATA)
    assert run(front, "get", "-c", "/a", tmp_path / "b").exit_code == 0
    assert (tmp_path / "b").read_bytes() == DATA
    assert front.seen == ["HEAD /a"]


def test_a_part_of_another_version_is_not_used(front: FrontDouble, tmp_path: Path) -> None:
    leave_part(tmp_path / "b", '/a "older"', b"older")
    assert run(front, "get", "-c", "/a", tmp_path / "b").exit_code == 0
    assert (tmp_path / "b").read_bytes() == DATA


def test_a_link_in_the_place_of_a_part_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    leave_part(tmp_path / "b", "v", b"")
    [part] = tmp_path.glob(".splitctl-*")
    for take_place in (part.symlink_to, part.hardlink_to):
        part.unlink()
        take_place(tmp_path / "precious")
        with pytest.raises(OSError, match=r"splitctl|symbolic"):
            leave_part(tmp_path / "b", "v", b"evil")
        assert (tmp_path / "precious").read_bytes() == b"precious"


def test_two_that_fetch_the_same_file_do_not_mix(tmp_path: Path) -> None:
    with continued_file(tmp_path / "b", "v", 10) as (file, _):
        with pytest.raises(OSError, match="another splitctl"):
            leave_part(tmp_path / "b", "v", b"mixed")
        file.write(b"mine")
    assert (tmp_path / "b").read_bytes() == b"mine"


def collection(front: FrontDouble) -> dict[str, bytes]:
    files = {"x": b"", "s/ü b": b"2", "s/t/z": DATA}
    front.entries |= {"/c": None, "/c/s": None, "/c/s/t": None, "/c/empty": None}
    front.entries |= {f"/c/{name}": data for name, data in files.items()}
    return files


def fetched(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_collection_is_fetched_whole(front: FrontDouble, tmp_path: Path, jobs: str) -> None:
    files = collection(front)
    assert run(front, "get", "-r", "-j", jobs, "/c", tmp_path / "new").exit_code == 0
    assert fetched(tmp_path / "new") == files
    assert (tmp_path / "new/empty").is_dir()
    assert run(front, "get", "-r", "/c/", tmp_path / "new").exit_code == 0
    assert fetched(tmp_path / "new/c") == files


def test_the_root_is_fetched_into_a_folder(front: FrontDouble, tmp_path: Path) -> None:
    files = collection(front)
    assert run(front, "get", "-r", "/", tmp_path).exit_code == 0
    assert fetched(tmp_path) == {"a": DATA} | {f"c/{name}": data for name, data in files.items()}
    assert run(front, "get", "-r", "/").exit_code == 2


def test_files_that_are_there_are_kept_and_told(front: FrontDouble, tmp_path: Path) -> None:
    collection(front)
    (tmp_path / "x").write_bytes(b"mine")
    (tmp_path / "s").mkdir()
    result = run(front, "get", "-r", "/", tmp_path.parent / tmp_path.name)
    assert result.exit_code == 0
    (tmp_path / "c/x").write_bytes(b"mine")
    (tmp_path / "c/s/t/z").unlink()
    result = run(front, "get", "-r", "/c", tmp_path)
    assert result.exit_code == 1
    assert "2 failed:" in result.stderr
    assert "c/x is there already; --force replaces it" in result.stderr
    assert (tmp_path / "c/x").read_bytes() == b"mine"
    assert (tmp_path / "c/s/t/z").read_bytes() == DATA
    assert run(front, "get", "-r", "-f", "/c", tmp_path).exit_code == 0
    assert (tmp_path / "c/x").read_bytes() == b""


def test_a_folder_that_cannot_be_made_is_told(front: FrontDouble, tmp_path: Path) -> None:
    collection(front)
    (tmp_path / "file").write_bytes(b"")
    result = run(front, "get", "-r", "/c", tmp_path / "file/new")
    assert result.exit_code == 4
    assert "file/new: Not a directory" in result.stderr
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_the_end_of_a_command_ends_the_transfers_that_are_under_way(front: FrontDouble, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupt_endless()
    with meter(0) as bar, (tmp_path / "a").open("wb") as file:
        bar.end_transfers()
        fetching = Fetch(Server(front.url), "/a", bar)
        with pytest.raises(Ended):
            fetching.fetch(file)


def _interrupt_endless() -> None:
    with meter(0) as bar, Crew(2, bar) as crew:
        crew.run(partial(_endless, bar))
        raise KeyboardInterrupt


def _endless(bar: Meter) -> None:
    while True:
        bar.advance(1)
