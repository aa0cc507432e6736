"""The natural order of names."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.natural import natural_key


@pytest.mark.parametrize(
    "names",
    [
        ["file1", "file2", "file10", "file100"],
        ["1", "2", "10", "a"],
        ["a", "B", "c"],
        ["a2b10", "a10b2"],
        ["cafe", "café", "cafes"],
        ["Äpfel", "apples", "Zoo", "文"],
        ["file", "file1", "file01a", "file1a"],
        ["IMG_9.jpg", "img_10.jpg"],
        ["9" * 255, "a"],
        ["٣", "文"],  # digits of other scripts are characters like others
    ],
)
def test_names_come_in_the_order_that_people_expect(names: list[str]) -> None:
    assert sorted(random.Random(1).sample(names, len(names)), key=natural_key) == names


@given(st.lists(st.text(max_size=20), unique=True))
def test_any_names_can_be_compared_and_no_two_are_equal(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)
