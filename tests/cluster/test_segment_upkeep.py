"""Files with segments are checked, healed, given other layouts, moved and counted as other files are."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import pytest_twisted

from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.segments import continued, put_file, put_segment
from tests.cluster.test_check import check
from tests.cluster.test_lost_nodes import loss, set_state
from tests.cluster.test_relayout import applied, asks
from tests.cluster.waiting import eventually

SEGMENTS = [Random(1).randbytes(300_000), b"", Random(2).randbytes(2000), Random(3).randbytes(50_000)]
WHOLE = b"".join(SEGMENTS)


async def started(make_cluster: Callable[..., Cluster], count: int = 8, **options: Any) -> Cluster:
    cluster = make_cluster(count=count, **{"layout": "6+2", "small_part": Size(1024), "cache": Size(0), **options})
    await cluster.start()
    return cluster


def part_files(cluster: Cluster, upload: str) -> list[Any]:
    """The files of the parts of a segment, by the parts' index."""
    found = {name: path for node in cluster.nodes for name, path in node.parts().items()}
    return [found[name] for name in sorted(found) if name.startswith(upload)]


@pytest.mark.parametrize("deep", [0, 1])
@pytest_twisted.ensureDeferred
async def test_a_check_names_the_file_and_its_hurt_segments(make_cluster: Callable[..., Cluster], deep: int) -> None:
    cluster = await started(make_cluster, heal_limit=Size(1))
    whole = await put_file(cluster, "/whole", SEGMENTS)
    hurt = await put_file(cluster, "/hurt", SEGMENTS)
    lost = await put_file(cluster, "/lost", SEGMENTS)
    assert [event["event"] for event in await check(cluster, deep=deep)] == ["end"]
    first, third = (hurt.segments[place].upload for place in (0, 3))
    part_files(cluster, first)[2].unlink()
    third_parts, lost_parts = part_files(cluster, third), part_files(cluster, lost.segments[3].upload)
    for file in (third_parts[1], third_parts[5], *lost_parts[:3]):
        file.unlink()
    *files, end = await check(cluster, deep=deep)
    found = {
        file["path"]: (
            *(file["state"], file["spare"], file["segments"]),
            [(part["segment"], part["part"], part["state"]) for part in file["parts"]],
        )
        for file in files
    }
    assert found == {
        "/hurt": ("degraded", 0, 2, [(1, 2, "missing"), (4, 1, "missing"), (4, 5, "missing")]),
        "/lost": ("lost", -1, 1, [(4, index, "missing") for index in range(3)]),
    }
    assert (end["files"], end["bytes"]) == (3, whole.size * 3)
    assert (end["degraded"], end["lost"]) == (1, 1)


@pytest_twisted.ensureDeferred
async def test_what_a_check_finds_in_segments_is_healed(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, count=9, heal_limit=Size(0))
    manifest = await put_file(cluster, "/file", SEGMENTS)
    file = part_files(cluster, manifest.segments[3].upload)[4]
    file.unlink()
    await check(cluster)
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == 1)
    assert [event["event"] for event in await check(cluster, deep=1)] == ["end"]
    assert (await cluster.get("/file")).body == WHOLE


@pytest_twisted.ensureDeferred
async def test_the_layout_of_a_collection_is_given_to_segments(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, layout="6+0", heal_limit=Size(0))
    assert (await cluster.ask("MKCOL", "/c")).code == 201
    manifest = await put_file(cluster, "/c/file", SEGMENTS)
    await asks(cluster, "PUT", "/c", "6+2")
    progress = await applied(cluster, "/")
    assert (progress["files"], progress["changed"], progress["other"], progress["hurt"]) == (1, 1, 0, 0)
    assert cluster.front is not None
    versions = await cluster.front.catalog.versions.find_all([ref.upload for ref in manifest.segments])
    assert [(each.parity, each.missing) for each in versions if each and each.nodes] == [(2, [])] * 3
    for number in (1, 4):
        await cluster.break_node(number)
    assert (await cluster.get("/c/file")).body == WHOLE


