"""A node that does not answer delays nothing that can be done without it."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from storaged.disk.writer import WRITE_SIZE
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.proxy import Fault, FaultyNetwork
from tests.cluster.waiting import becomes, eventually

DATA = os.urandom(6 * (WRITE_SIZE + 2**16))
NEVER_S = 3600.0
"""A node timeout that no test reaches: waiting for a silent node would last until the end of the test."""


@pytest_twisted.async_yield_fixture
async def patient(make_cluster: Callable[..., Cluster]) -> Any:
    """A cluster whose front waits an hour for a silent node."""
    cluster = make_cluster(node_timeout_s=NEVER_S)
    await cluster.start()
    yield cluster


_Result = TypeVar("_Result")


async def soon(asked: Coroutine[Deferred[Any], Any, _Result]) -> _Result:
    """Return a result that must come soon."""
    result = Deferred.fromCoroutine(asked)
    await eventually(lambda: result.called, "an answer")
    return await result


async def emptied(nodes: Sequence[Node]) -> None:
    """Wait until these nodes hold no part."""

    async def are_empty() -> bool:
        return not any([await node.listed() for node in nodes])

    await becomes(are_empty, "no parts on the nodes")


@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
@pytest_twisted.ensureDeferred
async def test_a_refused_upload_is_answered_while_a_node_is_silent(patient: Cluster, known: bool) -> None:
    filesystem = patient.nodes[2].filesystem
    filesystem.hold("write")
    wrong = b64encode(hashlib.sha256(b"other bytes").digest()).decode()
    client = await patient.connect()
    length = f"Content-Length: {len(DATA)}" if known else "Transfer-Encoding: chunked"
    client.begin("PUT", "/file", length, f"Content-Digest: sha-256=:{wrong}:")
    client.send(DATA[:-1] if known else b"%x\r\n%b\r\n" % (len(DATA) - 1, DATA[:-1]))
    await eventually(lambda: filesystem.waiting)
    client.send(DATA[-1:] if known else b"1\r\n%b\r\n0\r\n\r\n" % DATA[-1:])
    answer = await soon(client.answer())
    assert (answer.code, filesystem.waiting) == (400, 1)
    assert (await patient.get("/file")).code == 404
    filesystem.release()
    await patient.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert patient.nothing_stored()


@pytest_twisted.ensureDeferred
async def test_an_upload_that_one_node_failed_is_answered_while_another_one_is_silent(patient: Cluster) -> None:
    filesystem = patient.nodes[2].filesystem
    filesystem.hold("write")
    client = await patient.connect()
    client.begin("PUT", "/file", f"Content-Length: {len(DATA)}")
    client.send(DATA[:-1])
    await eventually(lambda: all(node.half_written() for node in patient.nodes) and filesystem.waiting)
    await patient.break_node(4)
    answer = await soon(client.answer())
    assert (answer.code, b"n5" in answer.body, filesystem.waiting) == (503, True, 1)


@pytest_twisted.ensureDeferred
async def test_parts_on_healthy_nodes_are_deleted_while_a_node_is_silent_and_a_stop_waits_for_none(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(node_timeout_s=NEVER_S, small_part=Size(100_000))
    await cluster.start()
    assert (await cluster.ask("MKCOL", "/tree")).code == 201
    await gatherResults([Deferred.fromCoroutine(cluster.put(f"/tree/{number}", b"small")) for number in range(200)])
    silent = cluster.nodes[2]
    silent.filesystem.hold("write")
    assert (await cluster.ask("DELETE", "/tree")).code == 204
    await eventually(lambda: silent.filesystem.waiting, "a deletion that hangs")
    healthy = [node for node in cluster.nodes if node is not silent]
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 200)
    await emptied(healthy)
    assert silent.filesystem.waiting
    await soon(cluster.stop_front())
    silent.filesystem.release()
    await cluster.start_front()
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert await silent.listed() == []


@pytest_twisted.ensureDeferred
async def test_a_download_ends_when_its_node_is_known_to_be_down(make_cluster: Callable[..., Cluster]) -> None:
    from twisted.internet import reactor

    cluster = make_cluster(node_timeout_s=NEVER_S, small_part=Size(0), cache=Size(0))
    network = FaultyNetwork(cluster.nodes[2].port, reactor)
    cluster.urls["n3"] = f"http://127.0.0.1:{network.port}"
    await cluster.start()
    assert (await cluster.put("/file", DATA)).code == 201
    network.reset()
    network.begin(Fault("silence", to_server=False, after=0))
    download = Deferred.fromCoroutine(cluster.get("/file"))
    await eventually(lambda: network.met, "a node that vanishes")
    await network.refuse()
    await cluster.look_at_nodes()
    answer = await download
    assert (answer.code, "n3" in answer.text) == (503, True)
    network.reset()


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest_twisted.ensureDeferred
async def test_a_stop_waits_for_no_node_that_an_upload_waits_for(
    make_cluster: Callable[..., Cluster], small: bool
) -> None:
    cluster = make_cluster(node_timeout_s=NEVER_S, small_part=Size(100_000 if small else 0))
    await cluster.start()
    filesystem = cluster.nodes[2].filesystem
    filesystem.hold("write")
    client = await cluster.connect()
    data = DATA[:5000] if small else DATA
    client.begin("PUT", "/file", f"Content-Length: {len(data)}")
    client.send(data)
    others = [node for node in cluster.nodes if node.node_id != "n3"]
    await eventually(lambda: filesystem.waiting, "a node that is silent")
    await eventually(lambda: small or all(node.parts() for node in others), "the parts on the other nodes")
    await soon(cluster.stop_front())
    assert filesystem.waiting
    filesystem.release()
    await cluster.start_front()
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert [await node.listed() for node in cluster.nodes] == [[]] * 6
    assert (await cluster.get("/file")).code == 404
