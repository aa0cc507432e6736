"""When small files that wait are stored together."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
from twisted.internet.task import Clock

from splitd.uploads.gathering import Gathering


@attrs.define
class File:
    given_up: bool = False
    stored_size: int = 1


class Groups:
    """Gathers files for groups, which are under way until the test ends them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.begun: list[int] = []
        self.gathering: Gathering[File] = Gathering(self.clock, 0.001, self._begin)

    def _begin(self, files: Sequence[File]) -> None:
        self.begun.append(len(files))
        self.gathering.began()

    def add(self, count: int) -> None:
        for _ in range(count):
            self.gathering.add(File())

    def end(self) -> None:
        """End the last group."""
        self.gathering.ended(self.begun[-1])

    def done(self, count: int) -> None:
        """Have had a group of some files."""
        self.add(count)
        self.clock.advance(0)
        self.end()
        self.begun.clear()


@pytest.fixture
def groups() -> Groups:
    return Groups()


def test_files_of_one_turn_are_one_group_and_one_alone_waits_for_nobody(groups: Groups) -> None:
    for count in (3, 1, 1):
        groups.clock.advance(1)
        groups.add(count)
        assert groups.begun == []
        groups.clock.advance(0)
        assert groups.begun == [count]
        groups.end()
        groups.begun.clear()
    groups.add(1)  # the one before was alone, too
    groups.clock.advance(0)
    assert groups.begun == [1]


def test_files_that_come_while_a_group_is_under_way_are_the_next_one(groups: Groups) -> None:
    groups.add(1)
    groups.clock.advance(0)
    groups.add(5)
    groups.clock.advance(0.04)
    assert groups.begun == [1]
    groups.end()
    groups.add(1)
    assert groups.begun == [1]
    groups.clock.advance(0)
    assert groups.begun == [1, 6]


def test_a_group_waits_for_as_many_files_as_there_were_last(groups: Groups) -> None:
    groups.done(3)
    for _ in range(2):
        groups.add(1)
        groups.clock.advance(0.0009)
        assert groups.begun == []
    groups.add(1)
    groups.clock.advance(0)
    assert groups.begun == [3]


def test_files_that_are_tried_again_wait_for_nobody(groups: Groups) -> None:
    groups.add(3)
    groups.clock.advance(0)
    for _ in range(3):
        groups.gathering.add(File(), again=True)
    groups.end()
    groups.clock.advance(0)
    assert groups.begun == [3, 3]


def test_a_group_does_not_wait_for_files_that_do_not_come(groups: Groups) -> None:
    groups.done(3)
    groups.add(2)
    groups.clock.pump([0.001] * 2)
    assert groups.begun == [2]


def test_a_group_does_not_wait_long_though_files_keep_coming(groups: Groups) -> None:
    groups.done(100)
    for _ in range(20):
        groups.add(1)
        groups.clock.advance(0.0008)
    assert groups.begun[0] in range(13, 17)


def test_a_file_that_comes_much_later_waits_for_nobody(groups: Groups) -> None:
    groups.done(3)
    groups.clock.advance(1)
    groups.add(1)
    groups.clock.advance(0)
    assert groups.begun == [1]


def test_a_group_that_does_not_end_holds_up_the_others_only_for_a_moment(groups: Groups) -> None:
    groups.add(1)
    groups.clock.advance(0)
    for _ in range(2):
        groups.add(2)
        groups.clock.advance(0.1)
    assert groups.begun == [1, 2, 2]


def test_a_group_has_a_limit_of_files_and_of_bytes(groups: Groups) -> None:
    groups.add(300)
    groups.clock.advance(0)
    assert groups.begun == [256]
    groups.clock.advance(0.1)
    assert groups.begun == [256, 44]
    groups.begun.clear()
    for _ in range(6):
        groups.gathering.add(File(stored_size=250_000))
    groups.clock.pump([0.1] * 2)
    assert groups.begun == [4, 2]


def test_files_for_which_nobody_waits_any_more_are_left_out(groups: Groups) -> None:
    left = File()
    groups.gathering.add(left)
    groups.add(1)
    left.given_up = True
    groups.clock.advance(0)
    assert groups.begun == [1]
