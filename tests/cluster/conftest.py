"""Clusters for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.cluster.cluster import Cluster


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
