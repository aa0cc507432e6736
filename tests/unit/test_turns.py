from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError

from splitd.catalog.turns import Turn, Turns


def begun(turn: Turn) -> bool:
    return turn.began is None or turn.began.called


def cancel(turn: Turn) -> None:
    if turn.began is not None:
        turn.began.addErrback(lambda failure: failure.trap(CancelledError) and None)
        turn.began.cancel()


def test_a_change_that_touches_no_other_begins_at_once() -> None:
    assert begun(Turns().queue("/a"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a", "/a"),
        ("/a", "/a/b"),
        ("/a/b", "/a"),
        ("/", "/a/b"),
        ("/a/b", "/"),
        ("/a", "/a/b/c/d"),
        ("9f", "9f"),
        ("9f", "9f/1"),
        ("9f/1", "9f"),
        ("/a/", "/a"),
        ("/a/", "/a/b"),
        ("/a//", "/a"),
        ("/", "//a"),
    ],
)
def test_changes_that_touch_each_other_take_turns(first: str, second: str) -> None:
    turns = Turns()
    one, two = turns.queue(first), turns.queue(second)
    assert (begun(one), begun(two)) == (True, False)
    turns.end(one)
    assert begun(two)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a", "/b"),
        ("/c/a", "/c/b"),
        ("/a", "/ab"),
        ("/a/b", "/ab"),
        ("/a//b", "/a/c"),
        ("//a", "/a"),
        ("/a/", "/ab"),
        ("/a/../b", "/b"),
        ("9f", "/9f"),
        ("9f/1", "9f/2"),
        ("9f/1", "/9f/1"),
        ("9f", "9"),
    ],
)
def test_changes_that_do_not_touch_go_side_by_side(first: str, second: str) -> None:
    turns = Turns()
    turns.queue(first)
    assert begun(turns.queue(second))


def test_a_change_waits_for_those_on_all_its_keys() -> None:
    turns = Turns()
    one, two = turns.queue("/a"), turns.queue("9f")
    three = turns.queue("/a", "9f")
    turns.end(one)
    assert not begun(three)
    turns.end(two)
    assert begun(three)


def test_nobody_overtakes_one_who_waits() -> None:
    turns = Turns()
    below = turns.queue("/a/b")
    whole = turns.queue("/a")
    other = turns.queue("/a/c")
    assert not begun(other)
    turns.end(below)
    assert (begun(whole), begun(other)) == (True, False)
    turns.end(whole)
    assert begun(other)


def test_one_who_gives_up_lets_nobody_past_those_before_it() -> None:
    turns = Turns()
    one, two, three = turns.queue("/a"), turns.queue("/a"), turns.queue("/a")
    cancel(two)
    assert not begun(three)
    turns.end(one)
    assert begun(three)


def test_a_long_queue_that_ends_as_it_begins_does_not_overflow_the_stack() -> None:
    turns = Turns()
    first = turns.queue("/a")
    ended: list[int] = []

    def end(_: None, turn: Turn, number: int) -> None:
        ended.append(number)
        turns.end(turn)

    for number in range(5000):
        turn = turns.queue("/a")
        assert turn.began is not None
        turn.began.addCallback(end, turn, number)
    turns.end(first)
    assert ended == list(range(5000))
    assert len(turns) == 0


def test_one_that_is_free_to_begin_may_be_given_up_by_another_that_begins() -> None:
    turns = Turns()
    whole = turns.queue("/a")
    one, two = turns.queue("/a/b"), turns.queue("/a/c")
    assert one.began is not None
    one.began.addCallback(lambda _: cancel(two))
    turns.end(whole)
    assert begun(one)
    turns.end(one)
    assert len(turns) == 0


keys = st.sampled_from(["/", "/a", "/b", "/a/c", "/a/d", "/a/c/e", "x", "y"])
queued = st.tuples(st.just("queue"), st.lists(keys, min_size=1, max_size=3).map(tuple))
others = st.tuples(st.sampled_from(["end", "cancel"]), st.integers(0, 20))


def touch(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    return any(
        a == b or (a[0] == b[0] == "/" and (b.startswith(a.rstrip("/") + "/") or a.startswith(b.rstrip("/") + "/")))
        for a in one
        for b in two
    )


@settings(max_examples=300)
@given(st.lists(st.one_of(queued, others), max_size=40))
def test_a_change_has_begun_as_soon_as_all_before_it_that_touch_it_have_ended(steps: list[tuple[str, object]]) -> None:
    turns = Turns()
    alive: list[Turn] = []
    for step, what in steps:
        if isinstance(what, tuple):
            alive.append(turns.queue(*what))
        elif isinstance(what, int) and alive:
            turn = alive[what % len(alive)]
            if begun(turn) is (step == "cancel"):
                continue  # only what waits is cancelled, only what has begun is ended
            alive.remove(turn)
            if step == "cancel":
                cancel(turn)
            else:
                turns.end(turn)
        for place, turn in enumerate(alive):
            assert begun(turn) is not any(touch(turn.keys, before.keys) for before in alive[:place])
        assert len(turns) == len(alive)
