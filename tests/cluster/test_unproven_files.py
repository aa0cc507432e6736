"""A file in the front's memory is not sent before the database has said that it is still there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawClient
from tests.cluster.test_kept_files import BODY, WAITED, remembered, started, told
from tests.cluster.waiting import becomes, eventually
from tests.postgres import Postgres

LIMITS = "requests: {per_client: 2}\nwork: {at_once: 2}\n"


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of its own, for a test that stops it."""
    own = Postgres()
    yield own
    own.stop()


async def asking(cluster: Cluster, in_progress: int) -> RawClient:
    """A client that has asked for the file; so many requests are in progress then."""
    client = await cluster.connect()
    client.begin("GET", "/file")
    await progressing(cluster, in_progress)
    return client


async def progressing(cluster: Cluster, count: int) -> None:
    """Wait until the front has begun so many requests that have not ended."""
    assert cluster.front is not None
    site = cluster.front.endpoints.site
    await eventually(lambda: sum(connection.request is not None for connection in site.connections()) == count)


@pytest_twisted.ensureDeferred
async def test_what_waits_for_its_proof_counts_for_the_limits_until_it_is_answered_or_its_client_leaves(
    make_cluster: Callable[..., Cluster], server: Postgres
) -> None:
    cluster = await started(make_cluster, catalog=server.url("public"), limits=LIMITS)
    await cluster.put("/file", BODY)
    watching = await remembered(cluster, "/file")
    with server.paused():
        staying, leaving = await asking(cluster, 1), await asking(cluster, 2)
        assert (await cluster.get("/file")).code == 429
        leaving.reset()
        await progressing(cluster, 1)
        later = await asking(cluster, 2)
        assert (await cluster.get("/file")).code == 429
        assert not staying.total
    assert [(await client.answer()).body for client in (staying, later)] == [BODY, BODY]
    assert watching.left == 2  # those that were refused
    await progressing(cluster, 0)
    with server.paused():
        both = await asking(cluster, 1), await asking(cluster, 2)
    assert [(await client.answer()).body for client in both] == [BODY, BODY]
    refused = (await cluster.status())["limits"]["refused"]
    assert refused == {"requests per client": 2}


@pytest_twisted.ensureDeferred
async def test_a_kept_file_is_refused_as_all_others_while_the_database_is_away(
    make_cluster: Callable[..., Cluster], server: Postgres
) -> None:
    cluster = await started(make_cluster, catalog=server.url("public"))
    await cluster.put("/file", BODY)
    await remembered(cluster, "/file")
    server.kill()
    kept, waited = await cluster.get("/file"), await cluster.get("/file", **WAITED)
    assert (kept.code, bool(kept.header("Retry-After"))) == (503, True)
    assert told(kept) == told(waited)
    server.start()

    async def is_back() -> object:
        return (await cluster.get("/file")).body == BODY

    await becomes(is_back)
