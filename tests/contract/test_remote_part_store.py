"""The promises of a remote part store beyond the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.client import ResponseDone

from storaged.http import NodeConnections
from storaged.parts import wire
from storaged.parts.client import RemotePartStore
from storaged.parts.client.answers import read_all
from storaged.parts.errors import NodeUnavailable
from storaged.system.filesystem import OSFilesystem
from tests.cluster.harm import HarmedFilesystem
from tests.cluster.waiting import eventually
from tests.contract.greeted import Greeted
from tests.contract.nodes import KEY, started_node
from tests.contract.parts import CLUSTER, NODE_ID, PART, encode, put

DATA = encode(PART, b"abc")


@pytest.fixture
def filesystem(pool: ThreadPool) -> Iterator[HarmedFilesystem]:
    made = HarmedFilesystem()
    yield made
    made.release()  # a test that failed must not block a thread of the pool


@pytest.mark.parametrize("warm", [True, False], ids=["while it answers", "while it connects"])
@pytest_twisted.ensureDeferred
async def test_who_cancels_a_question_has_nothing_against_the_node(
    tmp_path: Path, pool: ThreadPool, filesystem: HarmedFilesystem, warm: bool
) -> None:
    async with started_node(tmp_path, filesystem, pool, Clock()) as store:
        if warm:
            await put(store, PART, [encode(PART, b"abc")])
        filesystem.hold("open")
        for ask in (lambda: store.open(PART, None), lambda: store.stat(PART)):
            asked = ask()
            if warm:
                await eventually(lambda: filesystem.waiting > 0)
            asked.cancel()
            with pytest.raises(CancelledError):
                await asked
            filesystem.release()
            await eventually(lambda: filesystem.waiting == 0)
            filesystem.hold("open")
        filesystem.release()


@pytest_twisted.ensureDeferred
async def test_pending_requests_end_when_the_node_is_known_not_to_answer_and_later_ones_go_on(
    tmp_path: Path, pool: ThreadPool, filesystem: HarmedFilesystem
) -> None:
    from twisted.internet import reactor

    clock: Any = reactor
    async with started_node(tmp_path, filesystem, pool, Clock()) as store:
        await put(store, PART, [encode(PART, b"abc")])
        filesystem.hold("open")
        before = clock.seconds()
        pending = [store.open(PART, None), store.stat(PART), store.get_all([PART])]
        await eventually(lambda: filesystem.waiting > 0)
        store.end_waits(before - 1, NodeUnavailable("is down"))
        assert not any(each.called for each in pending)
        store.end_waits(clock.seconds(), NodeUnavailable("is down"))
        for each in pending[:2]:
            with pytest.raises(NodeUnavailable, match="node n1: is down"):
                await each
        [outcome] = await pending[2]
        assert (type(outcome), str(outcome)) == (NodeUnavailable, "node n1: is down")
        filesystem.release()
        assert (await store.stat(PART)).part_id == PART


@pytest_twisted.ensureDeferred
async def test_a_node_that_does_not_answer_is_not_waited_for_long(
    tmp_path: Path, pool: ThreadPool, filesystem: HarmedFilesystem
) -> None:
    async with started_node(tmp_path, filesystem, pool, Clock(), patience_s=2) as store:
        await put(store, PART, [encode(PART, b"abc")])
        filesystem.hold("open")
        for ask in (lambda: store.open(PART, None), lambda: store.stat(PART)):
            with pytest.raises(NodeUnavailable, match=r"node n1: no answer in 2 s"):
                await ask()
        filesystem.release()


@pytest_twisted.ensureDeferred
async def test_a_node_that_cannot_be_reached_says_why(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as store:
        await store.info()
    for ask in (lambda: store.stat(PART), lambda: store.create(PART, None)):
        with pytest.raises(NodeUnavailable, match="node n1: the connection was refused"):
            await ask()


class Answers(Protocol):
    """A node that gives one answer to each request, after the end of the request."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._got = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._greeted = Greeted(KEY, NODE_ID, self.transport.write)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self._got += self._greeted.read(data)
        if self._got.endswith((DATA, b"0\r\n\r\n", wire.encode_pause(paused=True))):
            self.transport.write(self._answer)


def answering(answer: bytes) -> Factory:
    factory = Factory.forProtocol(partial(Answers, answer))  # type: ignore[arg-type]
    factory.noisy = False
    return factory


@asynccontextmanager
async def remote(answer: bytes) -> AsyncIterator[RemotePartStore]:
    """A node that gives this answer to each request."""
    from twisted.internet import reactor

    port = reactor.listenTCP(0, answering(answer), interface="127.0.0.1")  # type: ignore[attr-defined]
    connections = NodeConnections(reactor, connect_timeout_s=60, idle_timeout_s=60)
    url = f"http://127.0.0.1:{port.getHost().port}"
    try:
        yield RemotePartStore(NODE_ID, url, KEY, lambda: CLUSTER, connections, reactor, 5)  # type: ignore[arg-type]
    finally:
        await connections.close()
        await port.stopListening()


@pytest.mark.parametrize("announced", [True, False], ids=["of a known length", "of an unknown length"])
@pytest.mark.parametrize("size", ["1", str(len(DATA) + 1), f"-{len(DATA)}", f"+{len(DATA)}", f" {len(DATA)}0", "", "x"])
@pytest_twisted.ensureDeferred
async def test_a_part_is_not_stored_when_the_node_says_another_size(announced: bool, size: str) -> None:
    answer = f"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nSplitd-Stored: {size}\r\nSplitd-Modified-Ms: 1\r\n\r\n"
    async with remote(answer.encode()) as store:
        with pytest.raises(NodeUnavailable, match=r"bytes, \d+ were sent|without its size"):
            await put(store, PART, [DATA], len(DATA) if announced else None)


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_too_old_to_pause_its_scrub_is_told_of_in_words() -> None:
    said = "Splitd-Error: BadRequest: POST /v1/scrub: not in the part protocol"
    async with remote(f"HTTP/1.1 400 Bad Request\r\n{said}\r\nContent-Length: 0\r\n\r\n".encode()) as store:
        with pytest.raises(NodeUnavailable, match="node n1: its version of storaged cannot pause the scrub"):
            await store.pause_scrub(paused=True)


class Body:
    """An answer whose body comes when the test decides."""

    def __init__(self) -> None:
        self.protocol: Any = None

    def deliverBody(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(StringTransport())


@pytest.mark.parametrize("reason", [ResponseDone(), ConnectionLost()], ids=["whole", "broken"])
def test_a_reading_that_was_cancelled_may_come_to_its_end(reason: Exception) -> None:
    body = Body()
    reading = read_all(body)
    body.protocol.dataReceived(b"abc")
    failures: list[Failure] = []
    reading.addErrback(failures.append)
    reading.cancel()
    body.protocol.connectionLost(Failure(reason))
    assert [failure.type for failure in failures] == [CancelledError]
