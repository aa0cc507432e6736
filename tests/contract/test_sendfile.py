"""Nodes answer reads inside the kernel; a front must see no difference except speed."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.python.threadpool import ThreadPool

from storaged.http import IRequest, StreamingResource, StreamingSite, send_file
from storaged.parts.client import RemotePartStore
from storaged.parts.errors import NodeUnavailable
from storaged.parts.format import PartEncoder, PartId
from storaged.system.filesystem import OSFilesystem
from storaged.system.ranges import Span
from storaged.system.read_ahead import WINDOW, ReadAhead
from tests.cluster.harm import HarmedFilesystem
from tests.cluster.waiting import eventually
from tests.contract.nodes import started_node
from tests.contract.parts import read_on

PART = PartId("5e" * 16, 1)
SIZE = 24_000_000  # more than all buffers in between hold


@pytest_twisted.async_yield_fixture
async def node(tmp_path: Path, pool: ThreadPool) -> AsyncIterator[RemotePartStore]:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as store:
        yield store


async def stored_part(node: RemotePartStore) -> bytes:
    encoder = PartEncoder(PART, 65536)
    stored = b"".join([*encoder.encode(os.urandom(SIZE)), *encoder.finish()])
    writer = await node.create(str(PART), len(stored))
    writer.write(stored)
    await writer.finish()
    return stored


@pytest_twisted.ensureDeferred
async def test_many_readers_get_their_spans_at_once(node: RemotePartStore) -> None:
    stored = await stored_part(node)
    spans = [Span(0, len(stored)), Span(7, 8), Span(1_000_001, 20_000_002), Span(len(stored) - 5, len(stored))] * 3
    readers = [await node.open(str(PART), span) for span in spans]
    read = await gatherResults([Deferred.fromCoroutine(read_on(reader)) for reader in readers])
    assert read == [stored[span.start : span.stop] for span in spans]


@pytest_twisted.ensureDeferred
async def test_reading_goes_on_when_the_part_is_removed(node: RemotePartStore) -> None:
    stored = await stored_part(node)
    reader = await node.open(str(PART), None)
    assert await node.remove(str(PART))
    assert await read_on(reader) == stored


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_cut_short_meanwhile_is_a_failure_and_no_short_answer(
    node: RemotePartStore, tmp_path: Path
) -> None:
    await stored_part(node)
    reader = await node.open(str(PART), None)
    os.truncate(_only_part(tmp_path), 65)
    with pytest.raises(NodeUnavailable):
        await read_on(reader)


@pytest_twisted.ensureDeferred
async def test_readers_that_leave_in_the_middle_leave_no_descriptor_behind(node: RemotePartStore) -> None:
    await stored_part(node)
    readers = [await node.open(str(PART), None) for _ in range(5)]
    for reader in readers:
        await reader.read()
        reader.close()
    await eventually(lambda: not _descriptors_of_parts())


@pytest_twisted.ensureDeferred
async def test_a_reader_that_leaves_before_the_part_is_open_is_no_fault_of_the_node(
    tmp_path: Path, pool: ThreadPool
) -> None:
    filesystem, faults = HarmedFilesystem(), []

    def observe(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.error:
            faults.append(event)

    async with started_node(tmp_path, filesystem, pool, Clock()) as node:
        await stored_part(node)
        filesystem.hold("open")
        opening = node.open(str(PART), Span(0, 1000))
        await eventually(lambda: filesystem.waiting, "a part that is being opened")
        opening.addErrback(lambda failure: failure.trap(CancelledError)).cancel()
        await node.info()  # the node has learned of it when it answers a later request
        globalLogPublisher.addObserver(observe)
        try:
            filesystem.release()
            await eventually(lambda: not filesystem.waiting)
            await eventually(lambda: not _descriptors_of_parts())
            await node.info()
        finally:
            globalLogPublisher.removeObserver(observe)
    assert faults == []


class ColdFiles(ReadAhead):
    """Files of which nothing is cached; they are read into the cache when the test decides."""

    def __init__(self) -> None:
        self.fetches: list[tuple[int, int]] = []
        self.gate: Deferred[None] | None = None
        self.fault: Exception | None = None
        self.asked: Deferred[None] = Deferred()

    def is_cached(self, _file: int, _start: int, _stop: int) -> bool:
        return False

    def fetch(self, file: int, start: int, stop: int) -> Deferred[None]:
        os.fstat(file)
        self.fetches.append((start, stop))
        if not self.asked.called:
            self.asked.callback(None)
        if self.fault is not None:
            return fail(self.fault)
        fetched: Deferred[None] = Deferred()
        (self.gate or succeed(None)).addCallback(lambda _: fetched.callback(None))
        return fetched


@asynccontextmanager
async def cold_node(folder: Path, pool: ThreadPool) -> AsyncIterator[tuple[RemotePartStore, ColdFiles]]:
    cold = ColdFiles()
    async with started_node(folder, OSFilesystem(), pool, Clock(), read_ahead=cold) as store:
        yield store, cold


@pytest_twisted.ensureDeferred
async def test_what_is_not_cached_is_read_in_before_it_is_sent(tmp_path: Path, pool: ThreadPool) -> None:
    async with cold_node(tmp_path, pool) as (node, cold):
        stored = await stored_part(node)
        cold.gate = Deferred()
        reader = await node.open(str(PART), None)
        read = Deferred.fromCoroutine(read_on(reader))
        await cold.asked
        for _ in range(10):  # the node goes on with other things
            await node.info()
        assert len(cold.fetches) == 1
        assert not read.called
        cold.gate.callback(None)
        assert await read == stored
        reached = 0
        for start, stop in cold.fetches:
            assert start <= reached < stop <= start + WINDOW
            reached = stop
        assert reached == len(stored)


@pytest_twisted.ensureDeferred
async def test_a_reader_that_leaves_while_a_file_is_read_in_is_forgotten(tmp_path: Path, pool: ThreadPool) -> None:
    async with cold_node(tmp_path, pool) as (node, cold):
        await stored_part(node)
        before = _descriptors_of_parts()
        cold.gate = Deferred()
        reader = await node.open(str(PART), None)
        await cold.asked
        reader.close()
        await eventually(lambda: _descriptors_of_parts() == before)
        cold.gate.callback(None)
        assert len(cold.fetches) == 1
        cold.gate = None
        await read_on(await node.open(str(PART), Span(0, 1)))


@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_read_in_is_a_failure(tmp_path: Path, pool: ThreadPool) -> None:
    async with cold_node(tmp_path, pool) as (node, cold):
        await stored_part(node)
        cold.fault = OSError(errno.EIO, "Input/output error")
        with pytest.raises(NodeUnavailable):
            await read_on(await node.open(str(PART), None))


class ToldFiles(ReadAhead):
    """Files of which all is cached; it tells which spans were about to be sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def is_cached(self, _file: int, start: int, stop: int) -> bool:
        self.spans.append(Span(start, stop))
        return True


