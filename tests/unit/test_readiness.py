"""Readiness for reads and for writes."""

from __future__ import annotations

import pytest

from splitd.frontends.admin.readiness import READS, WRITES, Readiness, judge_readiness

SIX = [(f"n{number}", "up") for number in range(1, 7)]


def judge(*states: tuple[str, str], general: tuple[str, ...] = (), journal: str = "") -> Readiness:
    return judge_readiness(general, journal, states, data=6, least=6)


def test_six_nodes_that_are_up_are_ready_for_all() -> None:
    assert judge(*SIX) == Readiness([], [])
    assert judge(*SIX, ("n7", "down")).problems == []


@pytest.mark.parametrize("state", ["full", "readonly"])
def test_a_node_that_takes_no_parts_can_be_read(state: str) -> None:
    readiness = judge(*SIX[:5], ("n6", state))
    assert readiness.reads == []
    assert readiness.writes == [f"6 nodes that take parts are needed, 5 are up; n6 is {state}"]


@pytest.mark.parametrize("state", ["down", "stranger", "unknown"])
def test_a_node_that_cannot_be_used_is_missed_by_reads_and_writes(state: str) -> None:
    readiness = judge(*SIX[:4], ("n5", state), ("n6", "full"))
    assert readiness.reads == [f"6 nodes are needed to read a file, 5 answer; n5 is {state}"]
    assert readiness.writes == [f"6 nodes that take parts are needed, 4 are up; n5 is {state}, n6 is full"]
    assert readiness.problems == [*readiness.reads, *readiness.writes]


def test_a_journal_that_failed_stops_writes_only() -> None:
    readiness = judge(*SIX, journal="EIO")
    assert readiness == Readiness([], ["nothing can be changed until a restart: EIO"])
    assert readiness.reasons([READS]) == {"reads": []}
    assert readiness.reasons([WRITES]) == {"writes": readiness.writes}


def test_what_stops_both_is_a_problem_once() -> None:
    readiness = judge(*SIX, general=("the front stops",))
    assert (readiness.reads, readiness.writes) == (["the front stops"], ["the front stops"])
    assert readiness.problems == ["the front stops"]
