"""A few of the tests with programs of others, against a front with two workers, which share their connections."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.clients.s3 import Store
from tests.clients.test_console_uploads import console, test_files_are_uploaded_and_show_up
from tests.clients.test_litmus import test_litmus_passes_without_a_warning
from tests.clients.test_rclone import rclone, source, test_rclone_syncs_what_has_changed
from tests.clients.test_s3 import large, test_boto3_stores_and_lists
from tests.live.local_cluster import LocalCluster

__all__ = [
    "console",
    "large",
    "rclone",
    "source",
    "test_boto3_stores_and_lists",
    "test_files_are_uploaded_and_show_up",
    "test_litmus_passes_without_a_warning",
    "test_rclone_syncs_what_has_changed",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster with two workers."""
    cluster = LocalCluster(tmp_path_factory.mktemp("workers") / "cluster", workers=2)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def server(shared: LocalCluster) -> str:
    """The URL of its root."""
    return shared.url


@pytest.fixture(scope="module")
def store(shared: LocalCluster) -> Store:
    """Its door for S3."""
    told = json.loads(shared.ready_file.read_text())
    return Store(told["front"]["s3"], told["s3_key"]["access_key"], told["s3_key"]["secret_key"])
