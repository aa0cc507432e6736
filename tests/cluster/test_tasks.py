"""What operators have started, when its front ends; and what they have ordered, at each front."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.service import Front
from tests.cluster.cluster import Cluster
from tests.postgres import postgres


async def warnings(cluster: Cluster) -> list[str]:
    return [str(each) for each in (await cluster.status())["warnings"]]


@pytest_twisted.ensureDeferred
async def test_a_rebalance_that_ended_with_its_front_is_told_until_it_is_forgotten(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster()
    await cluster.start()
    assert cluster.front is not None
    await cluster.front.upkeep.tasks.begin("rebalance")
    assert await warnings(cluster) == []
    await cluster.restart_front()
    (told,) = await warnings(cluster)
    assert "ended with its front: `splitctl rebalance` begins it again" in told
    answer = await cluster.ask("DELETE", f"{cluster.admin_url}/rebalance")
    assert (answer.code, told in answer.text) == (404, True)
    assert await warnings(cluster) == []


@pytest.fixture
def other(make_cluster: Callable[..., Cluster]) -> Iterator[tuple[Cluster, str]]:
    """A cluster, and the operators' URL of a second front of it."""
    cluster = make_cluster(catalog=postgres().url(postgres().new_schema()))
    fronts: list[Front] = []

    async def start() -> None:
        await cluster.start()
        fronts.append(cluster.make_other_front())
        await fronts[0].start()

    pytest_twisted.blockon(Deferred.fromCoroutine(start()))
    port = fronts[0].endpoints.admin_port
    assert port is not None
    yield cluster, f"http://127.0.0.1:{port.getHost().port}"
    pytest_twisted.blockon(fronts[0].stop())


@pytest_twisted.ensureDeferred
async def test_a_pause_and_a_limit_of_the_heal_hold_at_each_front(other: tuple[Cluster, str]) -> None:
    cluster, url = other
    usual = (await cluster.status())["heal"]["limit"]
    assert (await cluster.ask("DELETE", f"{url}/heal")).code == 200
    assert (await cluster.ask("POST", f"{url}/heal?limit=5000")).code == 200
    status = await cluster.status()
    assert (status["heal"]["state"], status["heal"]["limit"]) == ("paused", 5000)
    assert any("paused by an operator" in warning for warning in status["warnings"])
    assert (await cluster.ask("POST", f"{cluster.admin_url}/heal")).code == 200
    assert '"state":"idle"' in (await cluster.ask("POST", f"{url}/heal?limit=usual")).text
    assert (await cluster.status())["heal"]["limit"] == usual
