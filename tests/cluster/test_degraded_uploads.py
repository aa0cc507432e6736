"""With parity, uploads go on while nodes fail, and what was acknowledged is read right without these nodes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted

from storaged.disk.writer import WRITE_SIZE
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.parts import manifest_of
from tests.cluster.test_round_trip import ChunkedBody
from tests.cluster.waiting import eventually

LARGE = os.urandom(6 * (WRITE_SIZE + 2**16) + 1234)
SMALL = LARGE[:50_000]
NEVER_S = 3600.0
SETTINGS: dict[str, Any] = {
    "layout": "6+2",
    "min_parts": 6,
    "cache": Size(0),
    "node_timeout_s": NEVER_S,
    "slow_part_s": NEVER_S,
}


async def started(make_cluster: Callable[..., Cluster], **settings: Any) -> Cluster:
    cluster = make_cluster(count=8, **(SETTINGS | settings))
    await cluster.start()
    return cluster


async def is_stored_without(cluster: Cluster, path: str, data: bytes, away: set[str]) -> None:
    """Check that a file is read right, and has a part on each node but those that are away."""
    answer = await cluster.get(path)
    assert (answer.code, answer.body == data) == (200, True), answer.text[:300]
    manifest = await manifest_of(cluster, path)
    assert set(manifest.nodes) - {""} == {node.node_id for node in cluster.nodes} - away
    assert len(manifest.missing) == len(away)


async def holds_what_it_should(cluster: Cluster, path: str) -> None:
    """Check that, when all is healed, each node holds the part that the manifest places there, and nothing else."""
    await cluster.status_becomes(lambda status: not status["heal"]["versions"] and status["reaper"]["doomed"] == 0)
    manifest = await manifest_of(cluster, path)
    assert not manifest.missing
    for node in cluster.nodes:
        assert [info.part_id for info in await node.listed()] == [
            str(manifest.part(index)) for index, id_ in enumerate(manifest.nodes) if id_ == node.node_id
        ]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("small_part", [0, 65_536], ids=["large parts", "small parts"])
@pytest_twisted.ensureDeferred
async def test_an_upload_needs_no_nodes_for_the_parts_that_it_may_miss(
    make_cluster: Callable[..., Cluster], count: int, small_part: int
) -> None:
    cluster = await started(make_cluster, small_part=Size(small_part))
    for number in range(count):
        await cluster.break_node(number)
    away = {f"n{number + 1}" for number in range(count)}
    for body in (SMALL, ChunkedBody(SMALL)):
        assert (await cluster.ask("PUT", "/file", body)).code in {201, 204}
        await is_stored_without(cluster, "/file", SMALL, away)
    await cluster.look_at_nodes()
    assert (await cluster.put("/file", SMALL)).code == 204
    await is_stored_without(cluster, "/file", SMALL, away)
    assert min((await manifest_of(cluster, "/file")).missing) >= 6, (
        "parts of nodes that are known to be away are parity"
    )
    assert (await cluster.status())["uploads"]["degraded"] == 3
    for number in range(count):
        await cluster.mend_node(number)
    await holds_what_it_should(cluster, "/file")
    assert (await cluster.get("/file")).body == SMALL


@pytest.mark.parametrize("small_part", [0, 65_536], ids=["large parts", "small parts"])
@pytest_twisted.ensureDeferred
async def test_an_upload_that_would_miss_more_than_it_may_is_refused(
    make_cluster: Callable[..., Cluster], small_part: int
) -> None:
    cluster = await started(make_cluster, small_part=Size(small_part), min_parts=0)
    await cluster.break_node(0)
    assert (await cluster.put("/file", SMALL)).code == 201
    await cluster.break_node(1)
    for path in ("/file", "/other"):
        answer = await cluster.put(path, SMALL)
        assert answer.code in {503, 507}
        assert "n2" in answer.text
    answer = await cluster.get("/file")
    assert (answer.code, answer.body == SMALL) == (200, True)


@pytest.mark.parametrize("numbers", [(0, 3), (5, 7), (6,)])
@pytest_twisted.ensureDeferred
async def test_nodes_that_die_in_the_middle_are_done_without(
    make_cluster: Callable[..., Cluster], numbers: tuple[int, ...]
) -> None:
    cluster = await started(make_cluster)
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {len(LARGE)}")
    client.send(LARGE[:-1000])
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    for number in numbers:
        await cluster.break_node(number)
    client.send(LARGE[-1000:])
    assert (await client.answer()).code == 201
    client.leave()
    await is_stored_without(cluster, "/file", LARGE, {f"n{number + 1}" for number in numbers})
    for number in numbers:
        await cluster.mend_node(number)
    await holds_what_it_should(cluster, "/file")


@pytest_twisted.ensureDeferred
async def test_one_node_too_many_that_dies_in_the_middle_fails_the_upload_and_keeps_nothing(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {len(LARGE)}")
    client.send(LARGE[:-1000])
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    for number in (1, 4, 6):
        await cluster.break_node(number)
    answer = await client.answer()
    assert answer.code == 503
    assert [name in answer.body for name in (b"n2", b"n5", b"n7")] == [True] * 3
    client.leave()
    for number in (1, 4, 6):
        await cluster.mend_node(number)
    await eventually(cluster.nothing_stored)
    assert (await cluster.get("/file")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_full_in_the_middle_is_done_without(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    cluster.nodes[1].filesystem.hold("write")  # its room was looked at before
    client = await cluster.connect()
    client.begin("PUT", "/file", "Transfer-Encoding: chunked")
    client.send(b"%x\r\n%s\r\n" % (len(LARGE), LARGE))
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    cluster.fill_node(1, room=3000)
    cluster.nodes[1].filesystem.release()
    client.send(b"0\r\n\r\n")
    assert (await client.answer()).code == 201
    client.leave()
    await is_stored_without(cluster, "/file", LARGE, {"n2"})


@pytest.mark.parametrize("call", ["open", "write"])
@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
@pytest_twisted.ensureDeferred
async def test_a_silent_node_is_done_without_after_a_moment(
    make_cluster: Callable[..., Cluster], data: bytes, call: str
) -> None:
    cluster = await started(make_cluster, slow_part_s=2.0, small_part=Size(65_536))
    filesystem = cluster.nodes[2].filesystem
    filesystem.hold(call)
    assert (await cluster.put("/file", data)).code == 201
    assert filesystem.waiting
    await is_stored_without(cluster, "/file", data, {"n3"})
    filesystem.release()
    await cluster.restart_front()
    assert (await cluster.get("/file")).body == data
    await holds_what_it_should(cluster, "/file")


@pytest_twisted.ensureDeferred
async def test_an_upload_that_misses_parts_is_kept_when_the_front_crashes(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.break_node(4)
    assert (await cluster.put("/file", LARGE)).code == 201
    await cluster.crash_front()
    await cluster.start_front()
    await is_stored_without(cluster, "/file", LARGE, {"n5"})
