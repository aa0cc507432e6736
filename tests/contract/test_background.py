"""Large answers are sent by a thread; a client must see no difference except speed."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from storaged.http import (
    Background,
    BodyBroken,
    IObservedRequest,
    IRequest,
    StreamingResource,
    StreamingSite,
    send_body,
)
from storaged.http.linger import LINGER_S
from storaged.system.buffers import Piece
from tests.cluster.waiting import eventually

MIB = 1024 * 1024
BODY = os.urandom(MIB) * 24
"""More than all buffers in between hold."""


class HeldPool:
    """A pool whose calls are made when the test decides.

    :ivar made: how many were asked for.
    :ivar calls: those that were not made yet.
    """

    def __init__(self) -> None:
        self.made = 0
        self.calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def callInThread(self, call: Callable[..., object], *arguments: Any) -> None:
        """Keep a call."""
        self.made += 1
        self.calls.append((call, arguments))

    def run_first(self) -> None:
        """Make the call that was kept first."""
        call, arguments = self.calls.pop(0)
        call(*arguments)

    def run(self) -> None:
        """Make the calls that are kept."""
        calls, self.calls = self.calls, []
        for call, arguments in calls:
            call(*arguments)


class Client(Protocol):
    """A client that reads all it gets, unless it is paused.

    :ivar got: what it got.
    :ivar ended: whether the connection has ended.
    """

    transport: Any

    def __init__(self) -> None:
        self.got = bytearray()
        self.ended = False

    def dataReceived(self, data: bytes) -> None:
        """Keep what came."""
        self.got += data

    def connectionLost(self, reason: Failure | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Note the end."""
        self.ended = True

    def ask(self, path: str, more: str = "") -> None:
        """Send a request."""
        self.transport.write(f"GET /{path} HTTP/1.1\r\nHost: s\r\n{more}\r\n".encode())


