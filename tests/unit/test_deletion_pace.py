"""How many parts a node is asked to delete at once, and when it is asked again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitd.upkeep.deletion_pace import MOST, DeletionPace


def test_batches_grow_while_the_node_is_quick_and_they_are_full() -> None:
    pace = DeletionPace(60.0)
    first = pace.limit
    pace.answered(first - 1, 0.1)
    assert pace.limit == first
    for _ in range(20):
        pace.answered(pace.limit, 0.1)
    assert pace.limit == MOST


def test_a_node_that_is_slow_gets_smaller_batches_down_to_one_part() -> None:
    pace = DeletionPace(60.0)
    first = pace.limit
    pace.answered(first, 2.0)
    assert pace.limit == first
    pace.answered(first, 20.0)
    slower = pace.limit
    assert slower < first
    pace.failed(0.1)
    assert pace.limit == slower
    pace.failed(30.0)
    assert pace.limit < slower
    for _ in range(20):
        pace.failed(30.0)
    assert pace.limit == 1
    pace.answered(1, 0.1)
    assert pace.limit == 2


def test_pauses_grow_to_the_longest_one_and_are_short_again_once_the_node_works() -> None:
    pace = DeletionPace(10.0)
    assert [pace.pause() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    pace.recovered()
    assert pace.pause() == 1.0
    assert DeletionPace(0.5).pause() == 0.5


@given(
    st.lists(
        st.one_of(st.tuples(st.integers(1, MOST), st.floats(0, 100)), st.just("failed"), st.just("recovered")),
        max_size=50,
    ),
    st.floats(0.1, 100.0),
)
def test_whatever_happens_a_batch_has_a_part_and_no_pause_is_longer_than_the_longest(
    events: list[tuple[int, float] | str], longest_s: float
) -> None:
    pace = DeletionPace(longest_s)
    for event in events:
        if event == "failed":
            pace.failed(30.0)
            assert 0 < pace.pause() <= longest_s
        elif event == "recovered":
            pace.recovered()
        else:
            assert isinstance(event, tuple)
            pace.answered(*event)
        assert 1 <= pace.limit <= MOST
