from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.room import divide_shared, room_for_files, why_full
from splitd.model.striping import Layout


@pytest.mark.parametrize(
    ("free", "room"),
    [
        ([100] * 6, 600),
        ([100] * 5, 0),
        ([100] * 12, 1200),
        ([1000, 100, 100, 100, 100, 100], 600),
        ([1000, 1000, 100, 100, 100, 100], 600),
        ([300, 100, 100, 100, 100, 100, 100], 720),
        ([100] * 5 + [0], 0),
        ([100] * 6 + [-50], 600),
        ([], 0),
    ],
)
def test_each_part_of_a_file_needs_a_node_of_its_own(free: list[int], room: int) -> None:
    assert room_for_files(free, Layout(6, 0, 1)) == room


@given(st.lists(st.integers(-5, 30), max_size=9))
def test_it_is_what_can_be_placed_part_by_part(free: list[int]) -> None:
    # Files of one byte a part, each on the six nodes with the most room: that places as many as can be.
    left, placed = sorted((max(each, 0) for each in free), reverse=True), 0
    while len(left) >= 6 and left[5] > 0:
        left = sorted([each - 1 for each in left[:6]] + left[6:], reverse=True)
        placed += 1
    assert room_for_files(free, Layout(6, 0, 1)) == placed * 6


def test_nodes_on_one_disk_share_its_room() -> None:
    rooms = [("a", 600)] * 6 + [("", 70), ("", 70), ("b", 50)]
    assert divide_shared(rooms) == [100] * 6 + [70, 70, 50]
    assert room_for_files(divide_shared(rooms[:6]), Layout(6, 0, 1)) == 600


@pytest.mark.parametrize(
    ("capacity", "free", "reserve", "reason"),
    [
        (2**30, 1, 2**20, ""),
        (2**31, 0, 2**30, "nothing is free above its reserve of 1.0 GiB"),
        (2**29, 0, 2**30, "its disk of 512.0 MiB is not larger than its reserve of 1.0 GiB"),
        (2**31, 0, 0, "nothing is free above its reserve"),  # an older node
    ],
)
def test_a_node_that_takes_nothing_has_a_reason(capacity: int, free: int, reserve: int, reason: str) -> None:
    assert why_full(capacity, free, reserve) == reason
