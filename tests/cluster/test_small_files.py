"""Small files: their parts travel whole, many together, and are stored in packs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from splitd.downloads.cache import entry_size
from storaged.parts.format import SMALL_PART, stored_size
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.waiting import becomes, eventually

UNIT = 1024
SMALL = {"small_part": Size(SMALL_PART), "unit": UNIT}
LARGEST = next(size for size in range(6 * SMALL_PART, 0, -1) if stored_size(-(-size // 6), UNIT) <= SMALL_PART)
SIZES = [1, 5, 6, 7, 6 * UNIT - 1, 6 * UNIT, 6 * UNIT + 1, 100_000, LARGEST, LARGEST + 1]


async def started(make_cluster: Callable[..., Cluster], **options: Any) -> Cluster:
    cluster = make_cluster(**{**SMALL, **options})
    await cluster.start()
    return cluster


async def packed(cluster: Cluster) -> int:
    """Return how many parts are on the nodes."""
    return sum([len(await node.listed()) for node in cluster.nodes])


async def packed_becomes(cluster: Cluster, count: int) -> None:
    async def are_so_many() -> bool:
        return await packed(cluster) == count

    await becomes(are_so_many, f"{count} parts on the nodes")


@pytest.mark.parametrize("cache", [Size(0), Size(2**25)], ids=["without a cache", "with a cache"])
@pytest_twisted.ensureDeferred
async def test_a_small_file_comes_back_whole_and_in_ranges(make_cluster: Callable[..., Cluster], cache: Size) -> None:
    cluster = await started(make_cluster, cache=cache)
    for size in SIZES:
        data = os.urandom(size)
        assert (await cluster.put(f"/{size}", data)).code == 201
        for _ in range(2):
            assert (await cluster.get(f"/{size}")).body == data
        for start, stop in {(0, 1), (size // 2, size), (size // 3, size // 3 + 1), (max(0, size - 5), size)}:
            answer = await cluster.get(f"/{size}", Range=f"bytes={start}-{stop - 1}")
            assert answer.body == data[start:stop]
    await cluster.restart_front()
    for size in SIZES:
        assert len((await cluster.get(f"/{size}")).body) == size
    expected = sum(min(size, 6) for size in SIZES if size <= LARGEST)
    assert sum(len(node.parts()) for node in cluster.nodes) == 6  # of the one that is not small
    assert await packed(cluster) >= expected


@pytest_twisted.ensureDeferred
async def test_many_small_files_at_once_share_syncs_and_survive_a_restart(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    files = {f"/file{number}": os.urandom(number + 1) for number in range(200)}
    await cluster.put("/warm", b"up")
    before = sum(node.filesystem.syncs for node in cluster.nodes)
    for node in cluster.nodes:
        node.filesystem.hold("write")
    asked = gatherResults([Deferred.fromCoroutine(cluster.put(*file)) for file in files.items()])
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == len(files))
    for node in cluster.nodes:
        node.filesystem.release()
    assert {answer.code for answer in await asked} == {201}
    assert sum(node.filesystem.syncs for node in cluster.nodes) - before < 6 * 200 / 3
    for node in cluster.nodes:
        await node.stop()
        await node.start()
    await cluster.restart_front()
    for path, data in files.items():
        assert (await cluster.get(path)).body == data


@pytest_twisted.ensureDeferred
async def test_what_is_deleted_or_replaced_leaves_the_nodes(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    for number in range(20):
        await cluster.put(f"/file{number}", os.urandom(1000))
    assert await packed(cluster) == 120
    for number in range(10):
        assert (await cluster.put(f"/file{number}", b"another version")).code == 204
        assert (await cluster.ask("DELETE", f"/file{number + 10}")).code == 204
    await packed_becomes(cluster, 60)
    assert {(await cluster.get(f"/file{number}")).body for number in range(10)} == {b"another version"}


@pytest_twisted.ensureDeferred
async def test_a_node_that_fails_is_replaced_and_nobody_notices(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, count=8)
    await cluster.put("/before", b"the links are up")
    await cluster.break_node(0)
    cluster.fill_node(1)
    for number in range(10):
        assert (await cluster.put(f"/file{number}", b"%d" % number * 1000)).code == 201
    for number in range(10):
        assert (await cluster.get(f"/file{number}")).body == b"%d" % number * 1000


@pytest_twisted.ensureDeferred
async def test_where_no_other_node_is_left_the_old_version_stays(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/file", b"the version before")
    cluster.nodes[3].filesystem.fails_sync = True
    answer = await cluster.put("/file", b"another version")
    assert (answer.code, "n4" in answer.text) == (503, True)
    cluster.nodes[3].filesystem.fails_sync = False
    await cluster.restart_front()
    assert (await cluster.get("/file")).body == b"the version before"
    await packed_becomes(cluster, 6)
    assert (await cluster.put("/file", b"another version")).code == 204


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_or_sends_too_little_leaves_nothing(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    client = await cluster.connect()
    client.begin("PUT", "/file", "Content-Length: 1000")
    client.send(b"x" * 999)
    client.leave()
    over = {"under_way": 0, "committed": 0, "degraded": 0, "aborted": 1, "bytes": 999}
    over |= {"continued": 0, "continued_bytes": 0}
    await cluster.status_becomes(lambda status: status["uploads"] == over)
    assert (await cluster.get("/file")).code == 404
    assert await packed(cluster) == 0


@pytest_twisted.ensureDeferred
async def test_of_many_who_create_one_small_file_one_succeeds(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    puts = [cluster.put("/file", b"%d" % number * 100, If_None_Match="*") for number in range(20)]
    answers = await gatherResults([Deferred.fromCoroutine(put) for put in puts])
    assert sorted(answer.code for answer in answers) == [201] + [412] * 19
    await packed_becomes(cluster, 6)


@pytest_twisted.ensureDeferred
async def test_a_wrong_bit_in_a_pack_is_not_served(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, cache=Size(0))
    await cluster.put("/file", os.urandom(6000))
    [pack] = (cluster.nodes[2].folder / "packs").glob("*.pack")
    data = bytearray(pack.read_bytes())
    data[len(data.rstrip(b"\0")) - 500] ^= 4  # zeros stand behind it
    pack.write_bytes(data)
    answer = await cluster.get("/file")
    assert (answer.code, "node n3: part " in answer.text) == (500, True)


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_down_is_told_of(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, cache=Size(0))
    await cluster.put("/file", b"abc" * 1000)
    await cluster.break_node(4)
    answer = await cluster.get("/file")
    assert (answer.code, "n5" in answer.text) == (503, True)
    await cluster.nodes[4].start()
    assert (await cluster.get("/file")).body == b"abc" * 1000


@pytest_twisted.ensureDeferred
async def test_a_file_in_the_cache_needs_no_node(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/file", b"abc" * 1000)
    for number in range(6):
        await cluster.break_node(number)
    assert (await cluster.get("/file")).body == b"abc" * 1000
    status = (await cluster.status())["cache"]
    assert status == {"bytes": entry_size(bytes(3000)), "hits": 1, "misses": 0}


@pytest_twisted.ensureDeferred
async def test_a_node_that_hangs_does_not_hold_up_an_upload_for_ever(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, count=7, node_timeout_s=2.0)
    await cluster.put("/before", b"the links are up")
    cluster.hang_node(2)
    answers = await gatherResults([Deferred.fromCoroutine(cluster.put(f"/{each}", b"abc" * 100)) for each in range(9)])
    assert {answer.code for answer in answers} == {201}
    cluster.nodes[2].filesystem.release()
    await eventually(lambda: cluster.nodes[2].filesystem.waiting == 0)
