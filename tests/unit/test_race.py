from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from splitd.downloads.race import Race
from splitd.downloads.survivors import Survivors
from splitd.errors import FileDamaged, FileUnavailable, Overloaded, SplitdError
from splitd.interfaces.nodes import SILENT, Wait
from splitd.model.manifest import Manifest
from splitd.nodes.reading import ReadPolicy

SILENT_S = 1.0
WIDTH = 8
MANIFEST = Manifest("ab" * 16, 6_000, 0, 6, 2, 1024, tuple(f"n{index}" for index in range(WIDTH)))


class Parts:
    """Parts that answer when the test says so, and the race for six of them.

    :param away: the nodes that do not seem to be well.
    """

    def __init__(self, *, share: float = 0.05, away: Sequence[str] = ()) -> None:
        self.clock = Clock()
        self.suspected: list[str] = []
        self.policy = ReadPolicy(
            lambda node: node not in away,
            self.suspected.append,
            self.clock,
            silent_after_s=SILENT_S,
            hedge_share=share,
        )
        self.found: list[int] = []
        self.survivors = Survivors(MANIFEST, self.policy, self._note)
        self.asked: dict[int, Deferred[str]] = {}
        self.cancelled: list[int] = []
        self.race = self.new_race()

    def new_race(self) -> Race[str]:
        return Race(MANIFEST, self.survivors, self._ask, lambda _: Wait.SMALL_PART, self.policy, self.clock)

    def _note(self, _manifest: Manifest, index: int, _problem: FileDamaged) -> None:
        self.found.append(index)

    def _ask(self, index: int) -> Deferred[str]:
        self.asked[index] = Deferred(lambda _: self.cancelled.append(index))
        return self.asked[index]

    def learn(self) -> None:
        """Let all nodes answer quickly, until it is known what is usual."""
        for _ in range(20):
            for node in MANIFEST.nodes:
                self.policy.took(Wait.SMALL_PART, node, 0.001)
        assert self.policy.late_after_s(Wait.SMALL_PART) < SILENT_S

    def run(self, wanted: Sequence[int] = range(6), need: int = 6) -> Deferred[None]:
        first = self.survivors.choose(need, set()) if len(wanted) == need else wanted
        return Deferred.fromCoroutine(self.race.run(first, wanted, need, self.survivors.choose))

    def answer(self, *indexes: int) -> None:
        for index in indexes:
            self.asked[index].callback(f"answer {index}")

    def fail(self, index: int, problem: SplitdError) -> None:
        self.asked[index].errback(problem)

    def wait(self, seconds: float) -> None:
        for _ in range(10):
            self.clock.advance(seconds / 10)


def test_parts_that_answer_are_all_that_is_asked() -> None:
    parts = Parts()
    done = parts.run()
    parts.answer(3, 1, 0, 5, 4)
    assert not done.called
    parts.answer(2)
    assert done.called
    assert sorted(parts.race.answers) == sorted(parts.asked) == [0, 1, 2, 3, 4, 5]
    assert (parts.race.abandoned, parts.clock.getDelayedCalls()) == (set(), [])


def test_a_part_that_fails_is_replaced_at_once() -> None:
    parts = Parts()
    done = parts.run()
    parts.fail(2, FileUnavailable("n2 is away"))
    assert 6 in parts.asked
    parts.answer(0, 1, 3, 4, 5, 6)
    assert done.called
    assert sorted(parts.race.answers) == [0, 1, 3, 4, 5, 6]
    assert parts.found == []


def test_a_part_that_is_damaged_is_told() -> None:
    parts = Parts()
    done = parts.run()
    parts.fail(2, FileDamaged("rotten"))
    parts.answer(0, 1, 3, 4, 5, 6)
    assert (done.called, parts.found) == (True, [2])


def test_parts_that_fail_while_they_are_asked_are_replaced() -> None:
    parts = Parts()
    answers: dict[int, Callable[[Deferred[str]], None]] = {
        0: lambda asked: asked.errback(FileUnavailable("away")),
        6: lambda asked: asked.errback(FileUnavailable("away too")),
    }

    def ask(index: int) -> Deferred[str]:
        asked: Deferred[str] = Deferred()
        answers.get(index, lambda asked: asked.callback("answer"))(asked)
        return asked

    parts.race = Race(MANIFEST, parts.survivors, ask, lambda _: Wait.SMALL_PART, parts.policy, parts.clock)
    done = parts.run()
    assert done.called
    assert sorted(parts.race.answers) == [1, 2, 3, 4, 5, 7]


def test_more_failures_than_parity_end_the_race_and_cancel_the_others() -> None:
    parts = Parts()
    done = parts.run()
    problems: list[BaseException] = []
    done.addErrback(lambda failure: problems.append(failure.value))
    for index in (0, 1, 6):
        parts.fail(index, FileUnavailable(f"n{index} is away"))
    [problem] = problems
    assert isinstance(problem, FileUnavailable)
    assert "3 of 8 parts" in str(problem)
    assert parts.cancelled == [2, 3, 4, 5, 7]


def test_an_error_that_is_not_of_the_part_ends_the_race() -> None:
    parts = Parts()
    done = parts.run()
    problems: list[BaseException] = []
    done.addErrback(lambda failure: problems.append(failure.value))
    parts.fail(0, Overloaded("no descriptors"))
    assert isinstance(problems[0], Overloaded)
    assert parts.cancelled == [1, 2, 3, 4, 5]


