"""Nodes answer reads inside the kernel; a front must not be able to tell, but for the speed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.parts.client import RemotePartStore
from storaged.parts.errors import NodeUnavailable
from storaged.parts.format import PartEncoder, PartId
from storaged.system.filesystem import OSFilesystem
from storaged.system.ranges import Span
from tests.contract.nodes import started_node
from tests.contract.parts import read_on

PART = PartId("5e" * 16, 1)
SIZE = 24_000_000  # more than all buffers on the way hold


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
    await read_on(await node.open(str(PART), Span(0, 1)))
    before = _descriptors_of_parts()
    readers = [await node.open(str(PART), None) for _ in range(5)]
    for reader in readers:
        await reader.read()
        reader.close()
    # The node learns of it on another connection's turn: each answer below is one turn of the reactor and more.
    for _ in range(200):
        if _descriptors_of_parts() == before:
            break
        await node.info()
    assert _descriptors_of_parts() == before


def _only_part(folder: Path) -> Path:
    (path,) = folder.glob("parts/*/*")
    return path


def _descriptors_of_parts() -> int:
    return sum("/parts/" in str(link.resolve()) for link in Path("/proc/self/fd").iterdir())
