"""Rot that nobody reads: the nodes find it, and the front tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs

from storaged.parts.format import FOOTER_SIZE, HEADER_SIZE
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY
from tests.cluster.waiting import eventually

UNIT = 1024
DATA = bytes(range(256)) * 24 * 100


async def scrubbed(make_cluster: Callable[..., Cluster], **settings: object) -> Cluster:
    """Start a cluster whose nodes read all their parts in a second."""
    cluster = make_cluster(unit=UNIT, **settings)
    for node in cluster.nodes:
        node.scrub_days = 1 / 86_400
    await cluster.start()
    return cluster


@pytest.mark.parametrize("offset", [5, HEADER_SIZE + 7, 40 * UNIT, -FOOTER_SIZE + 9])
@pytest_twisted.ensureDeferred
async def test_rot_is_found_and_told_though_nobody_reads_the_file(
    make_cluster: Callable[..., Cluster], offset: int
) -> None:
    cluster = await scrubbed(make_cluster)
    await cluster.put("/a", DATA)
    file = cluster.part_files()[3]
    [node] = [node for node in cluster.nodes if file.name in node.parts()]
    cluster.corrupt_part(3, offset)
    await eventually(lambda: node.store.scrubber.report().rotten)
    await cluster.look_at_nodes()
    status = await cluster.status()
    rotten = {each["id"]: each["scrub"]["rotten"] for each in status["nodes"]}
    assert rotten == {each.node_id: int(each is node) for each in cluster.nodes}
    assert [text for text in status["warnings"] if node.node_id in text and "1 rotten parts" in text]
    metrics = (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
    assert f'splitd_node_rotten_parts{{node="{node.node_id}"}} 1.0' in metrics
    assert f'splitd_node_scrubbed_bytes_total{{node="{node.node_id}"}}' in metrics
    assert file.exists(), "the node has deleted it"


@pytest_twisted.ensureDeferred
async def test_the_front_reports_the_part_and_forgets_it_with_its_file(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await scrubbed(make_cluster)
    await cluster.put("/a", DATA)
    file = cluster.part_files()[2]
    [node] = [node for node in cluster.nodes if file.name in node.parts()]
    cluster.corrupt_part(2, 10 * UNIT)
    await eventually(lambda: node.store.scrubber.report().rotten)
    await cluster.look_at_nodes()
    assert cluster.front is not None
    with capturedLogs() as logs:
        await cluster.front.upkeep.rot.look()
    [event] = [each for each in logs if "no part to spare" in each["log_format"]]
    assert (event["part"], event["node"]) == (file.name, node.node_id)
    assert cluster.front.upkeep.healer.suspects.idle
    assert file.exists(), "without parity, most of the file would be gone with it"
    assert (await cluster.ask("DELETE", "/a")).code == 204
    await eventually(lambda: not node.store.scrubber.report().rotten)
    await eventually(cluster.nothing_stored)
    await cluster.look_at_nodes()
    assert not cluster.front.registry.rotten()


@pytest_twisted.ensureDeferred
async def test_a_node_goes_on_with_its_scrub_after_a_restart(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await scrubbed(make_cluster)
    await cluster.put("/a", DATA)
    node = cluster.nodes[0]
    cluster.corrupt_part(0, 10 * UNIT)
    holder = next(each for each in cluster.nodes if cluster.part_files()[0].name in each.parts())
    await eventually(lambda: holder.store.scrubber.report().rotten)
    await eventually(lambda: node.store.scrubber.report().ended_ms)
    for each in cluster.nodes:
        await each.stop()
        each.scrub_days = 1000.0  # so slow that it finds nothing by itself
        await each.start()
    await eventually(lambda: holder.store.scrubber.report().rotten)
    await eventually(lambda: node.store.scrubber.report().ended_ms)
    await cluster.look_at_nodes()
    assert cluster.front is not None
    assert cluster.front.registry.rotten() == {holder.node_id: 1}


@pytest_twisted.ensureDeferred
async def test_a_part_that_the_disk_cannot_read_is_found_by_its_reader_and_rebuilt(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(unit=UNIT, count=9, layout="6+2", heal_limit=Size(0))
    await cluster.start()
    await cluster.put("/a", DATA * 3)
    file = cluster.part_files()[1]
    [node] = [node for node in cluster.nodes if file.name in node.parts()]
    node.filesystem.unreadable.add(file.name)
    assert (await cluster.get("/a")).body == DATA * 3
    await eventually(lambda: node.store.scrubber.report().rotten)
    assert node.store.scrubber.report().scrubbed_bytes == 0, "its scrub is off"
    await cluster.look_at_nodes()
    assert cluster.front is not None
    await cluster.front.upkeep.rot.look()
    await cluster.status_becomes(lambda status: status["heal"]["confirmed"] == 1)
    await eventually(lambda: not node.store.scrubber.report().rotten and len(cluster.part_files()) == 8)
    await cluster.status_becomes(lambda status: not status["heal"]["versions"])
    assert (await cluster.get("/a")).body == DATA * 3


async def change_scrub(cluster: Cluster, method: str) -> list[dict[str, Any]]:
    answer = await cluster.ask(method, f"{cluster.admin_url}/scrub")
    assert answer.code == 200
    nodes: list[dict[str, Any]] = json.loads(answer.body)["nodes"]
    return nodes


@pytest_twisted.ensureDeferred
async def test_it_is_paused_and_resumed_on_all_nodes_and_a_node_that_is_down_is_told(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(unit=UNIT)
    await cluster.start()
    await cluster.break_node(2)
    down = cluster.nodes[2].node_id
    await cluster.look_at_nodes()
    nodes = await change_scrub(cluster, "DELETE")
    assert {node["id"]: node["paused"] for node in nodes} == {
        node.node_id: node.node_id != down for node in cluster.nodes
    }
    assert [node["id"] for node in nodes if "it is down" in node["problem"]] == [down]
    status = await cluster.status()
    assert {node["id"] for node in status["nodes"] if node["scrub"]["paused"]} == {
        node.node_id for node in cluster.nodes if node.node_id != down
    }
    assert [text for text in status["warnings"] if "the scrub is paused by an operator on n" in text]
    metrics = (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
    assert f'splitd_node_scrub_paused{{node="{cluster.nodes[0].node_id}"}} 1.0' in metrics
    await cluster.nodes[2].start()
    await cluster.nodes[0].stop()
    await cluster.nodes[0].start()
    await cluster.look_at_nodes()
    free = {node["id"] for node in (await cluster.status())["nodes"] if not node["scrub"]["paused"]}
    assert free == {down, cluster.nodes[0].node_id}, "a pause ends with its node"
    assert all(not node["paused"] and not node["problem"] for node in await change_scrub(cluster, "POST"))
    assert (await cluster.status())["warnings"] == []


@pytest_twisted.ensureDeferred
async def test_all_nodes_are_paused_though_the_operator_who_asked_leaves(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(unit=UNIT)
    await cluster.start()
    assert cluster.front is not None
    asked = cluster.front.upkeep.scrubs.pause()
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    await eventually(lambda: all(node.store.scrubber.report().paused for node in cluster.nodes))


@pytest_twisted.ensureDeferred
async def test_what_is_no_pause_is_refused(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(unit=UNIT)
    await cluster.start()
    assert cluster.front is not None
    store = cluster.nodes[0].store
    headers = {"Authorization": f"Bearer {KEY}", "Splitd_Node": cluster.nodes[0].node_id}
    url = f"http://127.0.0.1:{cluster.nodes[0].port}/v1/scrub"
    for body in (b"", b"{}", b'{"paused": 1}', b'{"paused": true, "more": 1}', b"x" * 2000):
        answer = await cluster.ask("POST", url, body, **headers, Splitd_Cluster=(await cluster.status())["cluster"])
        assert answer.code == 400, body
    assert not store.scrubber.report().paused
