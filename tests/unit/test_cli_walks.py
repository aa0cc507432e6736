"""What splitctl status says of the walks of the upkeep."""

from __future__ import annotations

from typing import Any

from tests.unit.front_double import FrontDouble, run


def walk(name: str, state: str, problem: str = "") -> dict[str, Any]:
    return {"name": name, "state": state, "rounds": 3, "problem": problem}


def test_it_tells_what_is_in_progress_or_waits(front: FrontDouble) -> None:
    front.status["walks"] = [walk("looking at the bin", "idle"), walk("the sweep", "elsewhere")]
    assert "none in progress" in run(front, "status").stdout
    front.status["walks"] = [walk("looking at the bin", "waiting", "it is away"), walk("the sweep", "running")]
    told = " ".join(run(front, "status").stdout.split())
    assert "looking at the bin: waiting, it is away; the sweep: running" in told
