"""The journal of a running front is compacted in the background."""

from __future__ import annotations

from collections.abc import Callable

import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster


@pytest_twisted.ensureDeferred
async def test_the_journal_stays_short_and_everything_is_there(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(journal_segment=Size(8000), small_part=Size(10_000))
    await cluster.start()
    files = {f"/{number}": bytes([number]) * 100 for number in range(5)}
    for _ in range(20):
        for path, data in files.items():
            await cluster.put(path, data)
    journal = (await cluster.status_becomes(lambda status: status["journal"]["compactions"] >= 1))["journal"]
    assert journal["records"] > 200
    assert journal["compaction_problem"] == ""
    status = await cluster.status_becomes(
        lambda status: status["reaper"]["doomed"] == 0 and not status["journal"]["compacting"]
    )
    assert status["journal"]["size"] < 30_000  # ten times as much was written
    await cluster.restart_front()
    for path, data in files.items():
        assert (await cluster.get(path)).body == data
    assert (await cluster.status())["files"] == 5
