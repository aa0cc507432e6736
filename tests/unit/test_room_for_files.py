from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.room import room_for_files
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
