"""Parts move from full nodes to empty ones, without disturbing readers and writers, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.upkeep.pace import Pace
from splitd.upkeep.rebalance import AT_ONCE
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.test_versions import read_slowly
from tests.cluster.waiting import eventually

MIB = 2**20
DISK = 8 * MIB
FILES = {f"/{number}": 150_000 + 10_000 * (number % 7) for number in range(60)}
TARGET = 0.04
"""A part takes up to 0.5 % of a node here."""


def content(path: str) -> bytes:
    return path.encode() * (FILES[path] // len(path))


async def grown(make_cluster: Callable[..., Cluster], files: int = len(FILES), **options: Any) -> Cluster:
    """A cluster of six nodes with files, and a seventh node that is empty."""
    cluster = make_cluster(**{"cache": Size(0), **options})
    for node in cluster.nodes:
        node.filesystem.size = DISK
    await cluster.start()
    for path in list(FILES)[:files]:
        assert (await cluster.put(path, content(path))).code == 201
    await cluster.new_node(DISK)
    cluster.write_registry()
    await cluster.reload()
    await cluster.status_becomes(lambda status: status["nodes"][6]["state"] == "up")
    return cluster


async def ask(cluster: Cluster, query: str = "", method: str = "POST") -> tuple[int, Any]:
    answer = await cluster.ask(method, f"{cluster.admin_url}/rebalance{query}")
    return answer.code, json.loads(answer.body) if answer.code in {200, 202} else answer.text


async def ended(cluster: Cluster) -> Any:
    status = await cluster.status_becomes(lambda status: status["rebalance"]["ended_ms"])
    return status["rebalance"]


async def all_there(cluster: Cluster, paths: Any = FILES) -> None:
    """Check that all files can be read, and that the nodes hold nothing else."""
    for path in paths:
        assert (await cluster.get(path)).body == content(path)
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    listed = [info.part_id for node in cluster.nodes for info in await node.listed()]
    assert len(listed) == len(set(listed)) == 6 * len(paths)
    for node in cluster.nodes:
        uploads = [info.part_id.partition(".")[0] for info in await node.listed()]
        assert len(uploads) == len(set(uploads)), "no two parts of a file on one node"


@pytest.mark.parametrize("small_part", [0, 65_536], ids=["parts in files", "parts in packs"])
@pytest_twisted.ensureDeferred
async def test_afterwards_all_nodes_are_evenly_full_and_all_files_are_there(
    make_cluster: Callable[..., Cluster], small_part: int
) -> None:
    cluster = await grown(make_cluster, small_part=Size(small_part))
    before = (await cluster.status())["fill"]
    assert before["spread"] > 0.15
    code, plan = await ask(cluster, f"?dry_run=1&target={TARGET}")
    assert (code, plan["target"], plan["after"] <= TARGET) == (200, TARGET, True)
    assert plan["spread"] == pytest.approx(before["spread"])
    assert plan["bytes"] > 0
    assert not await cluster.nodes[6].listed()
    code, begun = await ask(cluster, f"?target={TARGET}")
    assert (code, begun["state"], begun["limit"]) == (202, "running", None)
    done = await ended(cluster)
    assert (done["state"], done["failed"], done["problem"], done["spread"] <= TARGET) == ("done", 0, "", True)
    assert done["moved"] >= plan["parts"] // 2
    await all_there(cluster)
    assert (await cluster.status())["fill"]["spread"] <= TARGET
    await cluster.restart_front()
    await all_there(cluster)
    code, plan = await ask(cluster, f"?dry_run=1&target={TARGET}")
    assert (code, plan["parts"]) == (200, 0)


@pytest_twisted.ensureDeferred
async def test_who_reads_and_writes_meanwhile_does_not_notice(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster, client_timeout_s=30.0)
    large = os.urandom(6 * MIB)
    for node in cluster.nodes:
        node.filesystem.size = 3 * DISK
    assert (await cluster.put("/large", large)).code == 201
    reader = await read_slowly(cluster, "/large")
    await ask(cluster, f"?target={TARGET}&limit=4000000")
    over = Deferred.fromCoroutine(ended(cluster))
    served = 0
    while not over.called:
        for path in list(FILES)[served % 7 :: 7]:
            answer = await cluster.get(path)
            assert (answer.code, answer.body) == (200, content(path))
            assert (await cluster.put(path, content(path))).code == 204
            served += 1
    assert (await over)["moved"] > 0
    assert served > 0
    reader.read_on()
    assert (await reader.answer()).body == large
    assert (await cluster.get("/large")).body == large
    assert (await cluster.ask("DELETE", "/large")).code == 204
    await all_there(cluster)


@pytest_twisted.ensureDeferred
async def test_it_can_be_stopped_with_few_moves_under_way(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster, files=12)
    assert await ask(cluster, method="DELETE") == (404, "no rebalance is under way\n")
    code, _ = await ask(cluster, "?target=0.001&limit=20000")
    assert code == 202
    await cluster.status_becomes(lambda status: status["rebalance"]["moved"])
    code, told = await ask(cluster, "?target=0.001")
    assert (code, told) == (409, "another rebalance has not ended yet\n")
    code, stopped = await ask(cluster, method="DELETE")
    assert (code, stopped["state"], stopped["moved"] > 0) == (200, "stopped", True)
    moved = stopped["moved"]
    await all_there(cluster, list(FILES)[:12])
    assert (await cluster.status())["rebalance"]["moved"] == moved


@pytest.mark.parametrize("small_part", [0, 65_536], ids=["parts in files", "parts in packs"])
@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_however_often_it_is_stopped_and_begun_again(
    make_cluster: Callable[..., Cluster], small_part: int
) -> None:
    cluster = await grown(make_cluster, small_part=Size(small_part))
    for stops in range(1, 7):
        await ask(cluster, "?target=0.001")
        await cluster.status_becomes(
            lambda status, enough=stops: status["rebalance"]["moved"] >= enough or status["rebalance"]["ended_ms"]
        )
        first, second = (Deferred.fromCoroutine(ask(cluster, method="DELETE")) for _ in range(2))
        assert {(await first)[0], (await second)[0]} <= {200, 404}
        assert (await cluster.status())["rebalance"]["ended_ms"]
    await all_there(cluster)
    await cluster.restart_front()
    await all_there(cluster)


@pytest.mark.parametrize("files", [9, 10, 11, 13])
@pytest_twisted.ensureDeferred
async def test_few_files_and_several_new_nodes_leave_a_journal_that_can_be_read(
    make_cluster: Callable[..., Cluster], files: int
) -> None:
    cluster = await grown(make_cluster, files=files)
    await cluster.new_node(DISK)
    cluster.write_registry()
    await cluster.reload()
    await cluster.status_becomes(lambda status: status["nodes"][7]["state"] == "up")
    for path in list(FILES)[:3]:
        assert (await cluster.ask("COPY", path, Destination=f"{path}-copy")).code == 201
    await ask(cluster, "?target=0.002&limit=1000000")
    assert (await ended(cluster))["failed"] == 0
    await cluster.restart_front()
    for path in list(FILES)[:3]:
        assert (await cluster.get(f"{path}-copy")).body == content(path)
        assert (await cluster.ask("DELETE", f"{path}-copy")).code == 204
    await all_there(cluster, list(FILES)[:files])


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_made_readonly_gets_no_more_parts(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster)
    await ask(cluster, "?target=0.01&limit=500000")
    await cluster.status_becomes(lambda status: status["rebalance"]["moved"] >= 3)
    cluster.registry.write_text(cluster.registry.read_text().replace("- id: n7\n", "- id: n7\n  state: readonly\n"))
    assert (await cluster.reload()).code == 200
    begun = 16  # so many may be on their way
    held = len(await cluster.nodes[6].listed())
    await ended(cluster)
    assert len(await cluster.nodes[6].listed()) <= held + begun
    await all_there(cluster)


@pytest_twisted.ensureDeferred
async def test_without_two_nodes_that_take_parts_there_is_nothing_to_balance(cluster: Cluster) -> None:
    cluster.registry.write_text(cluster.registry.read_text().replace("  url:", "  state: readonly\n  url:"))
    await cluster.reload()
    for query in ("", "?dry_run=1"):
        code, told = await ask(cluster, query)
        assert (code, "two nodes that take parts are needed: n1 is readonly" in told) == (503, True)


@pytest_twisted.ensureDeferred
async def test_a_front_that_stops_or_crashes_in_the_middle_leaves_all_in_order(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await grown(make_cluster)
    for end in (cluster.restart_front, _crash(cluster)):
        await ask(cluster, "?target=0.01&limit=1000000")
        await cluster.status_becomes(lambda status: status["rebalance"]["moved"] >= 3)
        await end()
        await all_there(cluster)
    await ask(cluster, f"?target={TARGET}")
    assert (await ended(cluster))["spread"] <= TARGET
    await all_there(cluster)


def _crash(cluster: Cluster) -> Callable[[], Any]:
    async def crash() -> None:
        await cluster.crash_front()
        await cluster.start_front()

    return crash


@pytest_twisted.ensureDeferred
async def test_a_node_that_dies_in_the_middle_is_left_out(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster, reap_interval_s=0.2)
    await ask(cluster, "?target=0.01&limit=300000")  # it would take five seconds
    await cluster.status_becomes(lambda status: status["rebalance"]["moved"] >= 3)
    await cluster.break_node(6)
    done = await ended(cluster)
    assert done["failed"] > 0
    assert (await cluster.status())["nodes"][6]["state"] == "down"
    await cluster.nodes[6].start()
    await cluster.status_becomes(lambda status: status["nodes"][6]["state"] == "up")
    await all_there(cluster)


@pytest_twisted.ensureDeferred
async def test_a_node_that_stops_responding_is_left_out_after_one_timeout(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster, reap_interval_s=0.2, node_timeout_s=3.0)
    silent = await cluster.new_node(DISK)
    cluster.write_registry()
    await cluster.reload()
    await cluster.status_becomes(lambda status: status["nodes"][7]["state"] == "up")
    silent.filesystem.hold("write")
    await ask(cluster, "?target=0.01")
    await eventually(lambda: silent.filesystem.waiting, "a copy that hangs")
    done = await ended(cluster)
    assert 0 < done["failed"] <= 2 * AT_ONCE, done
    assert len(await cluster.nodes[6].listed()) > len(FILES) / 3, done
    silent.filesystem.release()
    await all_there(cluster)


@pytest_twisted.ensureDeferred
async def test_where_a_part_was_removed_a_moment_ago_another_one_goes(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster)
    uploads = {info.part_id.partition(".")[0] for node in cluster.nodes for info in await node.listed()}
    for upload in uploads:
        for index in range(4):  # as after copies that were given up
            await cluster.nodes[6].store.remove(f"{upload}.{index}")
    done = {"problem": "not asked yet"}
    for _ in range(5):  # on a busy machine a node may be late, so that the rounds that are left do not help
        if done["problem"]:
            await ask(cluster, f"?target={TARGET}")
            done = await ended(cluster)
    assert (done["state"], done["problem"], done["spread"] <= TARGET) == ("done", "", True)
    assert {info.part_id.partition(".")[2] for info in await cluster.nodes[6].listed()} == {"4", "5"}
    await all_there(cluster)


@pytest_twisted.ensureDeferred
async def test_who_cannot_be_evened_out_for_now_is_told_to_try_again(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster, 10)
    uploads = {info.part_id.partition(".")[0] for node in cluster.nodes for info in await node.listed()}
    for upload in uploads:
        for index in range(6):
            await cluster.nodes[6].store.remove(f"{upload}.{index}")
    await ask(cluster, "?target=0.01")
    done = await ended(cluster)
    assert (done["state"], done["moved"], done["failed"]) == ("done", 0, 0)
    assert "no part can be moved that helps; 60 were removed from where they should go: try again" in done["problem"]
    await all_there(cluster, list(FILES)[:10])


@pytest_twisted.ensureDeferred
async def test_a_damaged_part_is_not_moved_and_all_else_is(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await grown(make_cluster)
    damaged = next(iter(cluster.nodes[0].parts().values()))
    data = bytearray(damaged.read_bytes())
    data[200] ^= 1
    damaged.write_bytes(data)
    while not (await ask(cluster, "?target=0.01"))[1]["ended_ms"]:
        done = await ended(cluster)
        assert done["state"] == "done"
        if done["failed"] or damaged.exists():
            break
    assert damaged.exists(), "it stays where it is"
    assert not cluster.nodes[6].half_written()


@pytest.mark.parametrize("small_part", [0, 65_536], ids=["parts in files", "parts in packs"])
@pytest_twisted.ensureDeferred
async def test_a_copy_that_a_power_cut_made_forgotten_is_made_anew(
    make_cluster: Callable[..., Cluster], small_part: int
) -> None:
    cluster = await grown(make_cluster, files=3, small_part=Size(small_part))
    front = cluster.front
    assert front is not None
    manifest = await front.catalog.lookup("/1")
    part = str(manifest.part(2))
    [data] = await cluster.nodes[int(manifest.nodes[2][1:]) - 1].store.get_all([part])
    await cluster.nodes[6].store.put_all([(part, data)])
    await front.upkeep.mover.move(manifest, 2, "n7", Pace(None, None))
    await all_there(cluster, list(FILES)[:3])
    assert len(await cluster.nodes[6].listed()) == 1


@pytest_twisted.ensureDeferred
async def test_files_that_are_deleted_and_replaced_meanwhile_leave_nothing(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await grown(make_cluster)
    await ask(cluster, "?target=0.01&limit=3000000")
    over = Deferred.fromCoroutine(ended(cluster))
    paths = list(FILES)
    for number, path in enumerate(paths):
        if number % 2:
            assert (await cluster.ask("DELETE", path)).code == 204
        else:
            assert (await cluster.put(path, content(path))).code == 204
    assert (await over)["state"] == "done"
    await all_there(cluster, paths[::2])


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?target=2", "target='2': should be 0.0001 to 1"),
        ("?limit=none", "limit='none': should be 1 to 1e+15"),
        ("?dry_run=yes", "dry_run='yes': should be 0 or 1"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_meant_is_refused(cluster: Cluster, query: str, reason: str) -> None:
    assert await ask(cluster, query) == (400, reason + "\n")
