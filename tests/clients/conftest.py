"""The server that the clients of other projects are tested with.

It is a cluster of real processes, or any WebDAV server that SPLITD_CLIENTS_URL names:

    make test-clients SPLITD_CLIENTS_URL=http://127.0.0.1/dav

This also tests the tests.  With Apache's mod_dav they pass, except for two warnings of litmus, the digests that it
ignores, and a file that davfs2 appends to within the second in which it was written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.live.clients import ask
from tests.live.local_cluster import LocalCluster


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the server's root, without a slash at the end."""
    other = os.environ.get("SPLITD_CLIENTS_URL")
    if other:
        yield other.rstrip("/")
        return
    cluster = LocalCluster(tmp_path_factory.mktemp("clients") / "cluster")
    try:
        cluster.start()
        yield cluster.url
    finally:
        cluster.remove()


@pytest.fixture
def place(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the test's own collection, without a slash at the end."""
    url = f"{server}/{request.node.name.partition('[')[0]}"
    ask(url, "DELETE")
    assert ask(url, "MKCOL").status == 201
    yield url
    ask(url, "DELETE")
