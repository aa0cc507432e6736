"""How many parts of a new file must be stored."""

from __future__ import annotations

import pytest

from splitd.config import Config
from splitd.model.striping import Layout
from splitd.uploads.uploads import Cutting


def config(layout: str, min_parts: int = 0) -> Config:
    return Config("data", "nodes.yaml", "key", layout=layout, min_parts=min_parts)


def least(settings: Config, layout: Layout) -> int:
    cutting = Cutting(settings.cut(), 0, lambda: "", settings.spare_parts(), settings.slow_part_s)
    return layout.width - cutting.may_miss(layout)


@pytest.mark.parametrize(
    ("layout", "min_parts", "expected"),
    [("6+2", 0, 7), ("6+0", 0, 6), ("5+1", 0, 6), ("10+4", 0, 11), ("6+2", 6, 6), ("6+2", 8, 8), ("6+0", 6, 6)],
)
def test_it_is_one_more_than_data_parts_unless_the_settings_say_otherwise(
    layout: str, min_parts: int, expected: int
) -> None:
    settings = config(layout, min_parts)
    assert least(settings, settings.cut()) == expected


def test_files_of_other_layouts_need_the_same_number_of_spare_parts_as_far_as_they_have_parity() -> None:
    settings = config("6+2", 8)
    assert [least(settings, Layout(data, parity, 1)) for data, parity in ((4, 3), (4, 1), (6, 0))] == [6, 5, 6]


@pytest.mark.parametrize(("layout", "min_parts"), [("6+2", 5), ("6+2", 9), ("6+0", 7), ("1+1", 3)])
def test_a_number_that_the_layout_cannot_have_is_refused_with_those_that_it_can(layout: str, min_parts: int) -> None:
    cut = config(layout).cut()
    told = f"min_parts: {min_parts} is not possible with layout {cut}, {cut.data} to {cut.width} are"
    with pytest.raises(ValueError, match=told.replace("+", r"\+")):
        config(layout, min_parts)
