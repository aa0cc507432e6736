"""Many clients at the same time, each on its own connection."""

from __future__ import annotations

import random

import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually

COUNT = 64


async def put_and_get(cluster: Cluster, number: int, data: bytes) -> None:
    client = await cluster.connect()
    client.begin("PUT", f"/file{number}", f"Content-Length: {len(data)}")
    client.send(data)
    put = await client.answer()
    assert put.code == 201, put.body
    client.begin("GET", f"/file{number}")
    got = await client.answer()
    assert (got.code, got.body == data) == (200, True)


@pytest_twisted.ensureDeferred
async def test_files_of_many_clients_do_not_mix(cluster: Cluster) -> None:
    rng = random.Random(3)
    sizes = [0, 1, 6, 6144, *(int(2 ** rng.uniform(0, 21)) for _ in range(COUNT - 4))]
    bodies = [rng.randbytes(size) for size in sizes]
    await gatherResults(
        [Deferred.fromCoroutine(put_and_get(cluster, number, data)) for number, data in enumerate(bodies)]
    )
    status = await cluster.status()
    assert (status["files"], status["bytes"]) == (COUNT, sum(sizes))
    assert (status["uploads"]["committed"], status["uploads"]["aborted"]) == (COUNT, 0)


@pytest_twisted.ensureDeferred
async def test_a_file_that_many_replace_is_always_one_of_theirs(cluster: Cluster) -> None:
    bodies = [bytes([number]) * (1000 * number + 1) for number in range(16)]
    await cluster.put("/file", bodies[0])
    puts = [Deferred.fromCoroutine(cluster.put("/file", body)) for body in bodies]
    gets = [Deferred.fromCoroutine(cluster.get("/file")) for _ in range(32)]
    assert [answer.code for answer in await gatherResults(puts)] == [204] * 16
    for got in [*await gatherResults(gets), await cluster.get("/file")]:
        assert got.code == 200
        assert got.body in bodies
    await eventually(lambda: len(cluster.uploads_stored()) == 1, "the parts of the last version alone")
