"""With parity, files are read right while as many parts as there is parity cannot be read, whatever the reason."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.model.manifest import Manifest
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.parts import STRIPE, UNIT, flip, truncate, unlink
from tests.cluster.proxy import Fault, FaultyNetwork
from tests.cluster.test_versions import SIZE, read_slowly
from tests.cluster.waiting import eventually

SIZES = (0, 1, 5, 7, STRIPE - 1, STRIPE + 1, 5 * STRIPE + 3000)
LARGE = os.urandom(10 * STRIPE + 3000)
PAIRS = list(itertools.combinations(range(8), 2))


@pytest.fixture(params=[0, 65_536], ids=["large parts", "small parts"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"layout": "6+2", "cache": Size(0), "small_part": Size(request.param)}


async def started(make_cluster: Callable[..., Cluster], **options: Any) -> Cluster:
    cluster = make_cluster(count=8, **options)
    await cluster.start()
    return cluster


async def reads_right(cluster: Cluster, path: str, data: bytes, spans: Sequence[tuple[int, int]] = ()) -> None:
    answer = await cluster.get(path)
    assert (answer.code, answer.body == data) == (200, True), answer.text[:300]
    for start, stop in spans:
        answer = await cluster.get(path, Range=f"bytes={start}-{stop - 1}")
        assert (answer.code, answer.body == data[start:stop]) == (206, True), (start, stop)


def spans_of(data: bytes) -> list[tuple[int, int]]:
    """Return ranges that begin and end inside of columns, of one byte, and across stripes."""
    size = len(data)
    ends = [(0, 1), (size - 1, size), (UNIT - 1, UNIT + 1), (STRIPE - 3, STRIPE + 3), (4 * STRIPE + 5 * UNIT, size - 2)]
    return [(start, stop) for start, stop in ends if 0 <= start < stop <= size]


@pytest_twisted.ensureDeferred
async def test_every_size_is_read_while_any_two_nodes_are_away(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **options)
    files = {f"/{size}": os.urandom(size) for size in SIZES}
    for path, data in files.items():
        assert (await cluster.put(path, data)).code == 201
    for pair in PAIRS:
        for number in pair:
            await cluster.break_node(number)
        for path, data in files.items():
            await reads_right(cluster, path, data, spans_of(data))
        for number in pair:
            await cluster.nodes[number].start()
        await cluster.look_at_nodes()


@pytest_twisted.ensureDeferred
async def test_an_upload_of_unknown_length_has_parity_too(make_cluster: Callable[..., Cluster]) -> None:
    from tests.cluster.test_round_trip import ChunkedBody

    cluster = await started(make_cluster, layout="6+2", cache=Size(0))
    assert (await cluster.ask("PUT", "/file", ChunkedBody(LARGE))).code == 201
    await cluster.break_node(0)
    await cluster.break_node(3)
    await reads_right(cluster, "/file", LARGE)


@pytest.mark.parametrize("harm", [unlink, truncate, flip])
@pytest_twisted.ensureDeferred
async def test_parts_that_are_lost_or_damaged_are_replaced(
    make_cluster: Callable[..., Cluster], harm: Callable[[Path], None]
) -> None:
    cluster = await started(make_cluster, layout="6+2", cache=Size(0))
    for first, second in [(0, 1), (2, 7), (5, 6), (6, 7)]:
        assert (await cluster.put("/file", LARGE)).code in {201, 204}
        await eventually(lambda: len(cluster.uploads_stored()) == 1)
        files = cluster.part_files()
        harm(files[first])
        harm(files[second])
        await reads_right(cluster, "/file", LARGE, spans_of(LARGE))


@pytest_twisted.ensureDeferred
async def test_more_lost_than_parity_is_an_error_with_a_reason_and_never_wrong_bytes(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **options)
    assert (await cluster.put("/file", LARGE)).code == 201
    for number in (1, 4, 6):
        await cluster.break_node(number)
    answer = await cluster.get("/file")
    assert answer.code == 503
    assert "3 of 8 parts cannot be read, 2 may be missing" in answer.text
    for node in ("n2", "n5", "n7"):
        assert f"node {node}: " in answer.text


async def lose(cluster: Cluster, indexes: Sequence[int]) -> None:
    """Have the catalog say that some parts of /file are missing, while they lie where they were."""
    manifest = await cluster.front.catalog.lookup("/file")
    assert isinstance(manifest, Manifest)
    for index in indexes:
        assert await cluster.front.catalog.heal_ledger.lose(manifest.nodes[index], [manifest.part(index)], "") == 1


@pytest_twisted.ensureDeferred
async def test_parts_that_the_catalog_misses_are_replaced_up_to_the_parity(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **options)
    assert (await cluster.put("/file", LARGE)).code == 201
    for number in range(len(cluster.nodes)):
        cluster.fill_node(number)  # so that the heal rebuilds nothing
    await lose(cluster, (1, 6))
    await reads_right(cluster, "/file", LARGE, spans_of(LARGE))
    await cluster.restart_front()
    await reads_right(cluster, "/file", LARGE)
    await lose(cluster, (4,))
    answer = await cluster.get("/file")
    assert answer.code == 500
    assert "the file is lost: parts 1, 4, 6 are gone for good, of 8 parts, and it can do without 2" in answer.text


@pytest.mark.parametrize("kind", ["cut", "reset"])
@pytest_twisted.ensureDeferred
async def test_a_node_that_dies_in_the_middle_of_a_download_is_replaced_where_it_died(
    make_cluster: Callable[..., Cluster], kind: str
) -> None:
    from twisted.internet import reactor

    cluster = make_cluster(count=8, layout="6+2", cache=Size(0), small_part=Size(0))
    networks = [FaultyNetwork(cluster.nodes[number].port, reactor) for number in (2, 5)]
    cluster.urls.update(zip(["n3", "n6"], [f"http://127.0.0.1:{each.port}" for each in networks], strict=True))
    await cluster.start()
    data = os.urandom(100 * STRIPE + 3000)
    assert (await cluster.put("/file", data)).code == 201
    for after in (0, 5_000, 40_000):
        for network in networks:
            network.reset()
            network.begin(Fault(kind, to_server=False, after=after))
        await reads_right(cluster, "/file", data)
        for network in networks:
            network.mend()
        await cluster.look_at_nodes()
    for network in networks:
        await network.refuse()


@pytest_twisted.ensureDeferred
async def test_two_nodes_die_while_a_slow_client_reads(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(count=8, unit=64 * 1024, layout="6+2", cache=Size(0))
    await cluster.start()
    data = os.urandom(SIZE)
    assert (await cluster.put("/file", data)).code == 201
    client = await read_slowly(cluster, "/file")
    await cluster.break_node(1)
    await cluster.break_node(4)
    client.read_on()
    answer = await client.answer()
    assert (answer.code, answer.body == data) == (200, True)
    status = await cluster.status()
    assert status["downloads"]["failed"] == 0


@pytest_twisted.ensureDeferred
async def test_when_more_nodes_die_in_the_middle_than_there_is_parity_the_connection_is_cut(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(count=8, unit=64 * 1024, layout="6+2", cache=Size(0))
    await cluster.start()
    data = os.urandom(SIZE) * 4  # much more than all buffers hold
    assert (await cluster.put("/file", data)).code == 201
    client = await read_slowly(cluster, "/file")
    for number in (1, 4, 6):
        await cluster.break_node(number)
    client.read_on()
    head, _, body = (await client.until_ended()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert 0 < len(body) < len(data)
    assert data.startswith(body)
    status = await cluster.status()
    assert status["downloads"]["failed"] == 1


@pytest_twisted.ensureDeferred
async def test_stripes_that_are_too_large_for_memory_are_read_column_by_column(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(count=8, unit=6 * 2**20, layout="6+2", cache=Size(0))
    await cluster.start()
    data = os.urandom(SIZE) * 2  # a stripe of 36 MiB, and a short one
    spans = [(0, 1), (5_000_000, 20_000_000), (30_000_000, 40_000_000), (len(data) - 9, len(data))]
    assert (await cluster.put("/file", data)).code == 201
    await reads_right(cluster, "/file", data, spans)
    for number in (1, 4):
        await cluster.break_node(number)
        await reads_right(cluster, "/file", data, spans)


@pytest_twisted.ensureDeferred
async def test_without_parity_nothing_is_read_that_was_not_asked_for(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, cache=Size(0))
    assert (await cluster.put("/file", LARGE)).code == 201
    holders = [node for node in cluster.nodes if node.parts()]
    assert len(holders) == 6
    await holders[3].stop()
    answers: list[Any] = []
    for start in range(0, STRIPE, UNIT):
        asking = Deferred.fromCoroutine(cluster.get("/file", Range=f"bytes={start}-{start + 9}"))
        answers.append((await asking).code)
    assert sorted(answers) == [206] * 5 + [503]
