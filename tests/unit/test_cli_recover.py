"""What `splitctl journal recover` says of the copies that it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitd.catalog.state import State
from splitd.cli.recover import describe, summarize
from splitd.takeover.recovery import Plan, Recovered
from storaged.parts.journals import CopyState, Roster, Run


def summary(holders: str, seen: str, copies: int = 3, doubt: str = "") -> str:
    plan = Plan("c", CopyState(11, runs=(Run(1, 1, 10),)), tuple(seen), Roster(1, 4, copies, tuple(holders)), doubt)
    return summarize(describe(Recovered(plan, 2, "f" * 16, 6, "d" * 32, State()), 6), Path("/data"))


@pytest.mark.parametrize(
    ("holders", "seen", "text"),
    [
        ("abc", "bc", "There were 3 copies, on a, b, c; 2 of them could be read."),
        (
            "c",
            "c",
            "The front wanted 3 copies, and had gone on with 1, on c, before it ended; 1 of them could be read.",
        ),
        ("", "", "The front wanted 3 copies, and had none when it ended."),
    ],
)
def test_it_says_how_many_copies_there_were_and_which_were_read(holders: str, seen: str, text: str) -> None:
    assert text in summary(holders, seen)


def test_it_says_what_may_be_missing() -> None:
    text = summary("abc", "c", doubt="2 of the holders a, b, c must be read")
    assert "Records from 11 on may have been acknowledged, and are not there: 2 of the holders a, b, c must" in text
