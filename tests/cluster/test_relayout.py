"""Files that are stored already get the parity that their collection asks for, and lose it again."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted

from splitd.model.manifest import Manifest
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.parts import manifest_of

FILES = {f"/c/{size}": os.urandom(size) for size in (1, 5_000, 50_000)}
OTHER = os.urandom(5_000)


async def asks(cluster: Cluster, method: str, path: str, layout: str = "") -> None:
    more = f"&layout={layout.replace('+', '%2B')}" if layout else ""
    assert (await cluster.ask(method, f"{cluster.admin_url}/layout?path={path}{more}")).code == 200


async def applied(cluster: Cluster, path: str) -> dict[str, Any]:
    """Apply the layouts below a path, and wait until all is done that follows from it."""
    answer = await cluster.ask("POST", f"{cluster.admin_url}/layout/apply?path={path}")
    assert answer.code == 202, answer.text
    await cluster.status_becomes(lambda status: status["relayout"]["state"] != "running")
    await cluster.status_becomes(lambda status: not status["heal"]["versions"])
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    progress: dict[str, Any] = (await cluster.status())["relayout"]
    return progress


async def parts_of(cluster: Cluster, manifest: Manifest) -> dict[str, str]:
    """Return where the parts of a version lie."""
    listed = {info.part_id: node.node_id for node in cluster.nodes for info in await node.listed()}
    return {part: node for part, node in listed.items() if part.startswith(manifest.upload)}


@pytest.mark.parametrize("small_part", [0, 65_536], ids=["large parts", "small parts"])
@pytest_twisted.ensureDeferred
async def test_parity_is_added_and_dropped_while_the_data_parts_stay_where_they_are(
    make_cluster: Callable[..., Cluster], small_part: int
) -> None:
    cluster = make_cluster(count=8, small_part=Size(small_part), cache=Size(0), heal_limit=Size(0))
    await cluster.start()
    assert (await cluster.ask("MKCOL", "/c")).code == 201
    for path, data in FILES.items():
        assert (await cluster.put(path, data)).code == 201
    assert (await cluster.put("/other", OTHER)).code == 201
    assert (await cluster.ask("COPY", "/c/5000", Destination=cluster.url("/c/copy"))).code == 201
    before = {path: await manifest_of(cluster, path) for path in (*FILES, "/other")}
    await asks(cluster, "PUT", "/c", "6+2")
    progress = await applied(cluster, "/")
    assert (progress["state"], progress["files"], progress["changed"], progress["other"]) == ("done", 5, 3, 0)
    for path in FILES:
        now = await manifest_of(cluster, path)
        assert (now.nodes[:6], now.parity, now.missing) == (before[path].nodes, 2, [])
        assert await parts_of(cluster, now) == {part: node for node, part in now.holdings()}
    assert (await manifest_of(cluster, "/c/copy")).nodes == (await manifest_of(cluster, "/c/5000")).nodes
    assert await manifest_of(cluster, "/other") == before["/other"]
    for number in (1, 4):
        await cluster.break_node(number)
    for path, data in FILES.items():
        answer = await cluster.get(path)
        assert (answer.code, answer.body == data) == (200, True)
    for number in (1, 4):
        await cluster.nodes[number].start()
    await cluster.look_at_nodes()
    await asks(cluster, "DELETE", "/c")
    assert (await applied(cluster, "/c"))["changed"] == 3
    for path, data in FILES.items():
        assert await manifest_of(cluster, path) == before[path]
        assert await parts_of(cluster, before[path]) == {part: node for node, part in before[path].holdings()}
        assert (await cluster.get(path)).body == data


@pytest_twisted.ensureDeferred
async def test_parity_that_is_not_made_yet_is_made_after_a_restart(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(count=8, layout="6+0", heal_limit=Size(0))
    await cluster.start()
    assert (await cluster.put("/file", FILES["/c/50000"])).code == 201
    for node in cluster.nodes:
        node.filesystem.hold("write")  # so that the heal makes no part
    await asks(cluster, "PUT", "/", "6+2")
    assert (await cluster.ask("POST", f"{cluster.admin_url}/layout/apply?path=/")).code == 202
    await cluster.status_becomes(lambda status: status["heal"]["parts"] == 2)
    await cluster.crash_front()
    for node in cluster.nodes:
        node.filesystem.release()
    await cluster.start_front()
    await cluster.status_becomes(lambda status: not status["heal"]["versions"])
    assert (await manifest_of(cluster, "/file")).missing == []
