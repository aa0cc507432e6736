"""A process that is not of this cluster gets no data, and no data is given to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY

PART = f"{'3f' * 16}.0"


async def states(cluster: Cluster) -> dict[str, str]:
    return {node["id"]: node["state"] for node in (await cluster.status())["nodes"]}


@pytest_twisted.ensureDeferred
async def test_a_node_with_another_id_is_not_used(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(count=8)
    for node in cluster.nodes:
        await node.start()
    urls = {node.node_id: f"http://127.0.0.1:{node.port}" for node in cluster.nodes}
    cluster.urls = {"n1": urls["n2"], "n2": urls["n1"]}
    await cluster.start_front()
    assert await states(cluster) == {"n1": "stranger", "n2": "stranger"} | {f"n{n}": "up" for n in range(3, 9)}
    assert (await cluster.put("/file", b"x" * 10_000)).code == 201
    assert [len(node.parts()) for node in cluster.nodes] == [0, 0, 1, 1, 1, 1, 1, 1]
    problems = {node["id"]: node["problem"] for node in (await cluster.status())["nodes"]}
    assert problems["n1"] == "this is node n2"


@pytest_twisted.ensureDeferred
async def test_a_node_of_another_cluster_is_not_used(make_cluster: Callable[..., Cluster]) -> None:
    other, cluster = make_cluster(), make_cluster(count=7)
    await other.start()
    await cluster.start()
    await other.put("/file", b"abc")
    await other.break_node(0)
    await cluster.break_node(0)
    shutil.rmtree(cluster.nodes[0].folder)
    other.nodes[0].folder.rename(cluster.nodes[0].folder)
    await cluster.mend_node(0)
    assert await states(cluster) == {"n1": "stranger"} | {f"n{n}": "up" for n in range(2, 8)}
    before = cluster.nodes[0].parts()
    assert (await cluster.put("/file", b"x" * 10_000)).code == 201
    assert cluster.nodes[0].parts() == before != {}


@pytest_twisted.ensureDeferred
async def test_a_front_that_lost_its_journal_changes_nothing_on_its_nodes(cluster: Cluster) -> None:
    await cluster.put("/file", b"x" * 10_000)
    before = cluster.parts()
    await cluster.stop_front()
    shutil.rmtree(cluster.folder / "front")
    await cluster.start_front()
    assert set((await states(cluster)).values()) == {"stranger"}
    assert (await cluster.put("/file", b"abc")).code == 507
    assert cluster.parts() == before


@pytest.mark.parametrize("key", [None, "", KEY, f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}", "Bearer é"])
@pytest_twisted.ensureDeferred
async def test_a_node_does_nothing_without_the_key(cluster: Cluster, key: str | None) -> None:
    await cluster.put("/file", b"x" * 10_000)
    before = cluster.parts()
    node = cluster.nodes[0]
    (mine,) = node.parts()
    for method in ("GET", "HEAD", "PUT", "DELETE", "POST"):
        for path in (f"/v1/parts/{mine}", f"/v1/parts/{PART}", "/v1/parts?limit=9", "/v1/node", "/", "/v1/x"):
            headers = {} if key is None else {"Authorization": key.encode()}
            response = await cluster.client.request(
                method, f"http://127.0.0.1:{node.port}{path}", headers=headers, data=b"x" if method == "PUT" else None
            )
            assert (response.code, await response.content()) == (401, b"")
    assert cluster.parts() == before
    assert node.half_written() == []


@pytest_twisted.ensureDeferred
async def test_a_node_tells_without_the_key_only_that_it_lives(cluster: Cluster) -> None:
    response = await cluster.client.get(f"http://127.0.0.1:{cluster.nodes[0].port}/health")
    assert (response.code, await response.content()) == (200, b"ok\n")


@pytest_twisted.ensureDeferred
async def test_a_node_refuses_what_is_meant_for_another(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    cluster_id = (await cluster.status())["cluster"]
    for headers, code in [
        ({"Splitd-Node": "n1", "Splitd-Cluster": cluster_id}, 200),
        ({"Splitd-Node": "n2", "Splitd-Cluster": cluster_id}, 421),
        ({"Splitd-Node": "n1", "Splitd-Cluster": "another"}, 421),
    ]:
        response = await cluster.client.get(
            f"http://127.0.0.1:{node.port}/v1/node", headers={"Authorization": f"Bearer {KEY}", **headers}
        )
        await response.content()
        assert response.code == code
