"""A collection with very many members is listed page by page, while other clients are served."""

from __future__ import annotations

import re
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.catalog.effects import apply
from splitd.model.manifest import Manifest
from splitd.model.records import CollectionMade, FileCommitted
from tests.cluster.cluster import Cluster

COUNT = 50_000


def fill(cluster: Cluster, path: str, count: int) -> None:
    """Put many empty files into the catalog's memory, without the journal."""
    assert cluster.front is not None
    state = cluster.front.catalog._state
    apply(state, CollectionMade(path, 1))
    for number in range(count):
        apply(state, FileCommitted(f"{path}/n{number:06}", Manifest(f"{number:032x}", 0, 1, 6, 0, 1024, ())))


ASKED: list[Any] = [
    pytest.param("PROPFIND", {"Depth": "1"}, id="PROPFIND"),
    pytest.param("PROPFIND", {"Depth": "infinity"}, id="PROPFIND to the bottom"),
    pytest.param("GET", {}, id="GET"),
]


@pytest.mark.parametrize(("method", "headers"), ASKED)
@pytest_twisted.ensureDeferred
async def test_it_is_told_whole_and_others_are_served_meanwhile(
    cluster: Cluster, method: str, headers: dict[str, str]
) -> None:
    fill(cluster, "/long", COUNT)
    await cluster.put("/file", b"abc")
    long = Deferred.fromCoroutine(cluster.ask(method, "/long/", **headers))
    for _ in range(3):
        assert (await cluster.get("/file")).body == b"abc"
        assert not long.called
    answer = await long
    found = re.findall(rb"/long/(n\d+)[<\"]", answer.body)
    assert found == [b"n%06d" % number for number in range(COUNT)]


@pytest.mark.parametrize(("method", "headers"), ASKED)
@pytest_twisted.ensureDeferred
async def test_no_more_is_made_than_its_reader_takes(cluster: Cluster, method: str, headers: dict[str, str]) -> None:
    fill(cluster, "/long", 2 * COUNT)
    assert cluster.front is not None
    client = await cluster.connect(receive_buffer=65_536)
    client.begin(method, "/long/", *(f"{name}: {value}" for name, value in headers.items()))
    await client.until(lambda: client.total > 1000)
    client.stop_reading()
    for _ in range(200):
        await cluster.status()
    waiting = [connection.transport for connection in cluster.front.endpoints.site.connections()]
    assert max(len(each.dataBuffer) + sum(map(len, each._tempDataBuffer)) for each in waiting) < 2_000_000
    client.reset()
    assert (await cluster.ask("HEAD", "/long/")).code == 200
