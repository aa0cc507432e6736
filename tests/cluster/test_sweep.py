"""The sweep, started on the front's own port, over real nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.contract.parts import encode, put, put_small

NOBODYS = "00" + "0" * 29 + "1.2"


async def ask(cluster: Cluster, query: str = "", method: str = "POST") -> Answer:
    return await cluster.ask(method, f"{cluster.admin_url}/sweep{query}")


async def findings(cluster: Cluster, query: str = "") -> Any:
    answer = await ask(cluster, query)
    assert answer.code == 200, answer.text
    return json.loads(answer.body)


def trash(cluster: Cluster) -> list[Path]:
    return [path for node in cluster.nodes for path in node.trash()]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("packed", [False, True])
async def test_what_nobody_knows_is_put_aside_and_the_rest_is_served(make_cluster: Any, packed: bool) -> None:
    cluster: Cluster = make_cluster(sweep_grace_s=-60.0, small_part=Size(10_000))
    await cluster.start()
    data = bytes(range(256)) * 400
    assert (await cluster.put("/large", data)).code == 201
    assert (await cluster.put("/small", data[:5000])).code == 201
    stored = encode(NOBODYS, b"nobody's")
    store = cluster.nodes[0].store
    if packed:
        await put_small(store, NOBODYS, stored)
    else:
        await put(store, NOBODYS, [stored])

    found = await findings(cluster, "?dry_run=1")
    assert (found["dry_run"], found["orphans"], found["trashed"]) == (True, 1, 0)
    assert found["nodes"][0]["examples"] == [NOBODYS]
    assert trash(cluster) == []

    found = await findings(cluster)
    assert "nobody knows 1, more than 1 %" in found["stopped"]
    assert (await cluster.status())["warnings"] == [f"the sweep put nothing aside: {found['stopped']}"]
    assert trash(cluster) == []

    assert (await findings(cluster, "?share=0.5"))["trashed"] == 1
    [aside] = trash(cluster)
    assert aside.name.endswith(f"-{NOBODYS}")
    assert aside.read_bytes() == stored
    assert (await cluster.get("/large")).body == data
    assert (await cluster.get("/small")).body == data[:5000]
    status = await cluster.status()
    assert (status["warnings"], status["sweep"]["trashed"]) == ([], 1)
    assert (await findings(cluster))["orphans"] == 0


@pytest_twisted.ensureDeferred
async def test_what_is_asked_must_mean_something(cluster: Cluster) -> None:
    for query in ("?share=2", "?share=-0.1", "?share=x", "?share=nan", "?dry_run=yes"):
        assert (await ask(cluster, query)).code == 400
    refused = await ask(cluster, method="GET")
    assert (refused.code, refused.header("Allow")) == (405, "DELETE, POST")


@pytest_twisted.ensureDeferred
async def test_one_that_waits_for_a_node_can_be_ended(cluster: Cluster) -> None:
    assert (await ask(cluster, method="DELETE")).code == 404
    await cluster.put("/file", b"content")
    cluster.hang_node(1)
    under_way = ensureDeferred(ask(cluster))
    await cluster.status_becomes(lambda status: status["sweeping"])
    ended = await ask(cluster, method="DELETE")
    assert (ended.code, json.loads(ended.body)) == (200, {"ended": True})
    answer = await under_way
    assert (answer.code, "an operator has ended the sweep" in answer.text) == (409, True)
    status = await cluster.status()
    assert (status["sweep"], status["sweeping"]) == (None, False)
    await cluster.mend_node(1)
