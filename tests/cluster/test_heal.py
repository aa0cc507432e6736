"""Missing and damaged parts are rebuilt, and parts leave nodes that are lost, away for long, or draining."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from splitd.interfaces.nodes import SLOW, WELL
from splitd.model.erasure import cut_whole
from splitd.model.manifest import Manifest
from storaged.parts.format import encode_part, stored_size
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.parts import STRIPE, flip, manifest_of, truncate, unlink
from tests.cluster.waiting import eventually

FILES = {f"/{size}": os.urandom(size) for size in (1, 5, STRIPE - 1, STRIPE + 1, 7 * STRIPE + 3000, 400_000)}
NEVER_S = 3600.0
SETTINGS: dict[str, Any] = {"layout": "6+2", "min_parts": 6, "cache": Size(0), "heal_limit": Size(0)}


@pytest.fixture(params=[0, 65_536], ids=["large parts", "small parts"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"small_part": Size(request.param)}


async def started(make_cluster: Callable[..., Cluster], count: int = 8, **settings: Any) -> Cluster:
    cluster = make_cluster(count=count, **(SETTINGS | settings))
    await cluster.start()
    return cluster


async def stored(make_cluster: Callable[..., Cluster], count: int = 8, **settings: Any) -> Cluster:
    cluster = await started(make_cluster, count, **settings)
    for path, data in FILES.items():
        assert (await cluster.put(path, data)).code == 201
    return cluster


async def healed(cluster: Cluster, away: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Wait until nothing is left to heal and to delete, and compare every byte on every node with what should be there.

    :param away: the ids of nodes that should hold none of the parts, and are not looked at.
    """
    await cluster.status_becomes(lambda status: is_whole(status["heal"]))
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0 or away)
    await holds_what_it_should(cluster, away)


def is_whole(heal: dict[str, Any]) -> bool:
    return not heal["versions"] and not heal["leaving"] and heal["state"] == "idle"


async def holds_what_it_should(cluster: Cluster, away: set[str]) -> None:
    expected: dict[str, dict[str, bytes]] = {node.node_id: {} for node in cluster.nodes}
    for path, data in FILES.items():
        manifest = await manifest_of(cluster, path)
        assert (len(set(manifest.nodes)), set(manifest.nodes) & {"", *away}) == (8, set())
        for index, payload in enumerate(cut_whole(manifest.layout, data)):
            part = manifest.part(index)
            expected[manifest.nodes[index]][str(part)] = encode_part(part, manifest.unit, payload)
        answer = await cluster.get(path)
        assert (answer.code, answer.body == data) == (200, True)
    for node in cluster.nodes:
        if node.node_id not in away:
            names = sorted(expected[node.node_id])
            assert [info.part_id for info in await node.listed()] == names
            for name in names:
                [data] = await node.store.get_all([name])
                assert data == expected[node.node_id][name], f"{name} on {node.node_id}"


def node_of(cluster: Cluster, manifest: Manifest, index: int) -> Any:
    return next(node for node in cluster.nodes if node.node_id == manifest.nodes[index])


@pytest_twisted.ensureDeferred
async def test_parts_that_could_not_be_stored_are_made_up_for_when_their_node_is_back(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **options)
    for number in (0, 4):
        await cluster.break_node(number)
    for path, data in FILES.items():
        assert (await cluster.put(path, data)).code == 201
    status = await cluster.status_becomes(lambda status: status["heal"]["state"] == "blocked")
    assert status["heal"]["versions"] == {"0": len(FILES)}
    assert status["heal"]["problem"] == "8 nodes are needed for files of layout 6+2, 6 can take parts"
    await cluster.nodes[0].start()
    await cluster.look_at_nodes()
    await cluster.status_becomes(lambda status: status["heal"]["versions"] == {"1": len(FILES)})
    await cluster.nodes[4].start()
    await cluster.look_at_nodes()
    await healed(cluster)
    heal = (await cluster.status())["heal"]
    assert (heal["healed_parts"], heal["parts"], heal["problem"]) == (2 * len(FILES), 0, "")


