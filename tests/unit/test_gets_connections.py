"""Connections for GET requests to nodes: when they are kept, used again and ended."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory

from storaged.http import reason_of
from storaged.http.gets import Reusing
from tests.unit.test_gets import IDLE_S, OK, Reader, Setting


def test_a_request_on_a_kept_connection_that_was_closed_is_sent_once_more() -> None:
    setting = Setting()
    setting.ask()
    setting.servers.all[0].say(OK)
    asked = setting.ask("/b")
    setting.servers.all[0].leave()
    assert [server.requests()[-1][:6] for server in setting.servers.all] == [b"GET /b", b"GET /b"]
    setting.servers.all[1].say(OK)
    assert asked.reader.is_whole


def test_a_request_on_a_new_connection_is_sent_once() -> None:
    setting = Setting()
    asked = setting.ask()
    setting.servers.all[0].leave()
    assert len(setting.servers.all) == 1
    assert reason_of(asked.problem) == "the connection was closed before the answer"


def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    setting = Setting()
    setting.ask()
    setting.servers.all[0].say(OK)
    asked = setting.ask()
    setting.servers.all[0].say(OK[:5])
    setting.servers.all[0].leave()
    assert len(setting.servers.all) == 1
    assert reason_of(asked.problem) == "the connection broke in the middle of the answer"


def test_a_body_that_breaks_off_is_not_whole() -> None:
    setting = Setting()
    asked = setting.ask()
    setting.servers.all[0].say(OK[:-1])
    setting.servers.all[0].leave()
    assert asked.reader.end is not None
    assert not asked.reader.is_whole
    assert reason_of(asked.reader.end.value) == "the connection broke in the middle of the answer"


@pytest.mark.parametrize(
    "answer",
    [OK + b"x", OK.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"), OK.replace(b"1.1", b"1.0")],
    ids=["more bytes than announced", "the server closes", "HTTP/1.0"],
)
def test_some_connections_are_not_used_again(answer: bytes) -> None:
    setting = Setting()
    asked = setting.ask()
    setting.servers.all[0].say(answer)
    assert (asked.reader.data, asked.reader.is_whole) == (b"abc", True)
    assert setting.servers.all[0].aborted
    setting.ask()
    assert len(setting.servers.all) == 2


def test_a_server_that_speaks_unasked_is_cut() -> None:
    setting = Setting()
    setting.ask()
    [server] = setting.servers.all
    server.say(OK)
    server.say(OK)
    assert server.aborted
    setting.ask()
    assert len(setting.servers.all) == 2


def test_idle_connections_end_after_some_time_or_if_there_are_many() -> None:
    setting = Setting(most_idle=1)
    setting.ask()
    setting.ask()
    for server in setting.servers.all:
        server.say(OK)
    assert [server.aborted for server in setting.servers.all] == [False, True]
    setting.clock.advance(IDLE_S)
    assert setting.servers.all[0].aborted
    assert not setting.clock.getDelayedCalls()


def test_a_connection_that_ends_while_it_is_idle_is_forgotten() -> None:
    setting = Setting()
    setting.ask()
    setting.servers.all[0].say(OK)
    setting.servers.all[0].leave()
    assert not setting.clock.getDelayedCalls()
    setting.ask()
    assert len(setting.servers.all) == 2


def test_who_cancels_a_request_ends_its_connection() -> None:
    setting = Setting()
    asked = setting.ask()
    asked.asking.cancel()
    assert isinstance(asked.problem, CancelledError)
    assert setting.servers.all[0].aborted
    setting.servers.all[0].leave()


def test_a_reader_may_end_the_connection() -> None:
    setting = Setting()
    asked = setting.ask()
    [server] = setting.servers.all
    server.say(OK[:-1])
    asked.reader.transport.loseConnection()
    assert server.aborted
    server.say(OK[-1:])
    assert asked.reader.data == b"ab"
    server.leave()
    assert asked.reader.end is not None
    assert not asked.reader.is_whole


def test_no_connection_of_before_is_used_after_they_are_renewed() -> None:
    setting = Setting()
    setting.ask()
    setting.ask()
    setting.servers.all[0].say(OK)
    renewed = setting.gets.renew()
    assert [server.aborted for server in setting.servers.all] == [True, False]
    assert not renewed.called
    setting.servers.all[0].leave()
    assert renewed.called
    setting.servers.all[1].say(OK)  # it was in use
    assert setting.servers.all[1].aborted
    setting.ask()
    assert len(setting.servers.all) == 3


def test_nothing_is_kept_after_the_end() -> None:
    setting = Setting()
    setting.ask()
    setting.ask()
    setting.servers.all[0].say(OK)
    closed = setting.gets.close()
    setting.servers.all[0].leave()
    assert closed.called
    setting.servers.all[1].say(OK)
    assert setting.servers.all[1].aborted
    assert not setting.clock.getDelayedCalls()


@pytest.mark.parametrize("idle", [True, False])
def test_another_client_gets_an_idle_connection_or_a_new_one(idle: bool) -> None:
    setting = Setting()
    setting.ask()
    if idle:
        setting.servers.all[0].say(OK)
    other = Reader()
    factory = Factory()
    factory.protocol = lambda: other  # type: ignore[assignment]
    connected: list[object] = []
    Reusing(setting.gets, setting.servers).connect(factory).addCallback(connected.append)  # type: ignore[arg-type]
    assert connected == [other]
    server = setting.servers.all[0 if idle else 1]
    assert other.transport is server
    server.say(b"hello")
    assert other.data == b"hello"
    setting.ask()
    assert setting.servers.all[-1] is not server
    server.leave()
    assert other.end is not None
