"""The leader of the catalog's database dies while clients store, replace, read and delete at two fronts by turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.clients import ask
from tests.live.database_cluster import DatabaseCluster
from tests.live.patroni import Patroni
from tests.live.processes import wait_until
from tests.live.remembering import Client, end_well, remembering
from tests.tally import MEASURED, TALLY

CLIENTS = 4
NODES = 6


@pytest.fixture
def database() -> Iterator[Patroni]:
    own = Patroni()
    try:
        own.start()
        yield own
    finally:
        own.stop()


def wait_stored(clients: list[Client]) -> None:
    """Wait until each client has stored something from now on."""
    before = [client.stored for client in clients]
    wait_until(
        lambda: all(now.stored > old for now, old in zip(clients, before, strict=True)),
        "something stored by each client",
        lambda: [client.done for client in clients],
    )


def test_nothing_acknowledged_is_lost_when_the_leader_of_the_database_dies(tmp_path: Path, database: Patroni) -> None:
    cluster = DatabaseCluster(tmp_path / "cluster", NODES, database.url, fronts=2)
    doors = cluster.webdav_by_turns(), cluster.s3_by_turns()
    with remembering(cluster, CLIENTS, *doors, doubts=True) as clients:
        wait_stored(clients)
        with database.nobody_leads() as killed:
            killed_at = time.monotonic()
            for url in cluster.urls:
                for method, data in (("PUT", b"new"), ("GET", None), ("DELETE", None)):
                    answer = ask(f"{url}/meanwhile", method, data)
                    assert (answer.status, bool(answer.retry_after)) == (503, True), (url, method, answer)
        wait_stored(clients)
        MEASURED.append(f"the leader of the database killed: stored again after {time.monotonic() - killed_at:.1f} s")
        assert wait_until(database.leader, "a leader", database.log) != killed
        cluster.wait_ready()
        end_well(cluster, clients, cluster.wait_reaped)
    TALLY["leaders of the database killed"] += 1
