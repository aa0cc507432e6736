"""Nodes that are declared lost, and nodes that are drained, while the cluster works."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory

from splitd.model.manifest import Manifest
from splitd.model.nodes import RegistryInvalid
from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster

SMALL, LARGE = os.urandom(3000), os.urandom(100_000)


async def started(make_cluster: Callable[..., Cluster], count: int = 8, **options: Any) -> Cluster:
    cluster = make_cluster(count=count, **{"layout": "6+2", "small_part": Size(1024), "cache": Size(0), **options})
    await cluster.start()
    return cluster


@contextmanager
def listening(port: int) -> Iterator[list[Any]]:
    """Listen in place of a node; yield the addresses of those who connect."""
    from twisted.internet import reactor

    came: list[Any] = []

    class Listener(Factory):
        def buildProtocol(self, addr: Any) -> None:
            came.append(addr)

    listener: Any = reactor.listenTCP(port, Listener(), interface="127.0.0.1")
    try:
        yield came
    finally:
        listener.stopListening()


async def set_state(cluster: Cluster, node_id: str, state: str) -> Answer:
    """Set the state of a node in the registry, and make the front read it."""
    lines = [line for line in cluster.registry.read_text().splitlines() if not line.startswith("  state:")]
    at = lines.index(f"- id: {node_id}")
    cluster.registry.write_text("\n".join([*lines[: at + 1], f"  state: {state}", *lines[at + 1 :], ""]))
    return await cluster.reload()


async def loss(cluster: Cluster, node_id: str) -> tuple[int, int]:
    answer = await cluster.ask("GET", f"{cluster.admin_url}/loss?id={node_id}")
    assert answer.code == 200, answer.text
    found = json.loads(answer.body)
    return found["files"], found["unreadable"]


@pytest_twisted.ensureDeferred
async def test_files_are_read_and_stored_without_a_lost_node_and_nothing_is_asked_of_it(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster, count=9)
    for path, data in (("/small", SMALL), ("/large", LARGE)):
        await cluster.put(path, data)
    assert (await set_state(cluster, "n2", "lost")).code == 200
    await cluster.break_node(1)
    with listening(cluster.nodes[1].port) as came:
        await use(cluster)
    assert came == []
    [told] = [each for each in (await cluster.status())["nodes"] if each["id"] == "n2"]
    assert (told["state"], told["mode"], told["problem"]) == ("lost", "lost", "it was declared lost")
    assert (told["capacity"], told["free"], told["fill"], told["volume"]) == (0, 0, None, "")
    metrics = (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
    assert 'splitd_node_state{node="n2",state="lost"} 1.0' in metrics
    assert 'splitd_node_up{node="n2"}' not in metrics


async def use(cluster: Cluster) -> None:
    """Read and store files, poll the nodes, and sweep."""
    await cluster.look_at_nodes()
    for path, data in (("/small", SMALL), ("/large", LARGE)):
        assert (await cluster.get(path)).body == data
        assert (await cluster.put(f"{path}-new", data)).code == 201
        assert (await cluster.get(f"{path}-new")).body == data
    swept = json.loads((await cluster.ask("POST", f"{cluster.admin_url}/sweep?dry_run=1")).body)
    assert "n2" not in [each["node"] for each in swept["nodes"]]


@pytest_twisted.ensureDeferred
async def test_a_lost_node_cannot_be_taken_back(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await set_state(cluster, "n2", "lost")
    answer = await set_state(cluster, "n2", "active")
    assert (answer.code, "n2 was declared lost, which cannot be taken back" in answer.text) == (422, True)
    assert (await cluster.status())["nodes"][1]["state"] == "lost"


@pytest_twisted.ensureDeferred
async def test_a_front_does_not_start_with_a_registry_that_takes_a_lost_node_back(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    assert cluster.front is not None
    await cluster.front.catalog.heal_ledger.lose_node("n2")
    await cluster.stop_front()
    front = cluster.make_front()
    with pytest.raises(RegistryInvalid, match="n2 was declared lost"):
        await front.start()


@pytest_twisted.ensureDeferred
async def test_the_loss_of_a_node_is_told_before_it_happens(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.ask("MKCOL", "/plain")
    await cluster.ask("PUT", f"{cluster.admin_url}/layout?path=/plain&layout=8+0")
    for path, data in (("/small", SMALL), ("/large", LARGE), ("/none", b"")):
        await cluster.put(path, data)
    assert await loss(cluster, "n1") == (2, 0)
    for path, data in (("/plain/small", SMALL), ("/plain/large", LARGE), ("/plain/none", b"")):
        await cluster.put(path, data)
    assert await loss(cluster, "n1") == (4, 2)
    for node_id in ("n7", "n8"):
        await set_state(cluster, node_id, "lost")
    answer = await cluster.ask("GET", f"{cluster.admin_url}/loss?id=n9")
    assert (answer.code, "there is no node n9" in answer.text) == (404, True)


async def store_byte(cluster: Cluster, lost: set[str]) -> None:
    """Store /byte, which can be read without some nodes: five of its data parts have no bytes.

    Chance places the parts, so store it until a part with the byte, or a parity part, is on another node.
    """
    assert cluster.front is not None
    while True:
        assert (await cluster.put("/byte", b"x")).code in {201, 204}
        manifest = await cluster.front.catalog.lookup("/byte")
        assert isinstance(manifest, Manifest)
        if {manifest.nodes[0], *manifest.nodes[6:]} - lost:
            return


@pytest_twisted.ensureDeferred
async def test_nodes_that_are_lost_already_count_in_the_loss_of_the_next(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/large", LARGE)
    await store_byte(cluster, {"n1", "n2", "n3"})
    registry = cluster.registry.read_text()
    for expected in ((2, 0), (2, 0), (2, 1)):
        assert await loss(cluster, "n1") == expected
        lost = (await cluster.status())["nodes"]
        next_id = next(node["id"] for node in lost[1:] if node["mode"] == "active")
        registry = registry.replace(f"- id: {next_id}\n", f"- id: {next_id}\n  state: lost\n")
        cluster.registry.write_text(registry)
        assert (await cluster.reload()).code == 200


@pytest_twisted.ensureDeferred
async def test_a_draining_node_is_read_and_takes_no_new_parts(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, count=9)
    await cluster.put("/large", LARGE)
    assert (await set_state(cluster, "n2", "draining")).code == 200
    assert (await cluster.status())["nodes"][1]["state"] == "draining"
    before = set(cluster.nodes[1].parts())
    for number in range(8):
        assert (await cluster.put(f"/new-{number}", LARGE)).code == 201
    assert set(cluster.nodes[1].parts()) <= before
    assert (await cluster.get("/large")).body == LARGE
    assert (await cluster.ask("GET", f"{cluster.admin_url}/ready")).code == 200
    assert (await set_state(cluster, "n2", "active")).code == 200
    assert (await cluster.status())["nodes"][1]["state"] == "up"


@pytest_twisted.ensureDeferred
async def test_a_file_that_died_with_lost_nodes_is_said_to_be_lost_at_once_and_later(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    for path, data in (("/small", SMALL), ("/large", LARGE)):
        await cluster.put(path, data)
    assert cluster.front is not None
    await cluster.front.upkeep.healer.stop()  # it would record what is lost
    await lose(cluster, "n2", "n5", "n8")
    for path in ("/small", "/large"):
        manifest = await cluster.front.catalog.lookup(path)
        gone = ", ".join(str(index) for index, node in enumerate(manifest.nodes) if node in {"n2", "n5", "n8"})
        answer = await cluster.get(path)
        assert answer.code == 500
        told = f"the file is lost: parts {gone} are gone for good with n2, n5, n8, of 8 parts, and it can do without 2"
        assert told in answer.text
        assert "again later" not in answer.text
    await restart_with_registry(cluster)
    await cluster.status_becomes(lambda status: status["heal"]["unreadable"] == 2)
    for path in ("/small", "/large"):
        answer = await cluster.get(path)
        assert (answer.code, "are gone for good, of 8 parts" in answer.text) == (500, True)


@pytest_twisted.ensureDeferred
async def test_a_file_is_not_said_to_be_lost_while_a_node_that_is_down_may_bring_it_back(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    for path, data in (("/small", SMALL), ("/large", LARGE)):
        await cluster.put(path, data)
    await lose(cluster, "n2", "n5")
    await cluster.break_node(0)
    for path in ("/small", "/large"):
        answer = await cluster.get(path)
        assert (answer.code, "the file is kept; try again later" in answer.text) == (503, True), answer.text


async def lose(cluster: Cluster, *node_ids: str) -> None:
    """Declare nodes lost."""
    text = cluster.registry.read_text()
    for node_id in node_ids:
        text = text.replace(f"- id: {node_id}\n", f"- id: {node_id}\n  state: lost\n")
    cluster.registry.write_text(text)
    assert (await cluster.reload()).code == 200


async def restart_with_registry(cluster: Cluster) -> None:
    """Restart the front with the registry as it is now."""
    text = cluster.registry.read_text()
    cluster.write_registry = lambda: cluster.registry.write_text(text)  # type: ignore[method-assign,assignment,return-value]
    await cluster.restart_front()
