"""The memory that each connection may use shrinks when there are many connections."""

from __future__ import annotations

import socket
import termios
import tracemalloc
from array import array
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import protocol
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from storaged.http import BUFFER_SIZE, IRequest, StreamingResource, StreamingSite
from storaged.http.reading import read_to_measure
from storaged.parts.format import stored_size
from storaged.system.filesystem import OSFilesystem
from tests.cluster.waiting import eventually
from tests.contract.nodes import started_node
from tests.contract.parts import UNIT

KIB = 1024


class Unfound(StreamingResource):
    """Answers each request with 404."""

    async def respond(self, request: IRequest) -> None:
        request.setResponseCode(404)
        request.finish()


@pytest_twisted.ensureDeferred
async def test_each_connection_of_a_site_buffers_less_where_they_are_many() -> None:
    from twisted.internet import reactor

    site = StreamingSite(Unfound(), reactor, idle_timeout_s=60, body_timeout_s=60)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
    there = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    factory = protocol.Factory.forProtocol(protocol.Protocol)
    factory.noisy = False

    async def connect(count: int) -> list[protocol.Protocol]:
        clients = await gatherResults([there.connect(factory) for _ in range(count)])
        for client in clients:
            client.transport.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return clients

    def sizes() -> list[int]:
        return [each.transport.bufferSize for each in site.connections() if each.begun]

    few = await connect(30)
    await eventually(lambda: sizes() == [BUFFER_SIZE] * 30)
    many = await connect(270)
    await eventually(lambda: len(sizes()) == 300)
    assert sum(sizes()) <= 32 * KIB * KIB
    for client in many:
        client.transport.loseConnection()
    await eventually(lambda: sizes() == [BUFFER_SIZE] * 30)
    for client in few:
        client.transport.loseConnection()
    await eventually(lambda: not sizes())
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_read_takes_a_block_of_the_size_of_what_has_arrived() -> None:
    from twisted.internet import reactor

    blocks: list[int] = []
    lost: Deferred[bool] = Deferred()

    class Reader(protocol.Protocol):
        def connectionMade(self) -> None:
            self.transport.bufferSize = BUFFER_SIZE
            read_to_measure(self.transport)

        def dataReceived(self, data: bytes) -> None:
            assert data == b"a" * len(data)
            blocks.append(tracemalloc.get_traced_memory()[1] - before)

        def connectionLost(self, reason: Failure) -> None:
            lost.callback(reason.check(ConnectionDone) is not None)

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(protocol.Factory.forProtocol(Reader))
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            client.sendall(b"a" * 3000)
            await eventually(lambda: bool(blocks))
        finally:
            tracemalloc.stop()
    assert max(blocks) < BUFFER_SIZE / 2
    assert await lost
    await port.stopListening()


def waiting(connection: socket.socket) -> int:
    """Return how many bytes have arrived, and were not read."""
    count = array("i", [0])
    ioctl(connection, termios.FIONREAD, count)
    return count[0]


@implementer(IConsumer)
class Pieces:
    """Takes a body when it is told to, and keeps how large its pieces were."""

    def __init__(self) -> None:
        self.producer: Any = None
        self.sizes: list[int] = []

    def registerProducer(self, producer: Any, _streaming: bool) -> None:
        self.producer = producer
        producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Take note of the end."""

    def write(self, data: bytes) -> None:
        self.sizes.append(len(data))


@pytest.mark.parametrize("framing", [b"Content-Length: 61440\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
@pytest_twisted.ensureDeferred
async def test_a_large_body_that_has_arrived_is_one_piece(framing: bytes) -> None:
    from twisted.internet import reactor

    pieces = Pieces()

    class Taking(StreamingResource):
        async def respond(self, request: IRequest) -> None:
            await request.body.deliver(pieces)
            request.finish()

    site = StreamingSite(Taking(), reactor, idle_timeout_s=60, body_timeout_s=60)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
    body = b"a" * 61440 if b"Length" in framing else b"F000\r\n" + b"a" * 61440 + b"\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\n" + framing)
        await eventually(lambda: pieces.producer is not None)
        client.sendall(body)
        arrived = site.connections()[0].transport.socket
        await eventually(lambda: waiting(arrived) == len(body))
        pieces.producer.resumeProducing()
        await eventually(lambda: sum(pieces.sizes) == 61440)
    assert pieces.sizes == [61440]
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_parts_on_their_way_to_nodes_share_a_window_with_those_that_come(
    tmp_path: Path, pool: ThreadPool
) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as store:
        window = store._connections.window
        writers = [await store.create(f"{number:032x}.0", stored_size(UNIT, UNIT)) for number in range(100)]
        assert window.size < BUFFER_SIZE
        for writer in writers:
            await writer.abort()
        assert window.size == BUFFER_SIZE
