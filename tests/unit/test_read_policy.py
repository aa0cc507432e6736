from __future__ import annotations

from twisted.internet.task import Clock

from splitd.interfaces.nodes import AWAY, SILENT, SLOW, WELL, Wait
from splitd.nodes.reading import ReadingReport, ReadPolicy

NODES = [f"n{number}" for number in range(8)]


class World:
    """A policy and what it sees."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.away: set[str] = set()
        self.suspected: list[str] = []
        self.policy = ReadPolicy(
            lambda node: node not in self.away,
            self.suspected.append,
            self.clock,
            silent_after_s=1.0,
            hedge_share=0.05,
        )

    def pause_of(self, node: str) -> int:
        """Return for how many seconds from now a node is asked last."""
        seconds = 0
        while self.policy.rank(node) in {SLOW, SILENT}:
            self.clock.advance(1)
            seconds += 1
        return seconds


def test_a_silent_node_is_asked_last_for_pauses_that_grow() -> None:
    world = World()
    pauses = []
    for _ in range(5):
        world.policy.silent("n2")
        world.policy.silent("n2")  # another read that was in progress
        pauses.append(world.pause_of("n2"))
    assert pauses == [15, 30, 60, 60, 60]
    assert world.suspected == ["n2"] * 10
    assert world.policy.rank("n1") == 0


def test_faults_of_long_ago_do_not_count() -> None:
    world = World()
    for _ in range(4):
        world.policy.silent("n2")
        world.pause_of("n2")
    world.clock.advance(601)
    world.policy.silent("n2")
    assert world.pause_of("n2") == 15


def test_a_node_that_answers_again_is_read_as_before() -> None:
    world = World()
    world.policy.silent("n2")
    world.policy.recovered("n2")
    assert world.policy.rank("n2") == 0


def test_a_node_is_asked_last_while_it_is_filled() -> None:
    world = World()
    for is_filled, rank in [(True, SLOW), (True, SLOW), (False, SLOW), (False, WELL)]:
        world.policy.fill("n2", is_filled=is_filled)
        assert world.policy.rank("n2") == rank


def test_a_node_that_seems_to_be_away_comes_after_all_others() -> None:
    world = World()
    world.away.add("n2")
    world.policy.fill("n3", is_filled=True)
    world.policy.silent("n4")
    assert [world.policy.rank(node) for node in ("n1", "n3", "n4", "n2")] == [WELL, SLOW, SILENT, AWAY]


def test_when_all_nodes_are_late_together_none_is_slow() -> None:
    world = World()
    for round_ in range(400):
        for node in NODES:
            world.policy.took(Wait.SMALL_PART, node, 0.2 if round_ % 40 > 20 else 0.002)
    assert {world.policy.rank(node) for node in NODES} == {WELL}


def test_a_slow_node_that_becomes_silent_is_asked_after_slow_ones() -> None:
    world = World()
    for _ in range(100):
        for node in NODES:
            world.policy.took(Wait.NEXT_UNIT, node, 0.4 if node == "n5" else 0.002)
    assert world.policy.rank("n5") == SLOW
    world.policy.silent("n5")
    assert world.policy.rank("n5") == SILENT


def test_a_node_that_is_slow_is_asked_last_and_not_suspected() -> None:
    world = World()
    for _ in range(100):
        for node in NODES:
            world.policy.took(Wait.NEXT_UNIT, node, 0.4 if node == "n5" else 0.002)
    assert [world.policy.rank(node) for node in NODES] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert world.suspected == []
    assert world.pause_of("n5") == 15


def test_it_reports_what_operators_want_to_know_of_reads() -> None:
    world = World()
    world.policy.silent("n2")
    world.policy.fill("n4", is_filled=True)
    world.policy.silent("n6")
    world.away.add("n6")  # the state of the node says this already
    world.policy.asked(1000)
    assert world.policy.may_hedge(3)
    assert not world.policy.may_hedge(100)
    assert world.policy.report() == ReadingReport(3, 2, {"n2": "silent", "n4": "filled"})
    world.clock.advance(60)
    world.policy.fill("n4", is_filled=False)
    assert world.policy.report() == ReadingReport(3, 2, {})
