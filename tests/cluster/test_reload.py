"""The registry changes while the cluster works; a bad registry changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.raw import RawClient
from tests.cluster.test_versions import read_slowly
from tests.cluster.waiting import eventually
from tests.ports import free_ports

LARGE = 24_000_000


def told(answer: Answer) -> dict[str, object]:
    assert answer.code == 200, answer.text
    found: dict[str, object] = json.loads(answer.body)
    return found


async def node_states(cluster: Cluster) -> dict[str, str]:
    return {node["id"]: node["state"] for node in (await cluster.status())["nodes"]}


async def begin_upload(cluster: Cluster, path: str, size: int) -> RawClient:
    client = await cluster.connect()
    client.begin("PUT", path, f"Content-Length: {size}")
    client.send(bytes(size // 2))
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    return client


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_added_takes_parts_and_nobody_notices(cluster: Cluster) -> None:
    data = os.urandom(LARGE)
    await cluster.put("/old", data)
    reader, writer = await read_slowly(cluster, "/old"), await begin_upload(cluster, "/new", LARGE)
    node = await cluster.new_node()
    cluster.write_registry()
    reloaded = told(await cluster.reload())
    added = reloaded.pop("added")
    assert reloaded == {"nodes": 7, "moved": [], "changed": []}
    assert added in (["n7"], [])  # the front may have seen by itself just before that the file has changed
    await cluster.status_becomes(lambda status: status["nodes"][6]["state"] == "up")
    for number in range(12):
        assert (await cluster.put(f"/file-{number}", b"x" * 10_000)).code == 201
    assert node.parts()
    writer.send(bytes(LARGE - LARGE // 2))
    assert (await writer.answer()).code == 201
    reader.read_on()
    assert (await reader.answer()).body == data
    assert told(await cluster.reload()) == {"nodes": 7, "added": [], "moved": [], "changed": []}


@pytest_twisted.ensureDeferred
async def test_a_file_that_changes_is_read_without_being_asked(cluster: Cluster) -> None:
    await cluster.new_node()
    cluster.write_registry()
    await cluster.status_becomes(lambda status: len(status["nodes"]) == 7)
    await cluster.new_node()
    text = cluster.registry.read_text()
    beside = cluster.registry.with_suffix(".new")
    beside.write_text(f"{text}- id: n8\n  url: {cluster._node_url(cluster.nodes[7])}\n")
    beside.replace(cluster.registry)
    await cluster.status_becomes(lambda status: [node["state"] for node in status["nodes"]] == ["up"] * 8)


BAD = [
    ("- id: n1\n  url: http://127.0.0.1:1\n", "line 2: the list ends without node n2, n3, n4, n5, n6"),
    ("{text}- id: n1\n  url: http://127.0.0.1:1\n", "line 13: id n1 stands on line 1"),
    ("{text}- id: n7\n  url: {url}\n", "line 13: url .* stands on line 1"),
    ("{text}- id: n7\n  url: http://127.0.0.1\n", "line 13: url .*: should be like"),
    ("{text}- id: n7\n  url: http://h:1/?x=1\n", "line 13: url .*: should be like"),
    ("{text}- id: n7\n  url: http://h:1\n  color: red\n", "line 13: .*color"),
    ("{text}- id: n7\n  url: http://h:1\n  weight: much\n", "line 13: .*weight"),
    ("{text}- id: [\n", "line 1[34]: "),
    ("{text}- id: n7\n  url: http://h:1\n  zone: 2024-02-30\n", "line 13: .*day"),
    ("{text}- id: n7\n  url: http://h:1\n  url: http://h:2\n", "line 13: url stands there twice"),
    ("{text}- " + "[" * 5000, "line 1"),
    ("", "line 1: should be a list"),
    ("\udcff", "codec"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
@pytest_twisted.ensureDeferred
async def test_a_bad_registry_changes_nothing_and_names_file_line_and_reason(
    cluster: Cluster, text: str, reason: str
) -> None:
    good = cluster.registry.read_text()
    before = await node_states(cluster)
    bad = text.format(text=good, url=cluster._node_url(cluster.nodes[0]))
    cluster.registry.write_bytes(bad.encode("utf-8", "surrogateescape"))
    answer = await cluster.reload()
    assert answer.code == 422
    assert answer.text.startswith(f"{cluster.registry}: ")
    status = await cluster.status()
    refused = status["registry"]["refused"]
    assert (refused["reason"] + "\n", status["ready"], await node_states(cluster)) == (answer.text, True, before)
    assert any(refused["reason"] in warning for warning in status["warnings"])
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(answer.text)
    assert (await cluster.put("/file", b"x" * 10_000)).code == 201
    cluster.registry.write_text(good)
    status = await cluster.status_becomes(lambda status: status["registry"]["refused"] is None)
    assert status["warnings"] == []


@pytest_twisted.ensureDeferred
async def test_a_registry_that_is_gone_changes_nothing(cluster: Cluster) -> None:
    kept = cluster.registry.rename(cluster.folder / "kept.yaml")
    answer = await cluster.reload()
    assert (answer.code, answer.text) == (422, f"{cluster.registry}: No such file or directory\n")
    kept.rename(cluster.registry)
    assert told(await cluster.reload())["nodes"] == 6


@pytest_twisted.ensureDeferred
async def test_a_node_that_listens_elsewhere_is_the_same_node(cluster: Cluster) -> None:
    data, small = os.urandom(200_000), b"small"
    await cluster.put("/large", data)
    await cluster.put("/small", small)
    node = cluster.nodes[2]
    await node.stop()
    node.port = free_ports()
    await node.start()
    assert (await cluster.get("/large")).code == 503
    cluster.write_registry()
    assert told(await cluster.reload()) == {"nodes": 6, "added": [], "moved": ["n3"], "changed": []}
    await cluster.status_becomes(lambda status: status["nodes"][2]["state"] == "up")
    assert (await cluster.get("/large")).body == data
    assert (await cluster.get("/small")).body == small
    assert (await cluster.put("/large", data[::-1])).code == 204


@pytest_twisted.ensureDeferred
async def test_a_place_that_is_left_keeps_no_connection(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(small_part=Size(65_536), cache=Size(0))
    await cluster.start()
    await cluster.put("/file", b"x" * 600)
    node = cluster.nodes[0]
    links = len(node.connections())
    for host in ("localhost", "127.0.0.1") * 3:
        cluster.urls["n1"] = f"http://{host}:{node.port}"
        cluster.write_registry()
        assert told(await cluster.reload())["moved"] == ["n1"]
        assert (await cluster.get("/file")).body == b"x" * 600
    await eventually(lambda: len(node.connections()) <= links + 2, "the old links gone")


@pytest_twisted.ensureDeferred
async def test_small_files_find_a_node_that_listens_elsewhere(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(small_part=Size(65_536), cache=Size(0))
    await cluster.start()
    await cluster.put("/before", b"before" * 10)
    node = cluster.nodes[2]
    await node.stop()
    node.port = free_ports()
    await node.start()
    cluster.write_registry()
    await cluster.reload()
    await cluster.status_becomes(lambda status: status["nodes"][2]["state"] == "up")
    assert (await cluster.get("/before")).body == b"before" * 10
    assert (await cluster.put("/after", b"after" * 10)).code == 201
    assert (await cluster.get("/after")).body == b"after" * 10


@pytest_twisted.ensureDeferred
async def test_downloads_under_way_come_to_their_end_at_the_old_place(cluster: Cluster) -> None:
    data = os.urandom(LARGE)
    await cluster.put("/file", data)
    reader, writer = await read_slowly(cluster, "/file"), await begin_upload(cluster, "/new", LARGE)
    # A second way to the same node: a proxy, a name, another address of the machine.
    cluster.urls["n2"] = f"http://localhost:{cluster.nodes[1].port}"
    cluster.write_registry()
    assert told(await cluster.reload())["moved"] == ["n2"]
    reader.read_on()
    assert (await reader.answer()).body == data
    writer.send(bytes(LARGE - LARGE // 2))
    assert (await writer.answer()).code == 201


@pytest_twisted.ensureDeferred
async def test_a_stranger_at_a_nodes_url_gets_nothing(cluster: Cluster) -> None:
    stranger = await cluster.new_node()
    del cluster.nodes[-1]
    cluster.urls["n2"] = f"http://127.0.0.1:{stranger.port}"
    cluster.write_registry()
    await cluster.reload()
    status = await cluster.status_becomes(lambda status: status["nodes"][1]["state"] == "stranger")
    assert status["nodes"][1]["problem"] == "this is node n7"
    refused = await cluster.put("/file", b"x" * 10_000)
    assert (refused.code, "n2 is stranger" in refused.text) == (507, True)
    assert not stranger.parts()
    await stranger.stop()
    del cluster.urls["n2"]
    cluster.write_registry()
    await cluster.status_becomes(lambda status: status["ready"])
    assert (await cluster.put("/file", b"x" * 10_000)).code == 201


@pytest_twisted.ensureDeferred
async def test_a_node_can_be_made_readonly_and_active_again(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(count=7)
    await cluster.start()
    await cluster.put("/before", b"x" * 10_000)
    text = cluster.registry.read_text()
    cluster.registry.write_text(text.replace("- id: n1\n", "- id: n1\n  state: readonly\n  zone: cellar\n"))
    assert told(await cluster.reload())["changed"] == ["n1"]
    assert (await node_states(cluster))["n1"] == "readonly"
    held = len(cluster.nodes[0].parts())
    for number in range(10):
        assert (await cluster.put(f"/file-{number}", b"x" * 10_000)).code == 201
    assert len(cluster.nodes[0].parts()) == held
    assert (await cluster.get("/before")).code == 200
    await cluster.nodes[1].stop()
    refused = await cluster.put("/more", b"x" * 10_000)
    failed = "node n2: the connection was refused; no other node can take the part now: n1 is readonly"
    assert (refused.code, failed in refused.text) == (507, True)
    cluster.registry.write_text(text)
    await cluster.reload()
    assert (await cluster.put("/more", b"x" * 10_000)).code == 201


@pytest_twisted.ensureDeferred
async def test_a_front_does_not_start_without_a_node_on_which_there_are_parts(cluster: Cluster) -> None:
    await cluster.put("/file", b"x" * 10_000)
    await cluster.stop_front()
    missing = cluster.nodes.pop()
    with pytest.raises(ValueError, match="the list ends without node n6: there are parts on it"):
        await cluster.start_front()
    await cluster.stop_front()
    cluster.nodes.append(missing)
    await cluster.start_front()
    assert (await cluster.get("/file")).code == 200


@pytest_twisted.ensureDeferred
async def test_a_server_is_looked_at_before_it_becomes_a_node_and_does_not_join_by_that(cluster: Cluster) -> None:
    node = await cluster.new_node()

    async def probe(node_id: str, url: str) -> Answer:
        return await cluster.ask("POST", f"{cluster.admin_url}/probe?id={node_id}&url={url}")

    url = f"http://127.0.0.1:{node.port}"
    found = told(await probe("n7", url))
    assert (found["id"], found["cluster"], found["parts"]) == ("n7", "", False)
    assert found["capacity"] >= found["free"] > 0  # type: ignore[operator]
    assert json.loads((node.folder / "identity.json").read_text())["cluster"] == ""
    for node_id, where, code, reason in [
        ("n8", url, 409, "this is node n7"),
        ("n1", url, 409, "node n1 at .* is registered already"),
        ("n8", cluster._node_url(cluster.nodes[0]), 409, "node n1 at .* is registered already"),
        ("n8", f"http://127.0.0.1:{free_ports()}", 503, "refused"),
        ("n8", "ftp://x", 400, "should be like http://HOST:PORT"),
        ("a/b", url, 400, "id"),
        ("n8", "", 400, "url"),
    ]:
        answer = await probe(node_id, where)
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(answer.text)
        assert answer.code == code
    assert (await cluster.ask("POST", f"{cluster.admin_url}/probe?id=n7")).text == "url is missing\n"


@pytest_twisted.ensureDeferred
async def test_a_server_of_another_cluster_is_not_taken_for_new(make_cluster: Callable[..., Cluster]) -> None:
    ours, theirs = make_cluster(), make_cluster(count=7)
    await ours.start()
    await theirs.start()
    url = f"http://127.0.0.1:{theirs.nodes[6].port}"
    answer = await ours.ask("POST", f"{ours.admin_url}/probe?id=n7&url={url}")
    assert (answer.code, "belongs to another cluster" in answer.text) == (409, True)


@pytest_twisted.ensureDeferred
async def test_a_registry_that_was_replaced_behind_a_mount_is_told(cluster: Cluster, tmp_path: Path) -> None:
    # As in a container whose file was replaced outside: what is mounted has no name any more.
    descriptor = os.open(cluster.registry, os.O_RDONLY)
    cluster.registry.unlink()
    cluster.registry.symlink_to(f"/proc/self/fd/{descriptor}")
    status = await cluster.status_becomes(lambda status: status["warnings"])
    os.close(descriptor)
    assert "mount the folder that it lies in" in status["warnings"][0]


@pytest_twisted.ensureDeferred
async def test_a_node_that_fails_when_it_is_used_is_left_alone_and_comes_back_by_itself(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(count=7)
    await cluster.start()
    cluster.nodes[0].filesystem.fails_sync = True
    # Not each file has a part there, and the next poll may find the node well: store until it is seen to be down.
    while (node := (await cluster.status())["nodes"][0])["state"] != "down":
        assert (await cluster.put("/file", b"x" * 10_000)).code in {201, 204, 503}
    assert node["problem"]
    cluster.nodes[0].filesystem.fails_sync = False
    await cluster.status_becomes(lambda status: status["nodes"][0]["state"] == "up")
