from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.model.placement import Candidate, choose_nodes

CANDIDATES = st.lists(
    st.builds(Candidate, st.uuids().map(str), st.sampled_from(["", "a", "b", "c"]), st.floats(0, 1e15)),
    min_size=1,
    max_size=30,
    unique_by=lambda candidate: candidate.node_id,
)


@settings(deadline=None)
@given(CANDIDATES, st.data(), st.integers())
def test_the_nodes_chosen_are_distinct_and_as_many_as_asked(
    candidates: list[Candidate], data: st.DataObject, seed: int
) -> None:
    count = data.draw(st.integers(1, len(candidates)))
    chosen = choose_nodes(candidates, count, random.Random(seed).random)
    assert len(set(chosen)) == len(chosen) == count
    assert set(chosen) <= {candidate.node_id for candidate in candidates}


@settings(deadline=None)
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


def test_a_node_with_twice_the_room_takes_about_twice_the_parts() -> None:
    candidates = [Candidate(f"n{number}", "", 2e9 if number < 10 else 1e9) for number in range(20)]
    source = random.Random(1)
    taken = Counter(node for _ in range(20_000) for node in choose_nodes(candidates, 1, source.random))
    large = sum(taken[f"n{number}"] for number in range(10))
    assert 1.9 < large / (20_000 - large) < 2.1


def test_files_spread_evenly_over_equal_nodes() -> None:
    free = {f"n{number}": 1e12 for number in range(9)}
    source = random.Random(2)
    for _ in range(5000):
        candidates = [Candidate(node, "", room) for node, room in free.items()]
        for node in choose_nodes(candidates, 6, source.random):
            free[node] -= 1e8
    assert (max(free.values()) - min(free.values())) / 1e12 < 0.02
