"""splitctl rebalance against a front with real sockets."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.front_double import FrontDouble, run
from tests.unit.operators_double import PLAN, REBALANCE

DONE = {**REBALANCE, "state": "done", "ended_ms": 9, "moved": 812, "bytes": 3 * 2**20, "spread": 0.009}


def test_a_dry_run_draws_the_fill_before_and_after(front: FrontDouble) -> None:
    result = run(front, "rebalance", "--dry-run", "--target", "2")
    assert result.exit_code == 0
    heading, first, second, empty, sentence = result.stdout.splitlines()
    assert heading.split() == ["node", "fill", "after"]
    assert first.split() == ["n1", "█" * 6 + "░" * 14, "31.0", "%", "█" * 4 + "░" * 16, "20.0", "%"]
    assert second.split()[0] == "n2"
    assert empty == ""
    assert sentence.startswith("812 parts (3.0 MiB) would be moved, spread 21.0 % before, 0.9 % after")
    assert front.operators.asked == [{"dry_run": "1", "target": "0.02"}]
    assert json.loads(run(front, "--json", "rebalance", "--dry-run").stdout) == PLAN


def test_it_is_followed_to_its_end(front: FrontDouble) -> None:
    front.operators.steps = [{**REBALANCE, "moved": 400, "spread": 0.1}, DONE]
    result = run(front, "rebalance", "--limit", "40", "--target", "1")
    assert result.exit_code == 0
    assert result.stdout.startswith("done, 812 parts (3.0 MiB) moved, spread 21.0 % before, 0.9 % now")
    assert front.operators.asked == [{"limit": "40000000", "target": "0.01"}]
    assert front.operators.steps == []


def test_programs_get_how_it_ended(front: FrontDouble) -> None:
    front.operators.steps = [DONE]
    assert json.loads(run(front, "--json", "rebalance").stdout) == DONE


def test_detached_it_goes_on_in_the_background(front: FrontDouble) -> None:
    result = run(front, "rebalance", "--detach")
    assert result.exit_code == 0
    assert result.stdout.startswith("running, 0 parts")
    assert "splitctl rebalance --stop" in result.stdout
    assert json.loads(run(front, "--json", "rebalance", "--stop").stdout)["state"] == "stopped"


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ({**REBALANCE, "state": "failed", "problem": "n3 is down"}, "failed, .*: n3 is down"),
        ({**REBALANCE, "state": "stopped"}, "stopped"),
        (None, "the front was started again"),
        ({**DONE, "began_ms": 6}, "the front was started again"),
    ],
    ids=["failed", "stopped by somebody else", "forgotten", "another one"],
)
def test_one_that_does_not_come_to_its_end_ends_with_1(
    front: FrontDouble, end: dict[str, object] | None, told: str
) -> None:
    front.operators.steps = [end]
    result = run(front, "rebalance")
    assert result.exit_code == 1
    assert re.search(told, result.stderr), result.stderr


def test_one_at_a_time(front: FrontDouble) -> None:
    front.status["rebalance"] = REBALANCE
    result = run(front, "rebalance")
    assert (result.exit_code, "a rebalance is under way" in result.stderr) == (1, True)


def test_one_that_is_not_there_cannot_be_stopped(front: FrontDouble) -> None:
    result = run(front, "rebalance", "--stop")
    assert (result.exit_code, "no rebalance is under way" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "options",
    [
        ("--stop", "--dry-run"),
        ("--stop", "--limit", "1"),
        ("--dry-run", "--detach"),
        ("--dry-run", "--limit", "3"),
        ("--limit", "0"),
        ("--target", "0"),
        ("--target", "101"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(front: FrontDouble, options: tuple[str, ...]) -> None:
    assert run(front, "rebalance", *options).exit_code == 2
    assert front.operators.asked == []
