"""Network faults between the front and a node, and between a client and the front."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.proxy import BREAKING, SLOW, Fault, FaultyNetwork
from tests.tally import TALLY, shared

UNIT = 1024
SIZES = {"small": 6_000, "large": 90_000}
PATIENCE_S = 0.4
PATIENT_S = 60.0
LEFT = (ResponseFailed, ConnectError, ConnectionClosed, PotentialDataLoss, defer.TimeoutError)


@attrs.define
class Place:
    """A cluster behind a network.

    :param url: the URL of the file; through the network, if the faults are the client's.
    :param content: the content of the file; None if it does not exist.
    """

    cluster: Cluster
    network: FaultyNetwork
    url: str
    content: bytes | None = None

    async def put(self, data: bytes) -> int:
        """Store the file; return the status, 0 if there was no answer."""
        answer = await self._ask("PUT", data)
        return 0 if answer is None else answer.code

    async def get(self) -> bytes | None:
        """Return the file; None if the answer is an error or incomplete."""
        answer = await self._ask("GET")
        assert answer is None or answer.code in {200, 503}
        return answer.body if answer is not None and answer.code == 200 else None

    async def _ask(self, method: str, data: bytes | None = None) -> Answer | None:
        """Send a request as a client that stops when nothing moves; return None if there is no complete answer."""
        from twisted.internet import reactor

        fault = self.network.fault
        patience_s = 4 * PATIENCE_S if fault is not None and fault.kind == "silence" else 60
        asking = Deferred.fromCoroutine(self.cluster.ask(method, self.url, data))
        try:
            return await asking.addTimeout(patience_s, reactor)
        except LEFT:
            return None

    async def set_patience(self, seconds: float) -> None:
        """Restart the front, which waits so long for a node or a client that is silent."""
        await self.cluster.change_front(node_timeout_s=seconds, client_timeout_s=seconds)

    async def mend(self) -> None:
        """End the fault, and wait until everything has finished."""
        self.network.mend()
        await self.cluster.look_at_nodes()
        await self.cluster.status_becomes(
            lambda status: status["ready"] and status["uploads"]["under_way"] == status["reaper"]["doomed"] == 0
        )

    async def settle(self, data: bytes, code: int) -> None:
        """After a PUT that met a fault, check that the answer was true, and that nothing is left over."""
        await self.mend()
        answer = await self.cluster.get("/file")
        found = answer.body if answer.code == 200 else None
        if code in {201, 204}:
            assert found == data
        elif code:
            # The client stopped responding, a node did, or did before the first byte, when there is none in its place.
            assert code in {408, 503, 507}
            assert found == self.content
        else:
            assert found in (self.content, data)
        self.content = found
        listed = [info.part_id.partition(".")[0] for node in self.cluster.nodes for info in await node.listed()]
        assert len(listed) == (6 if found else 0)
        assert not any(node.half_written() for node in self.cluster.nodes)


@pytest_twisted.async_yield_fixture
async def place(make_cluster: Callable[..., Cluster], request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A cluster whose third node, or whose front, is behind a faulty network."""
    from twisted.internet import reactor

    cluster = make_cluster(
        unit=UNIT,
        small_part=Size(3000),
        cache=Size(0),
        node_timeout_s=PATIENT_S,
        connect_timeout_s=PATIENT_S,
        client_timeout_s=PATIENT_S,
        reap_interval_s=0.1,
    )
    behind_node = request.param == "node"
    target = cluster.nodes[2].port if behind_node else cluster.port
    network = FaultyNetwork(target, reactor)
    if behind_node:
        cluster.urls["n3"] = f"http://127.0.0.1:{network.port}"
    await cluster.start()
    yield Place(cluster, network, cluster.url("/file") if behind_node else f"http://127.0.0.1:{network.port}/file")
    await network.stop()


def stages(size: str, to_server: bool) -> list[int]:
    """Return after how many bytes the fault begins: at once, in a head, in the middle, near the end, or never.

    Two tests share these, unless there is more effort: what one leaves out, that of the other size meets.
    """
    count = SIZES[size]
    part = count // 6
    all_stages = [0, 150, part // 2, part + 300, count // 2, count + 400]
    return [all_stages[number] for number in shared(len(all_stages), odd=(size == "large") != to_server)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("to_server", [True, False], ids=["to the server", "to the client"])
@pytest.mark.parametrize("kind", [*SLOW, *BREAKING])
@pytest.mark.parametrize("place", ["node", "client"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_file_is_stored_or_not(place: Place, kind: str, to_server: bool, size: str) -> None:
    count = SIZES[size]
    if kind == "silence":
        await place.set_patience(PATIENCE_S)
    for number, after in enumerate(stages(size, to_server)):
        data = bytes([number]) * count
        place.network.begin(Fault(kind, to_server, after))
        code = await place.put(data)
        TALLY[f"faults of the network met by a PUT: {kind}"] += place.network.met
        # A busy machine may exhaust a short patience, too.  What meets no fault is the same for all kinds.
        if kind in SLOW or not (place.network.met or kind == "silence"):
            assert code in {201, 204}
        await place.settle(data, code)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("to_server", [True, False], ids=["to the server", "to the client"])
@pytest.mark.parametrize("kind", [*SLOW, *BREAKING])
@pytest.mark.parametrize("place", ["node", "client"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_file_is_read_whole_or_seen_to_be_not(place: Place, kind: str, to_server: bool, size: str) -> None:
    count = SIZES[size]
    data: Any = bytes(range(256)) * (count // 256)
    assert await place.put(data) == 201
    if kind == "silence":
        await place.set_patience(PATIENCE_S)
    for after in stages(size, to_server):
        place.network.begin(Fault(kind, to_server, after))
        found = await place.get()
        TALLY[f"faults of the network met by a GET: {kind}"] += place.network.met
        if kind in SLOW or not (place.network.met or kind == "silence"):
            assert found == data
        assert found in (None, data)
        await place.mend()
    await place.set_patience(PATIENT_S)
    assert await place.get() == data
