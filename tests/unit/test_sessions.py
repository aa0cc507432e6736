"""Sessions: how long they last, and how they end."""

from __future__ import annotations

from twisted.internet.task import Clock

from splitd.access.sessions import IDLE_S, LASTS_S, Sessions
from tests.clocks import wall_of


def test_a_cookie_stands_for_its_user_only() -> None:
    sessions = Sessions(wall_of(Clock()))
    anna, session = sessions.begin("anna")
    rita, _ = sessions.begin("rita")
    assert sessions.find(anna) is session
    assert session.user == "anna"
    assert anna != rita
    assert sessions.find(anna + "x") is None
    assert sessions.find("") is None
    assert sessions.find("\udcff") is None


def test_a_session_ends_after_some_hours_without_a_request() -> None:
    clock = Clock()
    sessions = Sessions(wall_of(clock))
    cookie, _ = sessions.begin("anna")
    clock.advance(IDLE_S - 1)
    assert sessions.find(cookie) is not None
    clock.advance(IDLE_S - 1)
    assert sessions.find(cookie) is not None
    clock.advance(IDLE_S)
    assert sessions.find(cookie) is None


def test_a_session_ends_after_a_day_however_much_it_is_used() -> None:
    clock = Clock()
    sessions = Sessions(wall_of(clock))
    cookie, _ = sessions.begin("anna")
    lasted_s = 0
    while sessions.find(cookie) is not None:
        clock.advance(IDLE_S / 2)
        lasted_s += IDLE_S // 2
    assert lasted_s == LASTS_S


def test_it_ends_when_the_user_says_so_here_or_everywhere() -> None:
    sessions = Sessions(wall_of(Clock()))
    first, second, other = (sessions.begin(user)[0] for user in ("anna", "anna", "rita"))
    sessions.end(first)
    sessions.end("unknown")
    assert [sessions.find(each) is None for each in (first, second, other)] == [True, False, False]
    third, _ = sessions.begin("anna")
    assert sessions.end_all("anna") == 2
    assert [sessions.find(each) is None for each in (second, third, other)] == [True, True, False]