@pytest_twisted.ensureDeferred
async def test_a_file_whose_segments_a_node_holds_counts_once(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, layout="6+0", count=6)
    await put_file(cluster, "/file", SEGMENTS)
    await cluster.put("/other", os.urandom(3000))
    assert await loss(cluster, "n3") == (2, 2)


@pytest_twisted.ensureDeferred
async def test_segments_are_rebuilt_without_a_lost_node(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, count=9, heal_limit=Size(0))
    manifest = await put_file(cluster, "/file", SEGMENTS)
    begun = await continued(cluster).begin("/later", NO_MEDIA, ALWAYS)
    chosen = [(1, await put_segment(cluster, "/later", begun.upload, 1, WHOLE))]
    assert (await set_state(cluster, "n2", "lost")).code == 200
    await cluster.break_node(1)
    await cluster.status_becomes(lambda status: not (status["heal"]["versions"] or status["heal"]["leaving"]))
    assert cluster.front is not None
    ids = [ref.upload for ref in manifest.segments] + [chosen[0][1]]
    for version in await cluster.front.catalog.versions.find_all(ids):
        assert isinstance(version, Manifest)
        assert "n2" not in version.nodes
        assert not version.missing
    await continued(cluster).complete("/later", begun.upload, chosen, ALWAYS)
    for path in ("/file", "/later"):
        assert (await cluster.get(path)).body == WHOLE


@pytest_twisted.ensureDeferred
async def test_a_file_that_died_with_its_nodes_is_told_before_its_first_byte(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster, layout="6+0", count=7, heal_limit=Size(0))
    manifest = await put_file(cluster, "/file", SEGMENTS)
    assert cluster.front is not None
    [segment] = await cluster.front.catalog.versions.find_all([manifest.segments[3].upload])
    assert segment is not None
    node = segment.nodes[2]
    assert (await set_state(cluster, node, "lost")).code == 200
    answer = await cluster.get("/file", Range="bytes=302000-")
    assert answer.code >= 500
    assert "gone for good" in answer.text


@pytest_twisted.ensureDeferred
async def test_parts_of_segments_move_to_nodes_that_are_emptier(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(count=6, cache=Size(0))
    for node in cluster.nodes:
        node.filesystem.size = 8 * 2**20
    await cluster.start()
    files = {f"/{number}": [os.urandom(90_000), os.urandom(100_000)] for number in range(20)}
    for path, segments in files.items():
        await put_file(cluster, path, segments)
    await cluster.new_node(8 * 2**20)
    cluster.write_registry()
    await cluster.reload()
    await cluster.status_becomes(lambda status: status["nodes"][6]["state"] == "up")
    assert (await cluster.ask("POST", f"{cluster.admin_url}/rebalance")).code == 202
    progress = (await cluster.status_becomes(lambda status: status["rebalance"]["ended_ms"]))["rebalance"]
    assert progress["moved"] > 0
    assert progress["spread"] < progress["spread_before"]
    for path, segments in files.items():
        assert (await cluster.get(path)).body == b"".join(segments)
        assert (await cluster.ask("DELETE", path)).code == 204
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_a_sweep_knows_segments(cluster: Cluster) -> None:
    await put_file(cluster, "/file", SEGMENTS)
    begun = await continued(cluster).begin("/later", NO_MEDIA, ALWAYS)
    await put_segment(cluster, "/later", begun.upload, 1, WHOLE)
    await cluster.restart_front()
    stored = cluster.parts()
    cluster.settings["sweep_grace_s"] = 0.0
    await cluster.restart_front()
    assert (await cluster.ask("POST", f"{cluster.admin_url}/sweep")).code == 200
    status = await cluster.status()
    assert (status["sweep"]["orphans"], cluster.parts()) == (0, stored)
    assert (status["uploads"]["continued"], status["uploads"]["continued_bytes"]) == (1, len(WHOLE))
