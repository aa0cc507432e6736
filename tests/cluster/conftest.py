from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.cluster.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    from twisted.internet import reactor

    made = Cluster(tmp_path, reactor)
    try:
        pytest_twisted.blockon(Deferred.fromCoroutine(made.start()))
        yield made
    finally:
        pytest_twisted.blockon(Deferred.fromCoroutine(made.stop()))
