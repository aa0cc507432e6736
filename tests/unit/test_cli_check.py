"""splitctl check against a front with real sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from splitd.cli.main import main
from tests.unit.front_double import FrontDouble, run, running_front

PROGRESS = {
    "event": "progress", "files": 3, "bytes": 100, "read": 0, "hurt": 0, "total_files": None, "total_bytes": None,
}  # fmt: skip
END: dict[str, Any] = {
    "event": "end", "files": 9, "bytes": 4096, "read": 0, "degraded": 0, "unreadable": 0, "lost": 0, "silent": {},
}  # fmt: skip


def hurt(path: str, state: str, spare: int) -> dict[str, Any]:
    part = {"part": 2, "node": "n3", "state": "missing", "reason": "part f0.2 is not here"}
    nowhere = {"part": 7, "node": "", "state": "missing", "reason": "is lost, and was not rebuilt yet"}
    return {"event": "file", "path": path, "size": 7, "state": state, "spare": spare, "parts": [part, nowhere]}


def answer(front: FrontDouble, *events: dict[str, Any], end: bytes = b"") -> None:
    """Let the front answer a check with these events, in chunks that end in the middle of lines."""
    body = b"".join(json.dumps(event).encode() + b"\n" for event in events) + end

    def post(handler: Any) -> None:
        front.seen.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Type", "application/jsonl; charset=utf-8")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(body), 50):
            piece = body[start : start + 50]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if not end:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    front.faults["POST"] = post


def test_all_is_well(front: FrontDouble) -> None:
    answer(front, PROGRESS, END)
    result = run(front, "check", "a b/")
    assert result.exit_code == 0
    assert result.stdout == "9 files (4.0 KiB) checked: all is well\n"
    assert "/check?path=%2Fa%20b&deep=0" in front.seen


def test_a_deep_check_has_a_limit(front: FrontDouble) -> None:
    answer(front, {**END, "read": 2**20})
    result = run(front, "check", "--deep", "--limit", "2.5")
    assert result.exit_code == 0
    assert "1.0 MiB of parts read" in result.stdout
    assert "/check?path=%2F&deep=1&limit=2500000" in front.seen


@pytest.mark.parametrize(
    ("state", "spare", "exit_code", "told"),
    [("degraded", 0, 1, "can be read"), ("unreadable", -1, 2, "cannot be read now"), ("lost", -2, 2, "cannot be read")],
)
def test_hurt_files_are_listed_with_their_parts(
    front: FrontDouble, state: str, spare: int, exit_code: int, told: str
) -> None:
    answer(front, hurt("/a", state, spare), PROGRESS, {**END, state: 1, "silent": {"n7": "connection refused"}})
    result = run(front, "check")
    assert result.exit_code == exit_code
    first, second, third, verdict, silent = result.stdout.splitlines()
    assert first.startswith(f"/a: {state}, {told}")
    assert second == "  part 2 on n3: missing: part f0.2 is not here"
    assert third == "  part 7: missing: is lost, and was not rebuilt yet"
    assert verdict == f"9 files (4.0 KiB) checked: 1 {state}"
    assert silent == "n7 did not answer: connection refused"


def test_very_many_hurt_files_are_counted(front: FrontDouble) -> None:
    answer(front, *(hurt(f"/{number}", "degraded", 1) for number in range(120)), {**END, "degraded": 120})
    result = run(front, "check")
    assert result.exit_code == 1
    assert result.stdout.count("can be read") == 100
    assert "and 20 more files" in result.stdout


def test_programs_get_each_event_on_a_line(front: FrontDouble) -> None:
    events = [hurt("/a", "lost", -1), PROGRESS, {**END, "lost": 1}]
    answer(front, *events)
    result = run(front, "--json", "check")
    assert result.exit_code == 2
    assert [json.loads(line) for line in result.stdout.splitlines()] == events


@pytest.mark.parametrize(
    ("events", "rest", "told"),
    [
        ([PROGRESS, {"event": "failed", "reason": "the check was ended"}], b"", "the check was ended"),
        ([PROGRESS], b"", "broke off"),
        ([PROGRESS], b'{"event"', "broke off"),
    ],
)
def test_a_check_that_does_not_come_to_its_end_is_no_verdict(
    front: FrontDouble, events: list[dict[str, Any]], rest: bytes, told: str
) -> None:
    answer(front, *events, end=rest)
    result = run(front, "check")
    assert result.exit_code == 4
    assert told in result.stderr


def test_a_refusal_is_no_verdict(front: FrontDouble) -> None:
    front.faults["POST"] = lambda handler: handler.say(404, "/x does not exist")
    result = run(front, "check", "/x")
    assert result.exit_code == 4
    assert "/x does not exist" in result.stderr


@pytest.mark.parametrize("arguments", [["--limit", "5"], ["--limit", "x", "--deep"], ["--what"], ["/a", "/b"]])
def test_wrong_usage_is_no_verdict(front: FrontDouble, arguments: list[str]) -> None:
    result = run(front, "check", *arguments)
    assert result.exit_code == 64
    assert front.seen == []


def test_without_a_front_there_is_no_verdict() -> None:
    with running_front() as front:
        url = front.url
    assert CliRunner().invoke(main, ["--admin", url, "check"]).exit_code == 3


def test_one_file_is_one_file(front: FrontDouble) -> None:
    answer(front, {**END, "files": 1})
    assert run(front, "check").stdout == "1 file (4.0 KiB) checked: all is well\n"