def test_a_silent_part_is_replaced_and_its_node_asked_last_although_nothing_is_known_about_the_usual_pace() -> None:
    parts = Parts(share=0)
    done = parts.run()
    parts.answer(0, 1, 2, 3, 4)
    parts.wait(SILENT_S * 0.99)
    assert 6 not in parts.asked
    parts.wait(SILENT_S * 0.02)
    assert (6 in parts.asked, done.called) == (True, False)
    assert (parts.policy.rank("n5"), parts.suspected) == (SILENT, ["n5"])
    parts.answer(6)
    assert (done.called, parts.race.late, parts.race.abandoned, parts.cancelled) == (True, {5}, {5}, [5])
    assert parts.clock.getDelayedCalls() == []
    assert parts.survivors.choose(6, set()) == [0, 1, 2, 3, 4, 6]


def test_a_silent_part_that_answers_after_all_is_taken() -> None:
    parts = Parts()
    done = parts.run()
    parts.answer(0, 1, 2, 3, 4)
    parts.wait(SILENT_S * 1.01)
    parts.answer(5)
    assert (done.called, parts.cancelled) == (True, [6])


def test_more_silent_parts_than_parity_are_waited_for() -> None:
    parts = Parts()
    done = parts.run()
    parts.answer(0, 1, 2)
    parts.wait(SILENT_S * 1.01)
    parts.answer(6, 7)
    parts.wait(SILENT_S * 20)
    assert not done.called
    parts.answer(4)
    assert done.called


def test_a_late_part_is_hedged_once() -> None:
    parts = Parts()
    parts.learn()
    done = parts.run()
    parts.answer(0, 1, 2, 3)
    late_s = parts.policy.late_after_s(Wait.SMALL_PART)
    parts.wait(late_s * 0.99)
    assert 6 not in parts.asked
    parts.wait(late_s * 0.02)
    assert {6, 7} <= parts.asked.keys()
    assert (parts.policy.rank("n4"), parts.suspected) == (0, [])
    parts.answer(7, 5)
    assert done.called
    assert sorted(parts.race.answers) == [0, 1, 2, 3, 5, 7]
    assert parts.cancelled == [4, 6]


def test_hedging_keeps_to_its_share_of_all_requests() -> None:
    parts = Parts(share=0.05)
    parts.learn()
    late_s = parts.policy.late_after_s(Wait.SMALL_PART)
    hedged = 0
    for _ in range(300):
        parts.asked, parts.race = {}, parts.new_race()
        parts.policy.asked(6)
        done = parts.run()
        parts.answer(0, 1, 2, 3, 4)
        parts.wait(late_s * 1.01)
        hedged += 6 in parts.asked
        parts.answer(5)
        assert done.called
        parts.learn()
    assert 90 <= hedged <= 300 * 6 * 0.05 + 12


def test_nodes_that_are_away_do_not_hedge_others() -> None:
    parts = Parts(away=["n6", "n7"])
    parts.learn()
    parts.run()
    parts.answer(0, 1, 2, 3, 4)
    parts.wait(0.5)
    assert sorted(parts.asked) == [0, 1, 2, 3, 4, 5]
    parts.wait(SILENT_S)
    assert sorted(parts.asked) == [0, 1, 2, 3, 4, 5, 6]
    parts.answer(5)


def test_one_late_column_is_replaced_by_all_that_rebuild_it() -> None:
    parts = Parts()
    parts.learn()
    done = parts.run(wanted=[2])
    assert list(parts.asked) == [2]
    parts.wait(parts.policy.late_after_s(Wait.SMALL_PART) * 1.01)
    assert sorted(parts.asked) == [0, 1, 2, 3, 4, 5, 6]
    parts.answer(0, 1, 3, 4, 5)
    assert not done.called
    parts.answer(6)
    assert done.called


def test_a_front_that_was_busy_itself_takes_no_node_for_silent() -> None:
    parts = Parts()
    done = parts.run()
    parts.answer(0, 1, 2, 3)
    parts.clock.advance(SILENT_S * 5)  # in one step: nothing else has run meanwhile
    assert (sorted(parts.asked), parts.suspected) == ([0, 1, 2, 3, 4, 5], [])
    parts.wait(SILENT_S * 0.5)
    parts.answer(4, 5)
    assert done.called


def test_cancelling_the_race_cancels_all_requests() -> None:
    parts = Parts()
    done = parts.run()
    problems: list[BaseException] = []
    done.addErrback(lambda failure: problems.append(failure.value))
    done.cancel()
    assert isinstance(problems[0], CancelledError)
    assert parts.cancelled == [0, 1, 2, 3, 4, 5]
    assert parts.clock.getDelayedCalls() == []


@pytest.mark.parametrize("usual", [0.001, 0.2])
def test_the_usual_pace_decides_what_is_late(usual: float) -> None:
    parts = Parts()
    for _ in range(20):
        for node in MANIFEST.nodes:
            parts.policy.took(Wait.SMALL_PART, node, usual)
    late_s = parts.policy.late_after_s(Wait.SMALL_PART)
    assert late_s >= usual
    assert late_s < math.inf
