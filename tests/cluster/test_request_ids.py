"""The ids of clients' requests in the access logs of the nodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from storaged.parts import messages
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually


def logged(cluster: Cluster) -> list[dict[str, Any]]:
    """All lines of all nodes."""
    files = [Path(node.access_log) for node in cluster.nodes]
    return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]


def of_parts(cluster: Cluster) -> list[tuple[str, str]]:
    """What was done with parts, and for whom."""
    lines = [line for line in logged(cluster) if "link" in line or line["target"].startswith("/v1/parts/")]
    return [(line.get("link") or line["method"], request) for line in lines for request in line["requests"]]


async def traced(make_cluster: Callable[..., Cluster], **settings: Any) -> Cluster:
    cluster = make_cluster(cache=Size(0), **settings)
    for node in cluster.nodes:
        node.access_log = str(cluster.folder.with_name(f"{node.node_id}.log"))
    await cluster.start()
    return cluster


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("small_part", "put", "get"), [(0, "PUT", "GET"), (10_000, "put", "get")])
async def test_each_part_is_logged_with_the_request_that_it_is_for(
    make_cluster: Callable[..., Cluster], small_part: int, put: str, get: str
) -> None:
    cluster = await traced(make_cluster, small_part=Size(small_part), node_request_ids=True)
    stored = str((await cluster.put("/a", bytes(12_000))).header("X-Request-Id"))
    read = str((await cluster.get("/a")).header("X-Request-Id"))
    await eventually(lambda: len(of_parts(cluster)) >= 12)
    assert sorted(of_parts(cluster)) == sorted([(put, stored)] * 6 + [(get, read)] * 6)


@pytest_twisted.ensureDeferred
async def test_what_is_stored_for_several_requests_at_once_names_each(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await traced(make_cluster, small_part=Size(10_000), node_request_ids=True)
    putting = [Deferred.fromCoroutine(cluster.put(f"/{number}", bytes(6000))) for number in range(5)]
    ids = {str(answer.header("X-Request-Id")) for answer in await gatherResults(putting)}
    await eventually(lambda: len(of_parts(cluster)) >= 30)
    assert {request for _, request in of_parts(cluster)} == ids
    assert len(of_parts(cluster)) == 30


@pytest_twisted.ensureDeferred
async def test_by_default_nodes_are_told_nothing(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await traced(make_cluster)
    assert (await cluster.put("/a", bytes(12_000))).code == 201
    await eventually(lambda: sum(line.get("method") == "PUT" for line in logged(cluster)) >= 6)
    assert of_parts(cluster) == []


@pytest_twisted.ensureDeferred
async def test_a_line_cannot_be_forged(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await traced(make_cluster)
    node = cluster.nodes[0]
    answer = await cluster.ask(
        "GET", f"http://127.0.0.1:{node.port}/parts/%0a%7b%22x%22", Splitd_Requests='a"} {"b\\ \t' + "c" * 5000
    )
    assert answer.code in {401, 403}
    await eventually(lambda: any("%0a" in line.get("target", "") for line in logged(cluster)))
    [line] = [line for line in logged(cluster) if "%0a" in line.get("target", "")]
    assert line["requests"][:2] == ['a"}', '{"b\\']
    assert len(" ".join(line["requests"])) <= 1024


def test_nodes_and_fronts_without_this_understand_each_other() -> None:
    for old, new in [
        (["put", 7, [["a" * 32 + ".0", b"x"]], 3], messages.Put(7, [("a" * 32 + ".0", b"x")], 3)),
        (["get", 7, ["x"]], messages.Get(7, ["x"])),
        (["remove", 7, ["x"], 3], messages.Remove(7, ["x"], 3)),
    ]:
        import msgspec

        assert messages.decode_request(msgspec.msgpack.encode(old)) == new
        sent = msgspec.msgpack.decode(messages.encode(msgspec.structs.replace(new, requests="r1 r2")))
        assert sent == [*msgspec.msgpack.decode(msgspec.msgpack.encode(old)), "r1 r2"]  # one element more, at the end
        assert messages.decode_request(msgspec.msgpack.encode([*old, "r1", "later"])).requests == "r1"
