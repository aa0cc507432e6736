"""Clusters for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.cluster.cluster import Cluster
from tests.users import ROOT, write_users


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """A function that makes clusters, which are not started yet; they are stopped at the end of the test."""
    from twisted.internet import reactor

    made: list[Cluster] = []

    def make(**options: Any) -> Cluster:
        made.append(Cluster(tmp_path / f"cluster{len(made)}", reactor, **options))
        return made[-1]

    yield make
    for each in made:
        pytest_twisted.blockon(Deferred.fromCoroutine(each.stop()))


@pytest_twisted.async_yield_fixture
async def cluster(make_cluster: Callable[..., Cluster]) -> AsyncIterator[Cluster]:
    """A started cluster of six nodes."""
    made = make_cluster()
    await made.start()
    yield made


@pytest_twisted.async_yield_fixture
async def seven_nodes(make_cluster: Callable[..., Cluster]) -> AsyncIterator[Cluster]:
    """A started cluster of seven nodes."""
    made = make_cluster(count=7)
    await made.start()
    yield made


@pytest.fixture
def make_guarded(make_cluster: Callable[..., Cluster], tmp_path: Path) -> Callable[..., Awaitable[Cluster]]:
    """A function that starts a cluster with the users of `write_users`, and with collections and files."""

    async def make(*collections: str, files: Sequence[str] = (), **settings: Any) -> Cluster:
        cluster = make_cluster(**settings)
        cluster.users = tmp_path / "users.yaml"
        write_users(cluster.users)
        await cluster.start()
        for path in collections:
            assert (await cluster.ask("MKCOL", path, Authorization=ROOT)).code == 201
        for path in files:
            assert (await cluster.put(path, b"content", Authorization=ROOT)).code == 201
        return cluster

    return make
