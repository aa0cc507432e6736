from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.placement import Candidate, choose_nodes, shares

CANDIDATES = st.lists(
    st.builds(
        Candidate, st.uuids().map(str), st.sampled_from(["", "a", "b", "c"]), st.floats(0, 1e15), st.floats(0, 1e15)
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda candidate: candidate.node_id,
)


@given(CANDIDATES, st.data(), st.integers())
def test_the_nodes_chosen_are_distinct_and_as_many_as_asked(
    candidates: list[Candidate], data: st.DataObject, seed: int
) -> None:
    count = data.draw(st.integers(1, len(candidates)))
    chosen = choose_nodes(candidates, count, random.Random(seed).random)
    assert len(set(chosen)) == len(chosen) == count
    assert set(chosen) <= {candidate.node_id for candidate in candidates}


@given(CANDIDATES, st.data(), st.integers())
def test_no_zone_takes_another_part_before_each_zone_has_one(
    candidates: list[Candidate], data: st.DataObject, seed: int
) -> None:
    count = data.draw(st.integers(1, len(candidates)))
    zones = {candidate.node_id: candidate.zone or candidate.node_id for candidate in candidates}
    room = Counter(zones.values())
    taken = Counter(zones[node] for node in choose_nodes(candidates, count, random.Random(seed).random))
    most = max(taken.values())
    assert all(taken[zone] >= min(room[zone], most - 1) for zone in room)


@given(st.lists(st.tuples(st.floats(1, 1e15), st.floats(0, 1)), min_size=1, max_size=40), st.data())
def test_the_shares_come_to_the_parts_and_none_is_more_than_one(
    nodes: list[tuple[float, float]], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(nodes)))
    found = shares([(size, size * fill) for size, fill in nodes], count)
    assert sum(found) == pytest.approx(count)
    assert all(0 <= share <= 1 + 1e-9 for share in found)


def test_nodes_that_are_equally_full_get_shares_by_their_sizes() -> None:
    assert shares([(size, size / 4) for size in (1e12, 2e12, 3e12)], 1) == pytest.approx([1 / 6, 1 / 3, 1 / 2])


def test_an_empty_node_among_full_ones_gets_three_times_its_share_and_no_more() -> None:
    found = shares([(1e12, 8e11)] * 39 + [(1e12, 0.0)], 6)
    assert found[-1] == pytest.approx(3 * 6 / 40)
    assert found[:-1] == pytest.approx([(6 - found[-1]) / 39] * 39)


def test_a_bound_gives_way_where_every_node_is_needed() -> None:
    assert shares([(1e15, 0.0)] + [(1.0, 0.9)] * 5, 6) == pytest.approx([1.0] * 6)


def test_nodes_are_drawn_as_often_as_their_shares_say() -> None:
    candidates = [Candidate(f"n{number}", "", 1e12 * (1 + number % 3), 2e11) for number in range(12)]
    source, draws = random.Random(1), 20_000
    taken = Counter(node for _ in range(draws) for node in choose_nodes(candidates, 6, source.random))
    expected = shares([(each.size, each.used) for each in candidates], 6)
    for candidate, share in zip(candidates, expected, strict=True):
        assert taken[candidate.node_id] / draws == pytest.approx(share, abs=0.02)


def test_any_two_nodes_lie_together_in_some_file() -> None:
    candidates = [Candidate(f"n{number}", "", 1e12, 0.0) for number in range(12)]
    source = random.Random(3)
    together = {
        pair for _ in range(2000) for pair in combinations(sorted(choose_nodes(candidates, 6, source.random)), 2)
    }
    assert len(together) == 12 * 11 / 2
