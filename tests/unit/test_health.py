from __future__ import annotations

from splitd.model.health import ASK_EVERY_S, Health


def test_a_node_is_not_used_before_it_has_answered() -> None:
    health = Health(100.0)
    assert (health.state, health.usable, health.due) == ("unknown", False, 100.0)
    health.answered(100.5)
    assert (health.state, health.usable, health.due) == ("up", True, 100.5 + ASK_EVERY_S)


def test_a_node_without_room_is_full_and_can_be_read() -> None:
    health = Health(0.0)
    health.answered(0.0, "nothing is free")
    assert (health.state, health.problem, health.usable) == ("full", "nothing is free", True)
    health.answered(10.0)
    assert (health.state, health.problem) == ("up", "")


def test_a_node_that_is_silent_is_asked_again_after_pauses_that_grow_and_is_back_with_its_first_answer() -> None:
    health, now, pauses = Health(0.0), 0.0, []
    for _ in range(7):
        health.silent(now, "connection refused")
        assert (health.state, health.problem) == ("down", "connection refused")
        pauses.append(health.due - now)
        now = health.due
    assert pauses == [1, 2, 4, 8, 10, 10, 10]
    health.answered(now)
    assert (health.state, health.problem) == ("up", "")
    health.silent(now, "gone again")
    assert health.due - now == 1


def test_a_stranger_is_told_from_a_node_that_is_down() -> None:
    health = Health(0.0)
    health.silent(0.0, "this is node n8, not n7", stranger=True)
    assert (health.state, health.usable) == ("stranger", False)
    health.answered(1.0)
    assert health.state == "up"


def test_a_node_that_answers_and_fails_when_it_is_used_is_left_alone_longer_each_time() -> None:
    health, now, pauses = Health(0.0), 0.0, []
    health.answered(now)
    for _ in range(8):
        health.failed(now, "disk error")
        health.answered(now + 0.5)
        assert (health.state, health.problem, health.usable) == ("down", "disk error", False)
        pauses.append(health.due - now)
        now = health.due
        health.answered(now)
        assert health.state == "up"
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_node_that_refuses_a_part_for_want_of_room_is_read_from_and_gets_none_for_a_while() -> None:
    health = Health(0.0)
    health.answered(0.0)
    health.failed(1.0, "no room", full=True)
    health.failed(1.1, "no room", full=True)
    assert (health.state, health.problem, health.usable, health.refuses_parts) == ("full", "no room", True, True)
    assert health.due == 2.0
    health.answered(1.5)
    assert (health.state, health.refuses_parts) == ("full", True)
    health.answered(2.0)
    assert (health.state, health.refuses_parts) == ("up", False)
    health.failed(3.0, "no room", full=True)
    assert health.due == 5.0
    health.failed(3.5, "it died")
    assert (health.state, health.problem, health.refuses_parts) == ("down", "it died", False)
    health.failed(3.6, "no room", full=True)
    assert health.state == "down"


def test_what_fails_together_counts_once() -> None:
    health = Health(0.0)
    health.answered(0.0)
    for _ in range(64):
        health.failed(0.1, "broke off")
    assert health.due == 0.1 + 1


def test_earlier_failures_are_forgiven_after_ten_good_minutes_after_an_absence_and_on_request() -> None:
    def third_failure_after(health: Health, now: float) -> float:
        health.answered(now)
        health.failed(now, "disk error")
        return health.due - now

    def failed_twice() -> Health:
        health = Health(0.0)
        for now in (0.0, 1.0):
            health.answered(now)
            health.failed(now, "disk error")
        return health

    assert third_failure_after(failed_twice(), 3.0) == 4
    assert third_failure_after(failed_twice(), 3.0 + 601) == 1
    away = failed_twice()
    away.silent(2.0, "connection refused")
    assert third_failure_after(away, 3.0) == 1
    forgiven = failed_twice()
    forgiven.forgive(1.5)
    assert forgiven.due == 1.5
    assert third_failure_after(forgiven, 1.5) == 1
