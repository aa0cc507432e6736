"""splitctl heal against a front with real sockets."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.front_double import FrontDouble, run
from tests.unit.operators_double import HEAL

HURT: dict[str, Any] = {
    **HEAL, "state": "healing", "versions": {"1": 40, "0": 2, "-1": 1}, "parts": 46, "bytes": 3 * 2**20,
    "unreadable": 1,
    "leaving": [{"id": "n3", "why": "away", "parts": 7, "bytes": 2**30, "seconds_left": 130.0}],
    "healed_parts": 5, "healed_bytes": 2**20, "failed": 2,
    "rate": 2.5e6, "limit": 40_000_000.0, "seconds_left": 75.0,
}  # fmt: skip


def test_it_says_that_all_is_well(front: FrontDouble) -> None:
    result = run(front, "heal")
    assert (result.exit_code, result.stdout) == (0, "all files have all their parts\n0 parts (0 B) healed\n")


def test_it_says_what_is_degraded_and_how_long_the_rest_will_take(front: FrontDouble) -> None:
    front.status["heal"] = HURT
    result = run(front, "heal")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "1 file lacks parts and cannot be read",
        "2 files lack parts and can lose none more",
        "40 files lack parts and can lose 1 more",
        "7 parts (1.0 GiB) on n3, which is away, about 0:02:10 left",
        "46 parts missing, 3.0 MiB",
        "5 parts (1.0 MiB) healed, 2 attempts failed, at most 40 MB/s, 2.5 MB/s, about 0:01:15 left",
    ]
    assert json.loads(run(front, "--json", "heal").stdout) == HURT


def test_it_says_what_blocks(front: FrontDouble) -> None:
    front.status["heal"] = {**HURT, "state": "blocked", "problem": "8 nodes are needed, 7 can take parts"}
    assert "blocked: 8 nodes are needed, 7 can take parts" in run(front, "heal").stdout.splitlines()


def test_the_limit_is_changed_in_megabytes(front: FrontDouble) -> None:
    assert run(front, "heal", "--limit", "2.5").exit_code == 0
    assert run(front, "heal", "--limit", "0").exit_code == 0
    assert run(front, "heal", "--limit", "usual").exit_code == 0
    assert front.operators.asked == [{"limit": "2500000"}, {"limit": "0"}, {"limit": "usual"}]
    assert run(front, "heal", "--limit", "-1").exit_code == 2


def test_watching_ends_when_all_is_healed(front: FrontDouble) -> None:
    front.operators.heal_steps = [HURT, {**HURT, "versions": {"0": 1}, "leaving": [], "unreadable": 0}, HEAL]
    result = run(front, "heal", "--watch")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "all files have all their parts")
    assert front.operators.heal_steps == []


def test_watching_ends_when_only_files_that_cannot_be_read_are_left(front: FrontDouble) -> None:
    front.status["heal"] = {**HEAL, "versions": {"-1": 2}, "unreadable": 2}
    assert run(front, "heal", "--watch").exit_code == 1


def test_the_status_has_a_line_about_it(front: FrontDouble) -> None:
    assert "idle, no file degraded; 0 parts (0 B) healed" in run(front, "status").stdout
    front.status["heal"] = HURT
    told = " ".join(run(front, "status").stdout.split())
    assert "healing, 43 files degraded, 1 of them cannot be read; 7 parts (1.0 GiB) on n3, which is away, about" in told


def test_a_limit_in_mebibytes_is_told_in_megabytes_that_can_be_read(front: FrontDouble) -> None:
    front.status["heal"] = {**HURT, "limit": float(32 * 2**20), "versions": {"1": 1}}
    assert "at most 33.6 MB/s" in run(front, "heal").stdout
    assert "1 file degraded" in run(front, "status").stdout.replace("\n", " ")


def test_the_list_of_servers_says_how_long_one_will_take_to_leave(front: FrontDouble) -> None:
    front.status["heal"] = HURT
    assert "7 parts (1.0 GiB) on n3, which is away, about 0:02:10 left" in run(front, "nodes").stdout
    front.status["heal"] = {**HURT, "leaving": [{**HURT["leaving"][0], "bytes": None, "seconds_left": None}]}
    assert "7 parts on n3, which is away\n" in run(front, "nodes").stdout


def test_it_is_paused_and_resumed(front: FrontDouble) -> None:
    result = run(front, "heal", "--pause")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (
        0, "paused by an operator; splitctl heal --resume goes on"
    )  # fmt: skip
    assert run(front, "heal", "--resume").stdout.splitlines()[0] == "all files have all their parts"
    assert front.operators.asked == [{}, {}]
