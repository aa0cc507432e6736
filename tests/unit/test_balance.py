from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.balance import Balance, Course, Level, PartMove

SIX = tuple(f"n{number}" for number in range(1, 7))


def balance(fills: dict[str, float], target: float = 0.01, *, zones: dict[str, str] | None = None) -> Balance:
    return Balance([Level(node, (zones or {}).get(node, ""), 100, fill, True) for node, fill in fills.items()], target)


def test_a_part_goes_from_the_fullest_node_to_the_emptiest() -> None:
    found = balance({**dict.fromkeys(SIX, 50), "n3": 60, "n7": 10, "n8": 5})
    assert found.choose(SIX, [1] * 6) == PartMove(2, "n3", "n8", 1)


def test_nothing_is_moved_where_all_are_even() -> None:
    found = balance({**dict.fromkeys(SIX, 50), "n7": 50.2})
    assert found.is_even
    assert found.choose(SIX, [1] * 6) is None


def test_no_node_gets_a_second_part_of_a_file() -> None:
    found = balance({**dict.fromkeys(SIX, 50), "n1": 0})
    assert found.choose(SIX, [1] * 6) is None


def test_a_large_part_is_moved_where_that_helps_and_only_there() -> None:
    assert balance({**dict.fromkeys(SIX, 30), "n7": 0}).choose(SIX, [10] * 6) == PartMove(0, "n1", "n7", 10)
    assert balance({**dict.fromkeys(SIX, 30), "n7": 0}).choose(SIX, [60] * 6) is None


def test_nodes_that_take_no_parts_are_left_alone_and_their_zones_count() -> None:
    zones = {node: f"z{node}" for node in SIX} | {"n7": "zn1"}
    levels = [Level(node, zones[node], 100, 50, node != "n1") for node in SIX]
    levels.append(Level("n7", zones["n7"], 100, 0, True))
    assert Balance(levels, 0.01).choose(SIX, [1] * 6) is None


def test_a_zone_takes_a_part_that_leaves_it_no_fuller_of_the_file_than_another() -> None:
    zones = {**{node: f"z{number // 2}" for number, node in enumerate(SIX)}, "n7": "z0", "n8": ""}
    fills = {**dict.fromkeys(SIX, 50), "n7": 0, "n8": 20}
    assert balance(fills, zones=zones).choose(SIX, [1] * 6) == PartMove(0, "n1", "n7", 1)
    assert balance({**fills, "n1": 30, "n2": 30}, zones=zones).choose(SIX, [1] * 6) == PartMove(2, "n3", "n8", 1)


def test_what_is_refused_goes_elsewhere_or_another_part_goes() -> None:
    fills = {**dict.fromkeys(SIX, 50), "n1": 60, "n7": 0, "n8": 10}
    assert balance(fills).choose(SIX, [1] * 6, refused={(0, "n7")}) == PartMove(0, "n1", "n8", 1)
    assert balance(fills).choose(SIX, [1] * 6, refused={(0, "n7"), (0, "n8")}) == PartMove(1, "n2", "n7", 1)
    assert balance(fills).choose(SIX, [1] * 6, refused={(index, node) for index in range(6) for node in fills}) is None


def test_a_third_node_gives_its_parts_where_the_emptiest_node_takes_none_of_the_fullest() -> None:
    levels = [Level(node, "", 100, fill, True) for node, fill in [*dict.fromkeys(SIX, 50).items(), ("n7", 0)]]
    levels[4].used = levels[5].used = 40  # less than the mean
    refused = {(index, "n7") for index in range(4)}
    assert Balance(levels, 0.01).choose(SIX, [1] * 6, refused=refused) is None
    chained = Balance(levels, 0.01, chained=True)
    assert chained.choose(SIX, [1] * 6, refused=refused) == PartMove(4, "n5", "n7", 1)
    assert chained.choose(["n1", "n2", "n3", "n4", "n7", "n6"], [1] * 6) == PartMove(0, "n1", "n5", 1)


def test_what_was_not_moved_after_all_counts_as_before() -> None:
    found = balance({**dict.fromkeys(SIX, 50), "n7": 0})
    before = {level.node_id: level.used for level in found.levels}
    move = found.choose(SIX, [3] * 6)
    assert move is not None
    found.undo(move)
    assert {level.node_id: level.used for level in found.levels} == before


@given(st.integers(0, 2**32), st.integers(7, 12), st.floats(0.005, 0.2), st.booleans())
def test_moves_come_to_an_end_and_never_make_the_worst_worse(
    seed: int, count: int, target: float, chained: bool
) -> None:
    chance = random.Random(seed)
    nodes = [f"n{number}" for number in range(count)]
    files = [(chance.sample(nodes, 6), [chance.randrange(1, 400)] * 6) for _ in range(40)]
    used = dict.fromkeys(nodes, 0)
    for places, sizes in files:
        for node, size in zip(places, sizes, strict=True):
            used[node] += size
    found = Balance([Level(node, "", 20_000, used[node], True) for node in nodes], target, chained=chained)
    mean = sum(used.values()) / 20_000 / count
    moves = 0
    while True:
        worst = max(abs(level.fill - mean) for level in found.levels)
        made = 0
        for places, sizes in files:
            move = found.choose(places, sizes)
            if move is not None:
                made += 1
                places[move.part] = move.target
                assert len(set(places)) == 6
        moves += made
        assert max(abs(level.fill - mean) for level in found.levels) <= worst + 1e-12
        if not made:
            break
    assert moves <= 40 * 6 * count
    assert found.spread == pytest.approx(found.spread)


@pytest.mark.parametrize(
    ("spreads", "vain"),
    [
        ([0.05, 0.05, 0.05], False),
        ([0.05, 0.06, 0.04, 0.06, 0.04], False),
        ([0.05, 0.06, 0.0496, 0.05], True),
        ([0.2, 0.1, 0.0996], True),
        ([0.05, 0.04, 0.03, 0.02, 0.015, 0.012], False),
    ],
)
def test_rounds_are_in_vain_when_three_in_a_row_have_not_brought_the_spread_down(
    spreads: list[float], vain: bool
) -> None:
    course = Course(0.1, 0.01)
    for spread in spreads:
        assert not course.is_vain
        course.note(spread)
    assert course.is_vain is vain
