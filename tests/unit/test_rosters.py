"""The rules of journal copies: quorums, rosters, and the choice of holders."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.rosters import acknowledged, choose_holders, majority, needed, next_roster, quorum
from storaged.parts.journals import Roster

NODES = tuple("abcde")


def roster(holders: str, copies: int = 3) -> Roster:
    return Roster(1, 1, copies, tuple(holders))


@pytest.mark.parametrize("copies", range(1, 6))
@pytest.mark.parametrize("count", range(1, 6))
def test_a_recovery_meets_each_quorum(copies: int, count: int) -> None:
    made = roster("abcde"[:count], copies)
    for acknowledging in combinations(made.holders, quorum(made)):
        for read in combinations(made.holders, needed(made)):
            assert set(acknowledging) & set(read)


@pytest.mark.parametrize("count", range(1, 10))
def test_two_majorities_meet(count: int) -> None:
    assert 2 * majority(count) > count


def test_two_of_three_copies_acknowledge() -> None:
    assert acknowledged(roster("abc"), {"a": 9, "b": 5, "c": 7}, 20) == 7
    assert acknowledged(roster("abc"), {"a": 9, "b": 5, "c": 7}, 6) == 6
    assert acknowledged(roster("abc"), {"a": 9}, 20) == 1
    assert acknowledged(roster("ab"), {"a": 9, "b": 5}, 20) == 5
    assert acknowledged(roster("a"), {"a": 9}, 20) == 9
    assert acknowledged(roster(""), {}, 20) == 20


def changed(made: Roster, connected: str, in_sync: str, lost: str = "", copies: int = 3, least: int = 0) -> str | None:
    found = next_roster(made, 2, copies, connected=connected, in_sync=in_sync, lost=lost, least=least)
    assert found is None or (found.epoch, found.generation) == (2, 2)
    return None if found is None else "".join(sorted(found.holders))


def test_a_roster_grows_to_what_is_wanted() -> None:
    assert changed(roster(""), "abcd", "abcd") == "abc"
    assert changed(roster("a"), "abc", "ac") == "ac"
    assert changed(roster("abc"), "abc", "abc") is None


def test_a_roster_stays_while_a_quorum_takes_records() -> None:
    assert changed(roster("abc"), "ab", "ab") is None
    assert changed(roster("abc"), "ab", "a") is None


def test_holders_that_hold_up_every_change_are_taken_off() -> None:
    assert changed(roster("abc"), "a", "a") == "a"
    assert changed(roster("abc"), "a", "") == ""  # it lacks acknowledged records, which the front's disk has
    assert changed(roster("abc"), "", "") == ""


def test_lost_holders_are_replaced() -> None:
    assert changed(roster("abc"), "abd", "abd", lost="c") == "abd"
    assert changed(roster("abc"), "ab", "ab", lost="c") == "ab"


def test_a_required_roster_does_not_shrink_below_its_quorum() -> None:
    assert changed(roster("abc"), "a", "a", least=2) is None
    assert changed(roster("abc"), "ad", "ad", least=2) == "ad"
    assert changed(roster(""), "a", "a", least=2) == "a"


def test_fewer_or_more_copies_are_wanted() -> None:
    assert changed(roster("abc"), "abc", "abc", copies=2) == "ab"
    assert changed(roster("abc"), "abcde", "abcde", copies=5) == "abcde"


@given(st.dictionaries(st.sampled_from(NODES), st.sampled_from(["", "x", "y", "z"])), st.integers(0, 5))
def test_holders_are_of_different_zones_where_there_are_any(zones: dict[str, str], count: int) -> None:
    chosen = choose_holders(zones, [], count)
    assert len(chosen) == len(set(chosen)) == min(count, len(zones))
    names = {zone or node for node, zone in zones.items()}
    assert len({zones[node] or node for node in chosen}) == min(len(chosen), len(names))


def test_a_new_holder_is_of_another_zone_than_the_present_ones() -> None:
    assert choose_holders({"a": "x", "b": "x", "c": "y"}, ["a"], 1) == ["c"]
