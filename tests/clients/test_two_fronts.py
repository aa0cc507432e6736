"""Programs of other projects use two fronts over one catalog in a database, each request another one.

The tests are those of one front.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from tests.clients.s3 import Store
from tests.clients.test_litmus import test_litmus_passes_without_a_warning
from tests.clients.test_rclone import (
    rclone,
    source,
    test_rclone_copies_a_tree_there_and_back,
    test_rclone_moves_copies_and_deletes_on_the_server,
)
from tests.clients.test_s3 import large, test_aws_syncs_a_tree, test_boto3_stores_and_lists
from tests.clients.turns import Turns
from tests.live.clients import put
from tests.live.database_cluster import DatabaseCluster
from tests.postgres import Postgres

__all__ = [
    "large",
    "rclone",
    "source",
    "test_aws_syncs_a_tree",
    "test_boto3_stores_and_lists",
    "test_litmus_passes_without_a_warning",
    "test_rclone_copies_a_tree_there_and_back",
    "test_rclone_moves_copies_and_deletes_on_the_server",
]

NODES = 6


@attrs.frozen
class Fronts:
    """Two fronts behind a balancer, which gives them the requests by turns.

    :param webdav: the balancer's URL for WebDAV.
    :param store: its door for S3.
    """

    cluster: DatabaseCluster
    webdav: str
    store: Store


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    folder = tmp_path_factory.mktemp("fronts")
    database = Postgres()
    cluster = DatabaseCluster(folder / "cluster", NODES, database.url("public"), fronts=2)
    ports = list(cluster.ports.values())
    turns = Turns(folder / "nginx", ports, [port + 2 for port in ports])
    try:
        cluster.start()
        turns.start()
        webdav, s3 = (f"http://127.0.0.1:{port}" for port in turns.ports)
        yield Fronts(cluster, webdav, Store(s3, *(cluster.folder / "s3.key").read_text().split()))
    finally:
        turns.stop()
        cluster.stop()
        database.stop()


@pytest.fixture(scope="module")
def server(fronts: Fronts) -> str:
    """The URL of the balancer's root, without a slash at the end."""
    return fronts.webdav


@pytest.fixture(scope="module")
def store(fronts: Fronts) -> Store:
    """The balancer's door for S3."""
    return fronts.store


def test_each_request_goes_to_the_next_front(fronts: Fronts) -> None:
    def stored() -> list[int]:
        return [fronts.cluster.status_of(name)["uploads"]["committed"] for name in fronts.cluster.ports]

    before = stored()
    for number in range(4):
        put(f"{fronts.webdav}/turn-{number}", b"content")
    assert [now - old for now, old in zip(stored(), before, strict=True)] == [2, 2]
