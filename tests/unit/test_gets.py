"""GET requests to one server: what is kept, what is tried again, and what is refused."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from storaged.http import reason_of
from storaged.http.get_connection import GetAnswer
from storaged.http.gets import Gets

IDLE_S = 10
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
MALFORMED = [
    b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + 40_000 * b"a",
]


class Server(StringTransport):
    """The server's end of one connection."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def requests(self) -> list[bytes]:
        heads: list[bytes] = self.value().split(b"\r\n\r\n")[:-1]
        return heads

    def say(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def leave(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionAborted() if self.aborted else ConnectionDone()))


class Servers:
    """Accepts connections; the endpoint of the requests."""

    def __init__(self) -> None:
        self.all: list[Server] = []

    def connect(self, factory: Factory) -> Deferred[Any]:
        server = Server()
        server.protocol = factory.buildProtocol(None)
        self.all.append(server)
        server.protocol.makeConnection(server)
        return succeed(server.protocol)


class Reader(Protocol):
    """Takes a body."""

    transport: Any

    def __init__(self, *, pauses: bool = False) -> None:
        self.data = b""
        self.end: Failure | None = None
        self._pauses = pauses

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if self._pauses:
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.end = reason

    @property
    def is_whole(self) -> bool:
        return self.end is not None and self.end.check(ResponseDone) is not None


class Asked:
    """A request, and what has come of it."""

    def __init__(self, asking: Coroutine[Deferred[Any], Any, GetAnswer], reader: Reader | None = None) -> None:
        self.reader = reader or Reader()
        self.problem: BaseException | None = None
        self.answer: GetAnswer | None = None
        self.asking = Deferred.fromCoroutine(asking)
        self.asking.addCallbacks(self._answered, self._failed)

    def _answered(self, answer: GetAnswer) -> None:
        self.answer = answer
        answer.deliverBody(self.reader)

    def _failed(self, failure: Failure) -> None:
        self.problem = failure.value


class Setting:
    def __init__(self, most_idle: int = 4) -> None:
        self.servers = Servers()
        self.clock = Clock()
        self.gets = Gets(
            lambda: self.servers,  # type: ignore[arg-type,return-value]
            "node:1",
            self.clock,
            idle_timeout_s=IDLE_S,
            most_idle=lambda: most_idle,
        )

    def ask(self, path: str = "/a", reader: Reader | None = None, **headers: str) -> Asked:
        return Asked(self.gets.get(path, headers), reader)


def test_a_request_has_its_headers_and_line_ends_in_them_become_spaces() -> None:
    setting = Setting()
    setting.ask("/parts/x", Range="bytes=0-1", Bad="1\r\nInjected: 2")
    assert setting.servers.all[0].requests() == [
        b"GET /parts/x HTTP/1.1\r\nHost: node:1\r\nRange: bytes=0-1\r\nBad: 1 Injected: 2"
    ]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_an_answer_may_come_in_pieces_of_any_size(size: int) -> None:
    setting = Setting()
    asked = setting.ask()
    answer = (
        b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 206 Partial\r\nContent-Length: 3 \r\nX-A: 1\r\nx-a:\t2\r\n\r\nabc"
    )
    for start in range(0, len(answer), size):
        setting.servers.all[0].say(answer[start : start + size])
    assert asked.answer is not None
    assert (asked.answer.code, asked.answer.length) == (206, 3)
    assert asked.answer.headers.getRawHeaders("X-A") == ["1", "2"]
    assert (asked.answer.headers.hasHeader("x-A"), asked.answer.headers.getRawHeaders("X-B")) == (True, None)
    assert (asked.reader.data, asked.reader.is_whole) == (b"abc", True)


def test_a_connection_is_used_again_after_the_end_of_the_answer_and_not_before() -> None:
    setting = Setting()
    first = setting.ask()
    setting.servers.all[0].say(OK[:-1])
    setting.ask()
    assert len(setting.servers.all) == 2
    setting.servers.all[0].say(OK[-1:])
    assert first.reader.is_whole
    setting.ask("/b")
    assert len(setting.servers.all) == 2
    assert len(setting.servers.all[0].requests()) == 2


def test_a_reader_that_pauses_at_the_end_holds_up_no_later_request() -> None:
    setting = Setting()
    setting.ask(reader=Reader(pauses=True))
    [server] = setting.servers.all
    server.say(OK[:-1])
    assert server.producerState == "paused"
    server.say(OK[-1:])  # bytes that the kernel had read already
    assert server.producerState == "producing"
    later = setting.ask()
    server.say(OK)
    assert later.reader.is_whole


def test_a_reader_that_acts_late_does_not_touch_the_next_answer() -> None:
    setting = Setting()
    first = setting.ask()
    [server] = setting.servers.all
    server.say(OK)
    setting.ask()
    first.reader.transport.pauseProducing()
    first.reader.transport.loseConnection()
    assert (server.producerState, server.aborted) == ("producing", False)


def test_nothing_is_read_until_somebody_takes_the_body() -> None:
    setting = Setting()
    answers: list[GetAnswer] = []
    Deferred.fromCoroutine(setting.gets.get("/a", {})).addCallback(answers.append)
    [server] = setting.servers.all
    server.say(OK[:-2])
    assert server.producerState == "paused"
    reader = Reader()
    answers[0].deliverBody(reader)
    assert server.producerState == "producing"
    server.say(OK[-2:])
    assert (reader.data, reader.is_whole) == (b"abc", True)


def test_a_body_that_is_there_already_is_delivered_when_somebody_takes_it() -> None:
    setting = Setting()
    answers: list[GetAnswer] = []
    Deferred.fromCoroutine(setting.gets.get("/a", {})).addCallback(answers.append)
    setting.servers.all[0].say(OK)
    reader = Reader()
    answers[0].deliverBody(reader)
    assert (reader.data, reader.is_whole) == (b"abc", True)


def test_chunks_are_decoded() -> None:
    setting = Setting()
    asked = setting.ask()
    setting.servers.all[0].say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")
    assert asked.answer is not None
    assert asked.answer.length is None
    assert (asked.reader.data, asked.reader.is_whole) == (b"abc", True)
    setting.ask()
    assert len(setting.servers.all) == 1


def test_broken_chunks_end_the_answer_and_the_connection() -> None:
    setting = Setting()
    asked = setting.ask()
    [server] = setting.servers.all
    server.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
    assert server.aborted
    assert asked.reader.end is not None
    assert "a chunk should begin with its size" in reason_of(asked.reader.end.value)


@pytest.mark.parametrize("answer", MALFORMED)
def test_an_answer_that_is_not_understood_is_an_error_and_ends_the_connection(answer: bytes) -> None:
    setting = Setting()
    asked = setting.ask()
    [server] = setting.servers.all
    server.say(answer)
    assert asked.answer is None
    assert "answer" in reason_of(asked.problem)
    assert server.aborted
    server.say(OK)  # what had arrived already
    server.leave()


@pytest.mark.parametrize("code", [204, 304])
def test_some_answers_have_no_body(code: int) -> None:
    setting = Setting()
    asked = setting.ask()
    setting.servers.all[0].say(b"HTTP/1.1 %d So\r\n\r\n" % code)
    assert (asked.reader.data, asked.reader.is_whole) == (b"", True)
    setting.ask()
    assert len(setting.servers.all) == 1
