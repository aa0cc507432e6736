from __future__ import annotations

import math
import random

import pytest

from splitd.model.pace import Allowance, Durations, Pace

NODES = [f"n{number}" for number in range(8)]
LEAST_S = 0.0005


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_right_to_a_fifth(share: float) -> None:
    random.seed(7)
    durations, all_of_them = Durations(), []
    for _ in range(255):
        seconds = random.lognormvariate(math.log(0.01), 1)
        durations.add(seconds)
        all_of_them.append(seconds)
    exact = sorted(all_of_them)[int(share * 255)]
    assert exact / 1.2 <= durations.percentile(share) <= exact * 1.2


def test_no_durations_and_extreme_ones_have_percentiles() -> None:
    durations = Durations()
    assert durations.percentile(0.95) == 0
    durations.add(0)
    assert 0 < durations.percentile(0.95) < 0.001
    durations.add(1e9)
    assert durations.percentile(0.95) > 10


def test_old_durations_are_forgotten() -> None:
    durations = Durations()
    for _ in range(10_000):
        durations.add(1.0)
    for _ in range(2_000):
        durations.add(0.01)
    assert durations.percentile(0.95) < 0.02
    assert durations.total < 256


def test_nothing_is_late_before_enough_is_known() -> None:
    pace = Pace(LEAST_S)
    for _ in range(1000):
        pace.took("n0", 0.001)
        pace.took("n1", 0.001)
    assert pace.late_after_s == math.inf


def test_one_slow_node_does_not_make_late_answers_usual() -> None:
    pace = Pace(LEAST_S)
    slow = False
    for _ in range(500):
        for node in NODES:
            slow = pace.took(node, 1.0 if node == "n3" else 0.002)
            assert not (slow and node != "n3")
    assert pace.late_after_s < 0.003
    assert pace.took("n3", 1.0)


def test_a_load_that_makes_all_nodes_slow_makes_none_slower_than_the_others() -> None:
    pace = Pace(LEAST_S)
    for usual in (0.002, 0.5):
        found = [pace.took(node, usual) for _ in range(300) for node in NODES]
    assert not any(found[-800:])
    assert pace.late_after_s > 0.5


def test_a_few_late_answers_make_no_node_slow() -> None:
    random.seed(3)
    pace = Pace(LEAST_S)
    assert not any(pace.took(node, 0.5 if random.random() < 0.2 else 0.002) for _ in range(1000) for node in NODES)


def test_what_was_forgiven_does_not_count() -> None:
    pace = Pace(LEAST_S)
    for _ in range(200):
        for node in NODES:
            pace.took(node, 1.0 if node == "n3" else 0.002)
    pace.forgive("n3")
    assert not pace.took("n3", 1.0)


def test_nothing_is_late_before_the_least_time() -> None:
    pace = Pace(0.05)
    for _ in range(100):
        for node in NODES:
            pace.took(node, 0.002)
    assert pace.late_after_s == 0.05


def test_an_allowance_is_a_share_with_a_limit_to_what_is_saved() -> None:
    allowance = Allowance(0.05, 3)
    assert [allowance.spend(1) for _ in range(4)] == [True, True, True, False]
    allowance.earn(19)
    assert not allowance.spend(1)
    allowance.earn(1.001)
    assert allowance.spend(1)
    allowance.earn(10_000)
    assert not allowance.spend(4)
    assert allowance.spend(3)
    assert not allowance.spend(1)


def test_without_a_share_nothing_is_allowed() -> None:
    allowance = Allowance(0.0, 3)
    allowance.earn(10_000)
    assert not allowance.spend(1)
