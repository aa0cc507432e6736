"""Nodes that fail during an upload or a download."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import pytest_twisted

from storaged.disk.writer import WRITE_SIZE
from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually

DATA = os.urandom(200_000)
LARGE = 8_000_000
TIMEOUT_S = 2.0
"""How long a hanging node is waited for; the others, whose disks may be busy, must not take as long."""


def part_of(cluster: Cluster, number: int) -> int:
    """Return which part of the only file is on a node."""
    (name,) = cluster.nodes[number].parts()
    return int(name.partition(".")[2])


@pytest.mark.parametrize("length", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
@pytest_twisted.ensureDeferred
async def test_too_few_nodes_are_told_before_the_body_is_asked_for(cluster: Cluster, length: str) -> None:
    await cluster.break_node(2)
    client = await cluster.connect()
    client.begin("PUT", "/file", length, "Expect: 100-continue")
    answer = await client.answer()
    assert (answer.code, answer.headers["connection"]) == (507, "close")
    await eventually(cluster.nothing_stored)
    assert (await cluster.status())["uploads"]["bytes"] == 0
    assert (await cluster.put("/file", b"")).code == 201  # an empty file needs no node


@pytest_twisted.ensureDeferred
async def test_another_node_takes_the_place_of_one_that_refuses(seven_nodes: Cluster) -> None:
    await seven_nodes.break_node(3)
    for number in range(8):
        assert (await seven_nodes.put(f"/file{number}", DATA)).code == 201
        assert (await seven_nodes.get(f"/file{number}")).body == DATA
    assert [len(parts) for parts in seven_nodes.parts().values()] == [8, 8, 8, 0, 8, 8, 8]


@pytest_twisted.ensureDeferred
async def test_a_node_that_dies_in_the_middle_fails_the_upload_and_nothing_else(cluster: Cluster) -> None:
    await cluster.put("/file", b"the version before")
    before = cluster.parts()
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {len(DATA)}")
    client.send(DATA[:100_000])
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    await cluster.break_node(4)
    answer = await client.answer()
    assert (answer.code, b"n5" in answer.body) == (503, True)
    client.leave()
    await cluster.mend_node(4)
    assert cluster.parts() == before
    assert (await cluster.get("/file")).body == b"the version before"
    assert (await cluster.put("/file", DATA)).code == 204


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_full_in_the_middle_fails_the_upload_and_keeps_nothing(cluster: Cluster) -> None:
    cluster.nodes[1].filesystem.hold("write")  # its room was looked at before
    client = await cluster.connect()
    client.begin("PUT", "/file", "Transfer-Encoding: chunked")
    size = 6 * (WRITE_SIZE + 2**16)
    client.send(b"%x\r\n%s\r\n" % (size, bytes(size)))
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    cluster.fill_node(1, room=3000)
    cluster.nodes[1].filesystem.release()
    answer = await client.answer()
    assert (answer.code, b"No space left on device" in answer.body) == (507, True)
    client.leave()
    await eventually(cluster.nothing_stored)
    assert (await cluster.get("/file")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_full_takes_no_part(seven_nodes: Cluster) -> None:
    await seven_nodes.refill_node(0, room=0)
    for number in range(5):
        assert (await seven_nodes.put(f"/file{number}", DATA)).code == 201
    assert seven_nodes.nodes[0].parts() == {}
    assert [node["state"] for node in (await seven_nodes.status())["nodes"]] == ["full"] + ["up"] * 6


@pytest_twisted.ensureDeferred
async def test_a_file_too_large_for_the_nodes_is_refused_before_it_is_asked_for(cluster: Cluster) -> None:
    await cluster.refill_node(5, room=1_000_000)
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {LARGE}", "Expect: 100-continue")
    assert (await client.answer()).code == 507
    assert (await cluster.put("/file", DATA)).code == 201


@pytest_twisted.ensureDeferred
async def test_a_node_that_hangs_in_the_middle_fails_the_upload(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(node_timeout_s=TIMEOUT_S)
    await cluster.start()
    cluster.nodes[2].filesystem.hold("write")
    answer = await cluster.put("/file", bytes(40_000_000))
    assert (answer.code, "n3" in answer.text) == (503, True)
    small = await cluster.put("/file", b"small enough to be sent whole")
    assert small.code in {503, 507}
    cluster.nodes[2].filesystem.release()
    await cluster.change_front(node_timeout_s=60.0)
    await eventually(cluster.nothing_stored)
    assert (await cluster.put("/file", DATA)).code == 201


@pytest.mark.parametrize("held", [("open",), ("read",)], ids=["before", "in the middle"])
@pytest_twisted.ensureDeferred
async def test_a_node_that_hangs_fails_the_download(
    make_cluster: Callable[..., Cluster], held: tuple[str, ...]
) -> None:
    cluster = make_cluster()
    await cluster.start()
    await cluster.put("/file", DATA)
    await cluster.change_front(node_timeout_s=TIMEOUT_S)
    first = part_of(cluster, 2) * 1024
    cluster.nodes[2].filesystem.hold(*held)
    answer = await cluster.get("/file", Range=f"bytes={first}-12000")
    assert (answer.code, "n3" in answer.text) == (503, True)
    cluster.nodes[2].filesystem.release()
    assert (await cluster.get("/file")).body == DATA


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_down_fails_what_needs_it_and_is_the_only_one_blamed(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    index = part_of(cluster, 4)
    await cluster.break_node(4)
    answer = await cluster.get("/file")
    assert (answer.code, "n5" in answer.text) == (503, True)
    assert [node["state"] == "up" for node in (await cluster.status())["nodes"]] == [n != 4 for n in range(6)]
    elsewhere = [n * 1024 for n in range(6) if n != index]
    for start in elsewhere:
        got = await cluster.get("/file", Range=f"bytes={start}-{start + 1023}")
        assert got.body == DATA[start : start + 1024]
    await cluster.mend_node(4)
    assert (await cluster.get("/file")).body == DATA
