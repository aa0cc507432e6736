"""What a part store at the other end of a connection promises beyond the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.parts.errors import NodeUnavailable
from storaged.system.filesystem import OSFilesystem
from tests.cluster.harm import HarmedFilesystem
from tests.cluster.waiting import eventually
from tests.contract.nodes import started_node
from tests.contract.parts import PART, encode, put


@pytest.fixture
def filesystem(pool: ThreadPool) -> Iterator[HarmedFilesystem]:
    made = HarmedFilesystem()
    yield made
    made.release()  # a test that failed must not keep a thread of the pool


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
async def test_a_node_that_does_not_answer_is_not_waited_for_long(
    tmp_path: Path, pool: ThreadPool, filesystem: HarmedFilesystem
) -> None:
    async with started_node(tmp_path, filesystem, pool, Clock(), patience_s=0.1) as store:
        await put(store, PART, [encode(PART, b"abc")])
        filesystem.hold("open")
        for ask in (lambda: store.open(PART, None), lambda: store.stat(PART)):
            with pytest.raises(NodeUnavailable, match=r"node n1: no answer in 0\.1 s"):
                await ask()
        filesystem.release()


@pytest_twisted.ensureDeferred
async def test_a_node_that_cannot_be_reached_says_why(tmp_path: Path, pool: ThreadPool) -> None:
    async with started_node(tmp_path, OSFilesystem(), pool, Clock()) as store:
        await store.info()
    for ask in (lambda: store.stat(PART), lambda: store.create(PART, None)):
        with pytest.raises(NodeUnavailable, match="node n1: Connection was refused"):
            await ask()
