"""A stop at any moment of a start ends the start, and leaves nothing open."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater

from splitd.service import Front
from storaged.service import StorageServer
from storaged.system.filesystem import FolderLock
from storaged.system.settings import SettingsError
from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Fault, FaultyNetwork
from tests.cluster.raw import connect
from tests.cluster.waiting import eventually


def growing_counts() -> Iterator[int]:
    """Count from 0, at first each number, then in ever greater steps.

    How many turns a start takes depends on how long its calls in threads take, so no number is enough for all disks.
    """
    count = 0
    while True:
        yield count
        count += 1 + count // 30


async def turns(count: int) -> None:
    """Let the reactor turn `count` times."""
    from twisted.internet import reactor

    for _ in range(count):
        await deferLater(reactor, 0)


async def assert_nothing_is_open(port: int, folder: str) -> None:
    with pytest.raises(ConnectError):
        await connect(port)
    lock = FolderLock(folder)
    lock.acquire()
    lock.release()


async def stopped_after(server: Front | StorageServer, count: int) -> bool:
    """Start a server, and stop it `count` turns of the reactor later; return whether it had started by then."""
    starting = server.start()
    outcome: list[Any] = []
    starting.addBoth(outcome.append)
    await turns(count)
    has_started = bool(outcome)
    await server.stop()
    assert len(outcome) == 1
    if has_started:
        assert outcome == [None]
    else:
        assert outcome[0].check(CancelledError), outcome
    return has_started


@pytest_twisted.ensureDeferred
async def test_a_front_is_stopped_after_each_turn_of_its_start(cluster: Cluster) -> None:
    assert (await cluster.put("/file", b"bytes")).code == 201
    await cluster.stop_front()
    for count in growing_counts():
        front = cluster.make_front()
        has_started = await stopped_after(front, count)
        await assert_nothing_is_open(cluster.port, str(cluster.folder / "front" / "journal"))
        if has_started:
            break
    await cluster.start_front()
    assert (await cluster.get("/file")).body == b"bytes"


@pytest_twisted.ensureDeferred
async def test_a_node_is_stopped_after_each_turn_of_its_start(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    await node.stop()
    for count in growing_counts():
        has_started = await stopped_after(node.make_server(), count)
        await assert_nothing_is_open(node.port, str(node.folder))
        if has_started:
            break
    await node.start()


@pytest_twisted.ensureDeferred
async def test_a_stop_during_the_start_does_not_wait_for_a_silent_node(cluster: Cluster) -> None:
    from twisted.internet import reactor

    await cluster.stop_front()
    network = FaultyNetwork(cluster.nodes[0].port, reactor)
    network.begin(Fault("silence", to_server=True, after=0))
    cluster.urls["n1"] = f"http://127.0.0.1:{network.port}"
    still = StillReactor(reactor)  # nothing ends because it took too long
    front = cluster.front = cluster.make_front(still)
    starting = front.start()
    await eventually(lambda: network.met)
    assert not starting.called
    stopping = front.stop()
    await eventually(lambda: stopping.called)
    await assert_is_cancelled(starting)
    await assert_nothing_is_open(cluster.port, str(cluster.folder / "front" / "journal"))
    assert front.endpoints.port is None
    assert still.getDelayedCalls() == []
    await network.stop()


@pytest_twisted.ensureDeferred
async def test_a_front_that_reads_its_journal_is_stopped(cluster: Cluster) -> None:
    assert (await cluster.put("/file", b"bytes")).code == 201
    await cluster.stop_front()
    cluster.journal_filesystem.hold()
    front = cluster.make_front()
    starting = front.start()
    await eventually(lambda: front.endpoints.admin_port is not None)
    stopping = front.stop()
    await turns(10)
    assert not stopping.called
    cluster.journal_filesystem.release()
    await stopping
    await assert_is_cancelled(starting)
    await assert_nothing_is_open(cluster.port, str(cluster.folder / "front" / "journal"))


async def assert_is_cancelled(starting: Deferred[None]) -> None:
    assert starting.called
    with pytest.raises(CancelledError):
        await starting


@pytest_twisted.ensureDeferred
async def test_a_front_that_cannot_start_leaves_nothing_open(cluster: Cluster) -> None:
    await cluster.stop_front()
    front = cluster.make_front()
    with socket.create_server(("127.0.0.1", cluster.port)), pytest.raises(SettingsError, match=str(cluster.port)):
        await front.start()
    # The ports, too: whatever a test leaves in the reactor fails it.
    await assert_nothing_is_open(cluster.port, str(cluster.folder / "front" / "journal"))
    await front.stop()
