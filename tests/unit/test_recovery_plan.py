"""Whose copy a recovery takes."""

from __future__ import annotations

import pytest

from splitd.errors import RecoveryRefused
from splitd.takeover.recovery import Plan, plan_recovery
from storaged.parts.journals import CopyState, Roster, Run, Standing

THREE = Roster(2, 5, 3, ("a", "b", "c"))


def copy(*runs: tuple[int, int, int], damage: str = "") -> CopyState:
    return CopyState(runs[-1][2] + 1, runs=tuple(Run(*run) for run in runs), damage=damage)


def standing(state: CopyState | None, roster: Roster | None = THREE, cluster: str = "x") -> Standing:
    return Standing(2, "f" * 16, roster, cluster, state)


def plan(copies: dict[str, CopyState], *, accept_loss: bool = False, roster: Roster = THREE) -> Plan:
    standings = {node: standing(None, None) for node in "abcde"} | {
        node: standing(state, roster) for node, state in copies.items()
    }
    return plan_recovery(standings, count=5, accept_loss=accept_loss)


def test_a_longer_copy_of_an_older_epoch_was_never_acknowledged() -> None:
    found = plan({"a": copy((1, 1, 10), (2, 11, 12)), "b": copy((1, 1, 15))})
    assert (found.node, found.copy.next, found.doubt) == ("a", 13, "")


def test_of_one_epoch_the_longest_copy_is_taken() -> None:
    assert plan({"a": copy((2, 1, 10)), "b": copy((2, 1, 11)), "c": copy((2, 1, 9))}).node == "b"


def test_the_copy_of_a_node_that_does_not_count_is_not_taken() -> None:
    assert plan({"a": copy((2, 1, 10)), "b": copy((2, 1, 11)), "d": copy((2, 1, 99))}).node == "b"


def test_a_damaged_copy_does_not_count() -> None:
    copies = {"a": copy((2, 1, 10)), "b": copy((2, 1, 11), damage="rot")}
    with pytest.raises(RecoveryRefused, match=r"1 can be \(not b, c\); b is damaged: rot"):
        plan(copies)
    assert plan(copies, accept_loss=True).node == "a"


def test_after_the_front_went_on_alone_nothing_is_sure() -> None:
    alone = Roster(2, 6, 3, ())
    with pytest.raises(RecoveryRefused, match="went on without any copy"):
        plan({"a": copy((2, 1, 10))}, roster=alone)
    found = plan({"a": copy((2, 1, 10))}, roster=alone, accept_loss=True)
    assert "went on without any copy" in found.doubt


def test_the_newest_roster_counts() -> None:
    standings = {node: standing(copy((2, 1, 10)), THREE) for node in "ab"}
    standings["c"] = standing(copy((2, 1, 12)), Roster(2, 6, 3, ("c",)))
    assert plan_recovery(standings, count=5, accept_loss=False).node == "c"


def test_nodes_of_different_clusters_are_refused() -> None:
    standings = {node: standing(copy((2, 1, 10)), THREE, cluster) for node, cluster in zip("abc", "xxy", strict=True)}
    with pytest.raises(RecoveryRefused, match="different clusters: a to x; b to x; c to y"):
        plan_recovery(standings, count=5, accept_loss=True)


def test_without_any_copy_nothing_is_made() -> None:
    with pytest.raises(RecoveryRefused, match="no copy of the journal can be read"):
        plan({"a": CopyState()}, accept_loss=True)


def test_nodes_whose_disks_were_replaced_do_not_say_whose_copies_count() -> None:
    found = {node: standing(copy((2, 1, 10)), THREE) for node in "ab"} | {node: Standing() for node in "de"}
    with pytest.raises(RecoveryRefused, match="2 of 5 nodes know which holders count, and 3 are needed: d, e answer"):
        plan_recovery(found, count=5, accept_loss=False)
    assert plan_recovery(found, count=5, accept_loss=True).node == "a"
    assert plan_recovery(found | {"c": standing(None, None)}, count=5, accept_loss=False).doubt == ""