class Answers(StreamingResource):
    """Answers with as many MiB of `BODY` as the path says.

    :ivar outcomes: how the answers have ended.
    :ivar cut: makes the pieces.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[str] = []
        self.cut: Callable[[int], Piece] = lambda start: BODY[start : start + MIB]

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        size = int(request.uri[1:]) * MIB
        request.setHeader("Content-Length", str(size))
        pieces = iter([self.cut(start) for start in range(0, size, MIB)])

        def read() -> Deferred[Sequence[Piece]]:
            piece = next(pieces, None)
            done: Deferred[Sequence[Piece]] = Deferred()
            done.callback([] if piece is None else [piece])
            return done

        try:
            await send_body(request, read)
            self.outcomes.append("whole")
            request.finish()
        except BodyBroken:
            self.outcomes.append("broken")
            raise


class Refusals:
    """Notes the refusals of a site.

    :ivar statuses: their statuses.
    """

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def began(self, request: IObservedRequest) -> None:
        """Do nothing."""

    def ended(self, request: IObservedRequest, *, whole: bool) -> None:
        """Do nothing."""

    def refused(self, status: int, peer: str) -> None:  # noqa: ARG002
        """Note a refusal."""
        self.statuses.append(status)


class Serving:
    """A site, and what its thread does.

    :param clock: tells the site how time passes; None for the reactor.
    :ivar client: a connected client.
    """

    def __init__(self, pool: Any, clock: Clock | None = None) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.background = Background(reactor, pool)
        self.answers = Answers()
        self.refusals = Refusals()
        self.site = StreamingSite(
            self.answers,
            clock or reactor,
            idle_timeout_s=60,
            body_timeout_s=60,
            observer=self.refusals,
            background=self.background,
        )
        self.client = Client()
        self.port = 0

    async def connect(self, port: int) -> None:
        """Connect the client."""
        await connectProtocol(TCP4ClientEndpoint(self.reactor, "127.0.0.1", port), self.client)
        await eventually(self.site.connections)
        (connection,) = self.site.connections()
        # Otherwise the kernel could take a whole answer at once.
        connection.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        self.client.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)

    def bodies(self) -> list[bytes]:
        """Return the bodies of the answers that came, also of the one that is not whole yet."""
        rest, bodies = bytes(self.client.got), []
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
            bodies.append(rest[:size])
            rest = rest[size:]
        return bodies

    async def has(self, *sizes: int) -> None:
        """Wait for answers of so many MiB."""
        heads = len(sizes) * 60
        await eventually(lambda: len(self.client.got) > sum(sizes) * MIB + heads)
        await eventually(lambda: list(map(len, self.bodies())) == [size * MIB for size in sizes])
        assert self.bodies() == [BODY[: size * MIB] for size in sizes]


@asynccontextmanager
async def serving(pool: Any, clock: Clock | None = None) -> AsyncIterator[Serving]:
    served = Serving(pool, clock)
    port = served.reactor.listenTCP(0, served.site, interface="127.0.0.1")
    served.port = port.getHost().port
    await served.connect(served.port)
    try:
        yield served
    finally:
        await port.stopListening()
        served.client.transport.abortConnection()
        await eventually(lambda: served.client.ended)
        await eventually(lambda: not served.site.connections())
    assert served.background.held == 0
    if isinstance(pool, HeldPool):
        pool.run()
        assert (served.background.users, served.background.waiting) == (0, 0)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("end", ["", "Connection: close\r\n"])
async def test_answers_come_whole_and_in_order(pool: ThreadPool, end: str) -> None:
    async with serving(pool) as served:
        for path in ("24", "0", "3"):
            served.client.ask(path)
        served.client.ask("2", end)
        await served.has(24, 0, 3, 2)
        if end:
            await eventually(lambda: served.client.ended)
        else:
            served.client.ask("1")
            await served.has(24, 0, 3, 2, 1)


@pytest_twisted.ensureDeferred
async def test_a_client_that_waits_in_the_middle_gets_the_rest(pool: ThreadPool) -> None:
    async with serving(pool) as served:
        served.client.transport.pauseProducing()
        served.client.ask("24")
        # The thread has it until the kernel takes no more.
        await eventually(lambda: served.background.held >= MIB)
        assert not served.answers.outcomes
        served.client.transport.resumeProducing()
        await served.has(24)


@pytest_twisted.ensureDeferred
async def test_what_is_written_while_the_thread_sends_comes_after_it() -> None:
    held = HeldPool()
    async with serving(held) as served:
        served.client.ask("1")
        await eventually(lambda: served.answers.outcomes == ["whole"])
        assert held.made == 1
        served.client.transport.write(b"nonsense\r\n\r\n")  # refused by the transport itself, which then closes
        await eventually(lambda: served.refusals.statuses == [400])
        assert not served.client.got
        while not served.client.ended:
            held.run()
            await eventually(lambda: held.calls or served.client.ended)
        head, _, rest = bytes(served.client.got).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert rest[:MIB] == BODY[:MIB]
        assert rest[MIB:].startswith(b"HTTP/1.1 400")


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_while_the_thread_has_its_bytes_is_forgotten() -> None:
    held = HeldPool()
    async with serving(held) as served:
        before = _sockets()
        served.client.ask("24")
        await eventually(lambda: held.made == 1)
        assert served.background.held >= MIB
        served.client.transport.abortConnection()
        await eventually(lambda: served.answers.outcomes == ["broken"])
        assert served.background.held == 0
        held.run()
        assert _sockets() == before - 2


@pytest_twisted.ensureDeferred
async def test_the_thread_finds_a_connection_broken() -> None:
    held = HeldPool()
    async with serving(held) as served:
        served.client.ask("24")
        await eventually(lambda: held.made == 1)
        (connection,) = served.site.connections()
        connection.transport.socket.shutdown(socket.SHUT_WR)
        held.run()
        await eventually(lambda: served.answers.outcomes == ["broken"])


@pytest_twisted.ensureDeferred
async def test_a_connection_ends_if_the_thread_cannot_send_for_another_reason() -> None:
    held = HeldPool()
    async with serving(held) as served:
        served.answers.cut = lambda start: memoryview(BODY)[start : start + 2 * MIB : 2]  # no buffer for the kernel
        served.client.ask("2")
        await eventually(lambda: held.made == 1)
        held.run()
        await eventually(lambda: served.client.ended)
        assert served.background.users == 0


@pytest_twisted.ensureDeferred
async def test_small_answers_are_not_the_threads() -> None:
    held = HeldPool()
    async with serving(held) as served:
        served.client.ask("0")
        await eventually(lambda: served.answers.outcomes == ["whole"] and served.client.got)
        assert held.made == 0


@pytest_twisted.ensureDeferred
async def test_while_much_waits_for_the_thread_others_send_by_themselves() -> None:
    held = HeldPool()
    async with serving(held) as served:
        served.background.held = 16 * MIB
        served.client.ask("24")
        await served.has(24)
        assert held.made == 0
        served.background.held -= 16 * MIB


@pytest_twisted.ensureDeferred
async def test_connections_send_by_themselves_while_many_have_descriptors_with_the_thread() -> None:
    held = HeldPool()
    async with serving(held) as served:
        served.background.users = 32
        served.client.ask("24")
        await served.has(24)
        assert held.made == 0
        served.background.users -= 32


@pytest_twisted.ensureDeferred
async def test_the_thread_serves_connections_by_turns() -> None:
    held, other = HeldPool(), Client()
    async with serving(held) as served:
        await connectProtocol(TCP4ClientEndpoint(served.reactor, "127.0.0.1", served.port), other)
        try:
            served.client.ask("24")
            await eventually(lambda: held.made == 1)
            other.ask("24")
            await eventually(lambda: held.made == 2)
            held.run_first()
            # It has sent a little, and continues after the other connection.
            await eventually(lambda: served.client.got)
            assert (held.made, len(held.calls)) == (3, 2)
            assert not other.got
            held.run_first()
            await eventually(lambda: other.got)
        finally:
            other.transport.abortConnection()
            await eventually(lambda: other.ended)


@pytest_twisted.ensureDeferred
async def test_a_last_answer_that_waits_for_the_thread_is_not_cut() -> None:
    held, clock = HeldPool(), Clock()
    async with serving(held, clock) as served:
        served.client.ask("1", "Connection: close\r\n")
        await eventually(lambda: served.answers.outcomes == ["whole"])
        assert held.made == 1
        clock.advance(LINGER_S)
        while not served.client.ended:
            held.run()
            await eventually(lambda: held.calls or served.client.ended)
        assert served.bodies() == [BODY[:MIB]]


def _sockets() -> int:
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of this list
            count += str(link.readlink()).startswith("socket:")
    return count
