"""The servers that the clients of other projects are tested with.

`store` is the S3 door of a cluster.  `server` is a cluster of real processes, or any WebDAV server that
SPLITD_CLIENTS_URL names:

    make test-clients SPLITD_CLIENTS_URL=http://127.0.0.1/dav

This also tests the tests.  With Apache's mod_dav they pass, except for two warnings of litmus, the digests that it
ignores, and a file that davfs2 appends to within the second in which it was written.

SPLITD_CLIENTS_WORKERS is how many workers the clusters have; test_workers.py has a few of the tests with two of them:

    make test-clients SPLITD_CLIENTS_WORKERS=2
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.clients.browser import Faults, opened, running_browser
from tests.clients.clusters import new_cluster
from tests.clients.console import Console
from tests.clients.s3 import Store
from tests.live.clients import ask
from tests.live.local_cluster import LocalCluster


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster | None]:
    """Our cluster; None if another server is tested."""
    if os.environ.get("SPLITD_CLIENTS_URL"):
        yield None
        return
    cluster = new_cluster(tmp_path_factory.mktemp("clients") / "cluster")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def cluster(running: LocalCluster | None) -> LocalCluster:
    """Our cluster, for tests that harm it."""
    if running is None:
        pytest.skip("other servers cannot be killed")
    return running


@pytest.fixture(scope="session")
def server(running: LocalCluster | None) -> str:
    """The URL of the server's root, without a slash at the end."""
    return os.environ["SPLITD_CLIENTS_URL"].rstrip("/") if running is None else running.url


@pytest.fixture
def place(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the test's own collection, without a slash at the end."""
    url = f"{server}/{request.node.name.partition('[')[0]}"
    ask(url, "DELETE")
    assert ask(url, "MKCOL").status == 201
    yield url
    ask(url, "DELETE")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The S3 door of a cluster of real processes, with the key that `splitctl up` makes."""
    cluster = new_cluster(tmp_path_factory.mktemp("s3") / "cluster")
    try:
        cluster.start()
        told = json.loads(cluster.ready_file.read_text())
        yield Store(told["front"]["s3"], told["s3_key"]["access_key"], told["s3_key"]["secret_key"])
    finally:
        cluster.remove()


@pytest.fixture
def bucket(store: Store, request: pytest.FixtureRequest) -> str:
    """A bucket of the test's own."""
    name: str = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    store.client().create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the console."""
    if os.environ.get("SPLITD_CLIENTS_URL"):
        pytest.skip("other servers have no console")
    with running_browser() as running:
        yield running


@pytest.fixture
def faults() -> Iterator[Faults]:
    """The faults of all pages of a test, which must be none."""
    noted = Faults()
    yield noted
    assert noted.found == []


@pytest.fixture
def console(browser: Browser, faults: Faults, place: str) -> Iterator[Console]:
    """The console, not opened yet."""
    with opened(browser, faults) as page:
        yield Console(page, place)
