"""The front waits for a client that makes progress, however slow, and not for one that makes none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually

PATIENCE_S = 0.3
PIECES = 12
PIECE = 1000


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("small_part", [0, 10_000], ids=["large way", "small way"])
async def test_a_client_that_is_slow_and_moves_is_not_cut(
    make_cluster: Callable[..., Cluster], small_part: int
) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    cluster = make_cluster(front_reactor=still, client_timeout_s=PATIENCE_S, small_part=Size(small_part))
    await cluster.start()
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {PIECES * PIECE}")
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"])
    for sent in range(PIECES):
        # In all it takes several times as long as a client may be silent.
        still.advance(PATIENCE_S * 0.9)
        client.send(bytes(PIECE))
        await cluster.status_becomes(lambda status, sent=sent: status["uploads"]["bytes"] >= (sent + 1) * PIECE)
    assert (await client.answer()).code == 201


@pytest_twisted.ensureDeferred
async def test_a_connection_without_a_request_ends(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(idle_timeout_s=PATIENCE_S)
    await cluster.start()
    silent, half = await cluster.connect(), await cluster.connect()
    half.send(b"GET / HTTP/1.1\r\nHost: ")
    used = await cluster.connect()
    used.begin("GET", "/nothing")
    assert (await used.answer()).code == 404
    for client in (silent, half, used):
        await client.until_ended()
        assert client.ended


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("size", [3_000, 60_000])
async def test_an_upload_into_a_collection_that_is_deleted_meanwhile_leaves_nothing(
    make_cluster: Callable[..., Cluster], size: int
) -> None:
    cluster = make_cluster(small_part=Size(2000))
    await cluster.start()
    await cluster.ask("MKCOL", "/c")
    client = await cluster.connect()
    client.begin("PUT", "/c/file", f"Content-Length: {size}")
    client.send(bytes(size // 2))
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    assert (await cluster.ask("DELETE", "/c")).code == 204
    client.send(bytes(size - size // 2))
    answer = await client.answer()
    assert (answer.code, b"/c" in answer.body) == (409, True)
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == status["reaper"]["doomed"] == 0)
    await eventually(cluster.nothing_stored)
    assert [info for node in cluster.nodes for info in await node.listed()] == []
