"""With parity, a download does not wait for a node that is silent or slow."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted

from splitd.interfaces.nodes import SILENT, WELL
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.parts import STRIPE
from tests.cluster.proxy import SLOW as SLOW_NETWORKS
from tests.cluster.proxy import Fault, FaultyNetwork
from tests.cluster.test_degraded_reads import reads_right, spans_of
from tests.cluster.test_silent_nodes import NEVER_S, soon

LARGE = os.urandom(100 * STRIPE + 3000)
SMALL = os.urandom(3 * STRIPE + 77)
SILENT_S = 1.0


class Behind:
    """A cluster with parity, two of whose nodes are behind networks with faults."""

    def __init__(self, cluster: Cluster) -> None:
        from twisted.internet import reactor

        self.cluster = cluster
        self.networks = [FaultyNetwork(cluster.nodes[number].port, reactor) for number in (2, 5)]
        for node, network in zip(("n3", "n6"), self.networks, strict=True):
            cluster.urls[node] = f"http://127.0.0.1:{network.port}"

    def begin(self, fault: Fault) -> None:
        """Begin a fault on both networks, on new connections."""
        for network in self.networks:
            network.reset()
            network.begin(fault)

    async def mend(self) -> None:
        """End the fault, and let the front see that."""
        for network in self.networks:
            network.mend()
        await self.cluster.look_at_nodes()
        assert self.cluster.front is not None
        for node in ("n3", "n6"):
            self.cluster.front.read_policy.recovered(node)

    async def stop(self) -> None:
        for network in self.networks:
            await network.stop()


@pytest_twisted.async_yield_fixture
async def behind(make_cluster: Callable[..., Cluster], request: pytest.FixtureRequest) -> AsyncIterator[Behind]:
    small_part, share = request.param
    cluster = make_cluster(
        count=8,
        layout="6+2",
        cache=Size(0),
        small_part=Size(small_part),
        node_timeout_s=NEVER_S,
        silent_after_s=SILENT_S if not share else NEVER_S,
        hedge_share=share,
    )
    made = Behind(cluster)
    await cluster.start()
    yield made
    await made.stop()


@pytest.mark.parametrize(
    ("behind", "data"), [((0, 0.0), LARGE), ((65_536, 0.0), SMALL)], ids=["large", "small"], indirect=["behind"]
)
@pytest_twisted.ensureDeferred
async def test_silent_nodes_are_replaced_where_they_became_silent(behind: Behind, data: bytes) -> None:
    cluster = behind.cluster
    assert (await cluster.put("/file", data)).code == 201
    for after in (0, 300, 5_000, 20_000, 40_000):
        behind.begin(Fault("silence", to_server=False, after=after))
        await soon(reads_right(cluster, "/file", data, spans_of(data)))
        await behind.mend()
    status = await cluster.status()
    assert (status["downloads"]["degraded"] > 0, status["downloads"]["failed"]) == (True, 0)


@pytest.mark.parametrize(
    ("behind", "data"), [((0, 0.0), LARGE), ((65_536, 0.0), SMALL)], ids=["large", "small"], indirect=["behind"]
)
@pytest_twisted.ensureDeferred
async def test_a_node_that_was_silent_is_not_asked_again_soon(behind: Behind, data: bytes) -> None:
    cluster = behind.cluster
    assert (await cluster.put("/file", data)).code == 201
    behind.begin(Fault("silence", to_server=False, after=0))
    await soon(reads_right(cluster, "/file", data))
    assert cluster.front is not None
    assert [cluster.front.read_policy.rank(node) for node in ("n3", "n6", "n1")] == [SILENT, SILENT, WELL]
    cluster.front.read_policy.silent_after_s = NEVER_S  # from now on, nothing ends a wait for them
    for _ in range(5):
        await soon(reads_right(cluster, "/file", data, spans_of(data)))


@pytest.mark.parametrize("behind", [(0, 1.0)], ids=["hedged"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_slow_nodes_are_hedged_and_read_as_before_when_they_are_not_slow_any_more(behind: Behind) -> None:
    cluster = behind.cluster
    assert cluster.front is not None
    policy = cluster.front.read_policy
    assert (await cluster.put("/file", LARGE)).code == 201
    for _ in range(20):
        await reads_right(cluster, "/file", LARGE)
    for after in (0, 10_000):
        # Silence is the worst slowness: here nothing but hedging ends the wait for it.
        behind.begin(Fault("silence", to_server=False, after=after))
        await soon(reads_right(cluster, "/file", LARGE, spans_of(LARGE)))
        await behind.mend()
    assert (await cluster.status())["downloads"]["degraded"] > 0
    assert {policy.rank(node) for node in ("n3", "n6")} == {WELL}


@pytest.mark.parametrize(
    ("behind", "data"), [((0, 1.0), LARGE), ((65_536, 1.0), SMALL)], ids=["large", "small"], indirect=["behind"]
)
@pytest.mark.parametrize("kind", SLOW_NETWORKS)
@pytest_twisted.ensureDeferred
async def test_what_comes_over_slow_networks_is_right_whichever_part_comes_first(
    behind: Behind, data: bytes, kind: str
) -> None:
    cluster = behind.cluster
    assert (await cluster.put("/file", data)).code == 201
    for _ in range(5):
        await reads_right(cluster, "/file", data)
    behind.begin(Fault(kind, to_server=False, after=0))
    for _ in range(5):
        await soon(reads_right(cluster, "/file", data, spans_of(data)))
    assert (await cluster.status())["downloads"]["failed"] == 0


@pytest.fixture
def unanswered() -> Iterator[int]:
    """A port that answers no attempt to connect: the queue of those that wait to be accepted is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
            waiting.append(each)
        yield listening.getsockname()[1]
        for each in waiting:
            each.close()


@pytest_twisted.ensureDeferred
async def test_a_node_that_cannot_be_connected_to_delays_neither_uploads_nor_downloads(
    make_cluster: Callable[..., Cluster], unanswered: int
) -> None:
    cluster = make_cluster(count=9, layout="6+2", cache=Size(0), node_timeout_s=NEVER_S, connect_timeout_s=1.0)
    await cluster.start()
    for number in range(20):  # so that the node has a part of some of them
        assert (await cluster.put(f"/{number}", LARGE[:7000])).code == 201
    url = f"http://127.0.0.1:{unanswered}"
    cluster.urls["n3"] = url
    cluster.write_registry()
    assert (await cluster.reload()).code == 200
    assert cluster.front is not None
    for number in range(20):
        await soon(reads_right(cluster, f"/{number}", LARGE[:7000]))
        assert (await soon(cluster.put(f"/new-{number}", LARGE[:7000]))).code == 201
    assert (await cluster.status())["downloads"]["failed"] == 0


def test_connects_take_a_second_at_most_unless_configured() -> None:
    from splitd.config import Config

    config: Any = Config(data="d", registry="r", cluster_key_file="k")
    assert (config.connect_timeout_s, config.silent_after_s, config.hedge_share) == (1.0, 1.0, 0.05)
