"""Storage servers whose disk is replaced by an empty one while they are down, and that start again under their id."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.test_heal import FILES, healed, stored
from tests.cluster.test_journal_copies import cluster_of as cluster_with_copies
from tests.cluster.test_journal_copies import copied, in_sync, lines_of
from tests.cluster.waiting import eventually


async def replace_disk(cluster: Cluster, number: int) -> Path:
    """Stop a node, put an empty disk in place of its own, and start it again.

    :return: the old disk.
    """
    node = cluster.nodes[number]
    await node.stop()
    old = node.folder.with_name(f"{node.node_id}-old-{len(list(cluster.folder.iterdir()))}")
    node.folder.rename(old)
    await node.start()
    return old


def put_back(disk: Path, folder: Path) -> None:
    """Put a disk in place of the one that is there."""
    shutil.rmtree(folder)
    disk.rename(folder)


@pytest_twisted.ensureDeferred
async def test_what_was_on_a_replaced_disk_is_rebuilt_though_nobody_reads_it(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await stored(make_cluster)
    for number in (2, 5):
        await replace_disk(cluster, number)
    await cluster.look_at_nodes()
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == 2 * len(FILES))
    await healed(cluster)
    warnings = (await cluster.status())["warnings"]
    assert f"node n3 has another disk than before: {len(FILES)} of {len(FILES)} parts" in " ".join(warnings)


@pytest_twisted.ensureDeferred
async def test_a_disk_that_was_replaced_while_the_front_was_down_is_noticed(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await stored(make_cluster)
    await cluster.stop_front()
    await replace_disk(cluster, 0)
    await cluster.start_front()
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == len(FILES))
    await healed(cluster)


@pytest_twisted.ensureDeferred
async def test_a_front_that_ends_during_the_check_goes_on_with_it(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await stored(make_cluster)
    await replace_disk(cluster, 3)
    assert cluster.front is not None
    await cluster.front.upkeep.disks.stop()  # as if it were cut off before the first answer
    await cluster.look_at_nodes()
    await cluster.crash_front()
    await cluster.start_front()
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == len(FILES))
    await healed(cluster)


@pytest_twisted.ensureDeferred
async def test_files_without_parity_are_readable_again_when_their_disk_comes_back(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(cache=Size(0))
    await cluster.start()
    data = os.urandom(50_000)
    assert (await cluster.put("/file", data)).code == 201
    old = await replace_disk(cluster, 1)  # such as one that was not mounted
    await cluster.look_at_nodes()
    told = "another disk than before: 1 of 1 parts that were looked for are not there, of which 1 cannot be rebuilt"
    await cluster.status_becomes(lambda status: told in " ".join(status["warnings"]))
    assert (await cluster.get("/file")).code == 500
    assert cluster.front is not None
    await eventually(lambda: cluster.front.upkeep.healer.suspects.idle)  # type: ignore[union-attr]
    await cluster.nodes[1].stop()
    put_back(old, cluster.nodes[1].folder)
    await cluster.nodes[1].start()
    await cluster.look_at_nodes()
    await cluster.status_becomes(lambda status: not status["warnings"])
    assert (await cluster.get("/file")).body == data


@pytest_twisted.ensureDeferred
async def test_a_holder_whose_disk_was_replaced_gets_the_whole_journal_again(tmp_path: Path) -> None:
    async with cluster_with_copies(tmp_path, 3, layout="2+1") as cluster:  # so there are no other holders
        for number in range(5):
            assert (await cluster.ask("MKCOL", f"/{number}")).code == 201
        await cluster.status_becomes(in_sync(3))
        await replace_disk(cluster, 1)
        await cluster.look_at_nodes()
        assert (await cluster.ask("MKCOL", "/after")).code == 201

        def is_copied(status: Any) -> bool:
            return in_sync(3)(status) and copied(cluster, 1) == lines_of(cluster)

        await cluster.status_becomes(is_copied)