@pytest_twisted.ensureDeferred
async def test_what_is_to_be_healed_is_known_after_a_restart(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.break_node(3)
    for path, data in FILES.items():
        assert (await cluster.put(path, data)).code == 201
    await cluster.crash_front()
    await cluster.nodes[3].start()
    await cluster.start_front()
    await healed(cluster)


@pytest.mark.parametrize("harm", [unlink, truncate, flip])
@pytest_twisted.ensureDeferred
async def test_parts_that_are_reported_are_checked_and_rebuilt_where_they_were_if_there_is_no_other_node(
    make_cluster: Callable[..., Cluster], harm: Callable[[Path], None]
) -> None:
    cluster = await stored(make_cluster, reap_interval_s=NEVER_S)
    assert cluster.front is not None
    manifest = await manifest_of(cluster, "/400000")
    for index in (2, 7):
        harm(node_of(cluster, manifest, index).parts()[str(manifest.part(index))])
    for index in range(8):
        cluster.front.upkeep.healer.suspects.found(manifest, index, "it may be wrong")
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == 2)
    await healed(cluster)
    heal = (await cluster.status())["heal"]
    assert (heal["confirmed"], heal["failed"]) == (2, 0)
    assert set((await manifest_of(cluster, "/400000")).nodes) == set(manifest.nodes)


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_reported_while_its_node_is_away_is_not_lost(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await stored(make_cluster, count=9)
    assert cluster.front is not None
    manifest = await manifest_of(cluster, "/400000")
    node = node_of(cluster, manifest, 3)
    await node.stop()
    cluster.front.upkeep.healer.suspects.found(manifest, 3, "no answer")
    cluster.front.upkeep.healer.suspects.found(manifest, 4, "for comparison")
    await eventually(lambda: cluster.front is not None and cluster.front.upkeep.healer.suspects.idle)
    await node.start()
    await cluster.look_at_nodes()
    await healed(cluster)
    assert (await cluster.status())["heal"]["confirmed"] == 0


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_away_for_long_is_done_without_and_gives_up_what_was_rebuilt(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await stored(make_cluster, count=10, heal_after_s=0.0, **options)
    for number in (2, 7):
        await cluster.break_node(number)
    await cluster.look_at_nodes()
    await healed(cluster, {"n3", "n8"})
    for number in (2, 7):
        await cluster.nodes[number].start()
    await cluster.look_at_nodes()
    await healed(cluster)


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_away_for_a_short_time_costs_nothing(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await stored(make_cluster, count=9, heal_after_s=NEVER_S)
    await cluster.break_node(2)
    await cluster.look_at_nodes()
    heal = (await cluster.status())["heal"]
    assert (heal["state"], heal["leaving"]) == ("idle", [])
    await cluster.nodes[2].start()
    await cluster.look_at_nodes()
    await healed(cluster)
    assert (await cluster.status())["heal"]["healed_parts"] == 0


@pytest_twisted.ensureDeferred
async def test_parts_on_a_node_that_is_away_stay_there_if_no_other_node_is_left(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await stored(make_cluster, heal_after_s=0.0)
    await cluster.break_node(2)
    await cluster.look_at_nodes()
    status = await cluster.status_becomes(lambda status: status["heal"]["state"] == "blocked")
    assert status["heal"]["problem"] == "8 nodes are needed for files of layout 6+2, 7 can take parts"
    [leaving] = status["heal"]["leaving"]
    assert (leaving["id"], leaving["why"], leaving["parts"]) == ("n3", "away", len(FILES))
    counted = await cluster.status_becomes(lambda status: status["heal"]["leaving"][0]["bytes"] is not None)
    size = 0
    for path in FILES:
        manifest = await manifest_of(cluster, path)
        size += stored_size(manifest.part_size(manifest.nodes.index("n3")), manifest.unit)
    assert counted["heal"]["leaving"] == [{**leaving, "bytes": size, "seconds_left": None}]
    await cluster.new_node()
    cluster.write_registry()
    assert (await cluster.reload()).code == 200
    await healed(cluster, {"n3"})


async def declare(cluster: Cluster, **states: str) -> None:
    """Give nodes states in the registry."""
    cluster.write_registry()
    text = cluster.registry.read_text()
    for node, state in states.items():
        text = text.replace(f"- id: {node}\n", f"- id: {node}\n  state: {state}\n")
    cluster.registry.write_text(text)
    answer = await cluster.reload()
    assert answer.code == 200, answer.text


@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_lost_node_are_rebuilt_on_others_and_nothing_is_left_to_delete_there(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await stored(make_cluster, count=10, heal_after_s=NEVER_S, **options)
    for number in (2, 7):
        await cluster.break_node(number)
    assert (await cluster.put("/deleted", FILES["/400000"])).code == 201
    assert (await cluster.ask("DELETE", "/400000")).code == 204
    assert (await cluster.ask("MOVE", "/deleted", None, Destination=cluster.url("/400000"))).code == 201
    await declare(cluster, n3="lost", n8="lost")
    await healed(cluster, {"n3", "n8"})
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)


@pytest_twisted.ensureDeferred
async def test_the_parts_of_a_draining_node_are_moved_to_others(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await stored(make_cluster, count=9, **options)
    await declare(cluster, n3="draining")
    await cluster.status_becomes(lambda status: is_whole(status["heal"]))
    await healed(cluster)
    assert await cluster.nodes[2].listed() == []


@pytest_twisted.ensureDeferred
async def test_files_without_parity_leave_a_draining_node_too(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, count=7, layout="6+0")
    assert (await cluster.put("/file", FILES["/400000"])).code == 201
    node = (await manifest_of(cluster, "/file")).nodes[0]
    await declare(cluster, **{node: "draining"})
    await eventually(lambda: not any(each.parts() for each in cluster.nodes if each.node_id == node))
    assert (await cluster.get("/file")).body == FILES["/400000"]


@pytest_twisted.ensureDeferred
async def test_a_heal_that_the_front_does_not_survive_is_done_after_its_start(
    make_cluster: Callable[..., Cluster], options: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **options)
    await cluster.break_node(3)
    for path, data in FILES.items():
        assert (await cluster.put(path, data)).code == 201
    filesystem = cluster.nodes[3].filesystem
    filesystem.hold("write")
    await cluster.nodes[3].start()
    await cluster.look_at_nodes()
    await eventually(lambda: filesystem.waiting, "a part that is being rebuilt")
    await cluster.crash_front()
    filesystem.release()
    await cluster.start_front()
    await healed(cluster)


@pytest_twisted.ensureDeferred
async def test_a_file_of_which_too_much_is_lost_is_told_and_left_alone(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await stored(make_cluster)
    assert cluster.front is not None
    manifest = await manifest_of(cluster, "/400000")
    await cluster.front.upkeep.healer.stop()  # or it would rebuild the first part before the third is lost
    for index in (0, 3, 7):
        unlink(node_of(cluster, manifest, index).parts()[str(manifest.part(index))])
        await cluster.front.catalog.heal_ledger.lose(manifest.nodes[index], [manifest.part(index)], "", remains=False)
    await cluster.restart_front()
    status = await cluster.status()
    assert (status["heal"]["unreadable"], status["heal"]["versions"], status["heal"]["state"]) == (1, {"-1": 1}, "idle")
    assert (await cluster.get("/400000")).code == 500
    assert (await cluster.ask("DELETE", "/400000")).code == 204
    assert (await cluster.status())["heal"]["versions"] == {}


@pytest_twisted.ensureDeferred
async def test_the_limit_can_be_changed_while_it_heals(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, heal_limit=Size(1))
    assert (await cluster.status())["heal"]["limit"] == 1
    await cluster.break_node(3)
    for path, data in FILES.items():
        assert (await cluster.put(path, data)).code == 201
    answer = await cluster.ask("POST", f"{cluster.admin_url}/heal?limit=0")
    assert (answer.code, b'"limit":null' in answer.body) == (200, True)
    for query, told in (("?limit=-1", "limit"), ("?limit=fast", "limit")):
        answer = await cluster.ask("POST", f"{cluster.admin_url}/heal{query}")
        assert (answer.code, told in answer.text) == (400, True)
    await cluster.nodes[3].start()
    await cluster.look_at_nodes()
    await healed(cluster)
    metrics = (await cluster.get(f"{cluster.admin_url}/metrics")).text
    assert f"splitd_healed_parts_total {len(FILES)}.0" in metrics
    assert 'splitd_degraded_versions{spare="1"} 0.0' in metrics


@pytest_twisted.ensureDeferred
async def test_a_damaged_part_stays_where_its_file_has_none_to_spare(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await stored(make_cluster, layout="6+0")
    assert cluster.front is not None
    manifest = await manifest_of(cluster, "/400000")
    path = node_of(cluster, manifest, 2).parts()[str(manifest.part(2))]
    flip(path)
    cluster.front.upkeep.healer.suspects.found(manifest, 2, "it may be wrong")
    await eventually(lambda: cluster.front is not None and cluster.front.upkeep.healer.suspects.idle)
    assert (await manifest_of(cluster, "/400000")).nodes == manifest.nodes
    heal = (await cluster.status())["heal"]
    assert (heal["confirmed"], heal["unreadable"], heal["parts"]) == (0, 0, 0)
    good = 4 * STRIPE  # the stripes before the damage
    assert (await cluster.get("/400000", Range=f"bytes=0-{good - 1}")).body == FILES["/400000"][:good]
    flip(path)  # the right bytes are back
    assert (await cluster.get("/400000")).body == FILES["/400000"]


@pytest.mark.parametrize("harm", [unlink, truncate, flip])
@pytest_twisted.ensureDeferred
async def test_what_a_download_finds_is_healed(
    make_cluster: Callable[..., Cluster], harm: Callable[[Path], None]
) -> None:
    cluster = await stored(make_cluster)
    data = FILES["/400000"]
    manifest = await manifest_of(cluster, "/400000")
    for index in (1, 4):
        parts = node_of(cluster, manifest, index).parts()
        harm(parts[str(manifest.part(index))])
    answer = await cluster.get("/400000")
    assert (answer.code, answer.body == data) == (200, True)
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == 2)
    await healed(cluster)


@pytest_twisted.ensureDeferred
async def test_a_node_is_read_from_last_while_it_is_filled(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, count=9)
    assert (await cluster.put("/400000", FILES["/400000"])).code == 201
    manifest = await manifest_of(cluster, "/400000")
    assert cluster.front is not None
    policy = cluster.front.read_policy
    lost = node_of(cluster, manifest, 3)
    # The node that has lost the part may get it again, too.
    targets = [lost, *(node for node in cluster.nodes if node.node_id not in manifest.nodes)]
    for node in targets:
        node.filesystem.hold("write")
    unlink(lost.parts()[str(manifest.part(3))])
    assert (await cluster.get("/400000")).code == 200
    await eventually(lambda: any(node.filesystem.waiting for node in targets), "a part that is being rebuilt")
    [target] = [node for node in targets if node.filesystem.waiting]
    assert policy.rank(target.node_id) == SLOW
    for node in targets:
        node.filesystem.release()
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == 1)
    await eventually(lambda: policy.rank(target.node_id) == WELL)


@pytest_twisted.ensureDeferred
async def test_it_can_be_paused_and_goes_on_when_it_is_resumed(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    paused = await cluster.ask("DELETE", f"{cluster.admin_url}/heal")
    assert (paused.code, json.loads(paused.body)["state"]) == (200, "paused")
    await cluster.break_node(3)
    for path, data in FILES.items():
        assert (await cluster.put(path, data)).code == 201
    await cluster.nodes[3].start()
    await cluster.look_at_nodes()
    status = await cluster.status()
    assert (status["heal"]["state"], status["heal"]["parts"] > 0) == ("paused", True)
    assert any("paused by an operator" in warning for warning in status["warnings"])
    assert (await cluster.ask("POST", f"{cluster.admin_url}/heal")).code == 200
    await healed(cluster)
    status = await cluster.status()
    assert (status["heal"]["state"], status["warnings"]) == ("idle", [])
