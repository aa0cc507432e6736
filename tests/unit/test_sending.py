"""Sending the body of an answer: what is written together, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from storaged.http import BodyBroken, Bucket, IRequest, Pace, StreamingResource, StreamingSite, send_body
from storaged.system.buffers import Piece
from tests.fired import fired

UNIT = 256 * 1024


class Failed(Exception):
    """A read has failed."""


class Transport(StringTransport):
    """Keeps each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def writeSequence(self, data: Any) -> None:
        self.writes.append(b"".join(data))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""


class Reads:
    """Gives each of some results in turn; those that are None when the test decides."""

    def __init__(self, results: Sequence[bytes | Exception | None]) -> None:
        self._results = list(results)
        self.asked = 0
        self.pending: Deferred[Sequence[Piece]] | None = None
        self.cancelled = False

    def read(self) -> Deferred[Sequence[Piece]]:
        assert self.pending is None or self.pending.called, "read again before the last call has fired"
        self.asked += 1
        result = self._results.pop(0) if self._results else b""
        if isinstance(result, Exception):
            return fail(result)
        if result is None:
            self.pending = Deferred(lambda _: setattr(self, "cancelled", True))
            return self.pending
        return succeed([result] if result else [])


class Sends(StreamingResource):
    """Sends the body of each answer, and keeps its end."""

    def __init__(self, reads: Reads, pace: Pace | None) -> None:
        super().__init__()
        self._reads = reads
        self._pace = pace
        self.sending: Deferred[None] | None = None

    async def respond(self, request: IRequest) -> None:
        request.setHeader("Content-Length", "1000000000")
        if self._pace is not None:
            request.limit_pace(self._pace)
        request.write(b"")
        self.sending = Deferred.fromCoroutine(send_body(request, self._reads.read))


class Setting:
    def __init__(self, *results: bytes | Exception | None, pace: Pace | None = None) -> None:
        self.reads = Reads(results)
        self.clock = Clock()
        resource = Sends(self.reads, pace)
        site = StreamingSite(resource, self.clock, idle_timeout_s=60, body_timeout_s=60)
        self.connection = site.buildProtocol(None)
        self.transport = Transport()
        self.connection.makeConnection(self.transport)
        self.connection.dataReceived(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert resource.sending is not None
        self.sending = resource.sending

    def written(self) -> list[int]:
        """The sizes of the writes, without the head."""
        return [len(data) for data in self.transport.writes if not data.startswith(b"HTTP/")]

    def problem(self) -> BaseException | None:
        """The error with which the sending has ended."""
        failures: list[Failure] = []
        self.sending.addErrback(failures.append)
        [failure] = failures
        return failure.value


def test_what_can_be_read_at_once_is_written_together_up_to_the_window() -> None:
    setting = Setting(*[bytes(UNIT)] * 6)
    assert setting.written() == [4 * UNIT, 2 * UNIT]
    assert fired(setting.sending) is None


def test_nothing_that_is_there_waits_for_what_is_not() -> None:
    setting = Setting(b"a", b"b", None, b"d")
    assert setting.written() == [2]
    assert setting.reads.pending is not None
    setting.reads.pending.callback([b"c"])
    assert setting.written() == [2, 2]
    assert fired(setting.sending) is None


def test_the_bytes_before_an_error_are_written() -> None:
    setting = Setting(b"a", b"b", Failed())
    assert setting.written() == [2]
    assert isinstance(setting.problem(), Failed)


def test_nothing_is_read_for_a_client_that_takes_nothing_but_the_read_in_progress() -> None:
    setting = Setting(*[bytes(UNIT)] * 3, None, *[bytes(UNIT)] * 100)
    setting.connection.flow.pauseProducing()
    assert setting.reads.pending is not None
    setting.reads.pending.callback([bytes(UNIT)])
    assert (setting.written(), setting.reads.asked) == ([3 * UNIT, UNIT], 4)
    setting.connection.flow.resumeProducing()
    assert setting.reads.asked > 100


def test_a_client_that_leaves_ends_the_read_in_progress() -> None:
    setting = Setting(b"a", None)
    setting.connection.connectionLost(Failure(ConnectionDone()))
    assert setting.reads.cancelled
    assert isinstance(setting.problem(), BodyBroken)


def test_a_client_that_leaves_while_it_takes_nothing_ends_the_read_ahead() -> None:
    setting = Setting(*[bytes(UNIT)] * 3, None)
    setting.connection.flow.pauseProducing()
    setting.connection.connectionLost(Failure(ConnectionDone()))
    assert setting.reads.cancelled
    assert isinstance(setting.problem(), BodyBroken)


def test_a_client_with_a_limited_rate_gets_no_more_at_once_than_a_second_of_it() -> None:
    clock = Clock()
    bucket = Bucket(UNIT, clock.seconds)
    setting = Setting(*[bytes(UNIT)] * 4, pace=Pace([], [bucket], UNIT, clock))
    while not setting.sending.called:
        clock.advance(1)
    assert setting.written() == [UNIT] * 4