@pytest_twisted.ensureDeferred
async def test_a_large_answer_begins_with_a_unit_and_a_smaller_one_does_not(tmp_path: Path, pool: ThreadPool) -> None:
    told = ToldFiles()
    async with started_node(tmp_path, OSFilesystem(), pool, Clock(), read_ahead=told) as node:
        stored = await stored_part(node)
        large, smaller = Span(7, len(stored)), Span(7, 7 + 4 * 1024 * 1024 - 1)
        for span, first in ((large, 256 * 1024 + 64), (smaller, 512 * 1024)):
            told.spans.clear()
            assert await read_on(await node.open(str(PART), span)) == stored[span.start : span.stop]
            assert told.spans[0] == Span(7, 7 + first)


class Sending(StreamingResource):
    """Sends a file; a test can cancel the sending."""

    def __init__(self, file: int, read_ahead: ReadAhead) -> None:
        super().__init__()
        self._file = file
        self._read_ahead = read_ahead
        self.sending: Deferred[None] | None = None
        self.outcome: str = ""

    async def respond(self, request: IRequest) -> None:
        request.write(b"")
        self.sending = send_file(request, self._file, Span(0, SIZE), self._read_ahead)
        try:
            await self.sending
            self.outcome = "sent"
        except CancelledError:
            self.outcome = "cancelled"
        request.abort()


@pytest_twisted.ensureDeferred
async def test_a_sending_that_is_cancelled_has_not_succeeded(tmp_path: Path) -> None:
    from twisted.internet import reactor

    lost: Deferred[None] = Deferred()

    class Asking(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.write(b"GET / HTTP/1.1\r\nHost: n\r\n\r\n")

        def connectionLost(self, _reason: object = None) -> None:
            lost.callback(None)

    cold = ColdFiles()
    cold.gate = Deferred()
    with (tmp_path / "f").open("w+b") as file:
        file.truncate(SIZE)
        resource = Sending(file.fileno(), cold)
        site = StreamingSite(resource, reactor, idle_timeout_s=60, body_timeout_s=60)
        port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        await connectProtocol(endpoint, Asking())
        await cold.asked
        assert resource.sending is not None
        resource.sending.cancel()
        assert resource.outcome == "cancelled"
        await lost
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_what_was_read_in_is_cached_and_no_descriptor_is_left(tmp_path: Path, pool: ThreadPool) -> None:
    from twisted.internet import reactor

    read_ahead = ReadAhead(pool, reactor)  # type: ignore[arg-type]
    path = tmp_path / "parts"
    path.mkdir()
    with (path / "f").open("w+b") as file:
        file.write(os.urandom(3 * WINDOW))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        before = _descriptors_of_parts()
        await read_ahead.fetch(file.fileno(), 0, WINDOW)
        assert read_ahead.is_cached(file.fileno(), 0, WINDOW)
        await read_ahead.fetch(file.fileno(), 3 * WINDOW - 1, 4 * WINDOW)  # behind its end
        assert _descriptors_of_parts() == before
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 3 * WINDOW


def _only_part(folder: Path) -> Path:
    (path,) = folder.glob("parts/*/*")
    return path


def _descriptors_of_parts() -> int:
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # a thread has closed it since it was listed
            count += "/parts/" in str(link.readlink())
    return count
