"""splitctl scrub against a front with real sockets."""

from __future__ import annotations

import json

from tests.unit.front_double import FrontDouble, run
from tests.unit.operators_double import SCRUB, STATUS


def test_it_shows_how_far_each_server_is(front: FrontDouble) -> None:
    front.status["nodes"] = [{**STATUS["nodes"][0], "scrub": {**SCRUB, "rotten": 3, "ended_ms": 1_700_000_000_000}}]
    result = run(front, "scrub")
    assert result.exit_code == 0
    [_, line] = result.stdout.splitlines()
    assert line.split()[:7] == ["n1", "up", "25", "%", "1.0", "MiB", "3"]
    assert "2023-11-1" in line
    assert json.loads(run(front, "--json", "scrub").stdout)[0]["rotten"] == 3


def test_it_is_paused_and_resumed_and_a_server_that_was_not_reached_is_told(front: FrontDouble) -> None:
    front.status["nodes"] = [{**node} for node in STATUS["nodes"]]
    result = run(front, "scrub", "--pause")
    assert result.exit_code == 1, "n2 is down"
    lines = result.stdout.splitlines()
    assert lines[1].split()[:2] == ["n1", "paused"]
    assert "it is down: connection [refused]" in lines[2]
    assert lines[-1] == "paused by an operator; splitctl scrub --resume goes on"
    front.status["nodes"].pop()
    result = run(front, "scrub", "--resume")
    assert (result.exit_code, result.stdout.splitlines()[1].split()[:2]) == (0, ["n1", "up"])
