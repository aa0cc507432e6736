"""The promises of a link, which carries the small parts of one node, many in one message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.http import NodeConnections, StreamingSite
from storaged.identity import Identity
from storaged.journals.store import journals_of
from storaged.parts import messages
from storaged.parts.client import RemotePartStore
from storaged.parts.errors import (
    AccessDenied,
    BadPart,
    BadRequest,
    NodeUnavailable,
    PartExists,
    PartMissing,
    StoragedError,
    WrongNode,
)
from storaged.parts.format import SMALL_PART
from storaged.parts.memory import MemoryPartStore
from storaged.parts.values import PartInfo
from storaged.resource import PartResource
from storaged.system.filesystem import OSFilesystem
from storaged.system.origin import Origin
from storaged.system.read_ahead import ReadAhead
from tests.clocks import wall_of
from tests.contract.disks import Identity as AnyIdentity
from tests.contract.nodes import KEY
from tests.contract.parts import (
    CLUSTER,
    NODE_ID,
    OTHER,
    PART,
    encode,
    get_small,
    payload,
    put_small,
    remove_small,
)

PORT_TIMEOUT_S = 60

T = TypeVar("T")


class CountingSite(StreamingSite):
    """A site that counts connections."""

    made = 0

    def buildProtocol(self, addr: Any) -> Any:
        self.made += 1
        return super().buildProtocol(addr)


class HeldStore(MemoryPartStore):
    """Parts in memory; a test can block reads of them."""

    def __init__(self) -> None:
        super().__init__(capacity=2**26, identity=AnyIdentity(), clock=Clock(), wall=wall_of(Clock()))
        self.gate: Deferred[None] | None = None
        self.asked = 0
        self.fault: Exception | None = None

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        self.asked += len(part_ids)
        if self.fault is not None:
            return fail(self.fault)
        found = super().get_all(part_ids)
        if self.gate is None:
            return found
        held: Deferred[list[bytes | StoragedError]] = Deferred()
        self.gate.addCallback(lambda _: found.chainDeferred(held))
        return held


@attrs.define
class Node:
    """A node at the remote end of a link."""

    store: HeldStore
    remote: RemotePartStore
    site: CountingSite
    port: Any
    connections: NodeConnections


@asynccontextmanager
async def node(
    folder: Path, pool: ThreadPool, *, key: str = KEY, node_id: str = NODE_ID, patience_s: float = 5
) -> AsyncIterator[Node]:
    from twisted.internet import reactor

    identity = Identity(str(folder), NODE_ID, OSFilesystem(), pool, reactor)
    identity.load()
    store = HeldStore()
    journals = journals_of(f"{folder}/journals", OSFilesystem(), pool, reactor)
    await journals.start()
    resource = PartResource(store, identity, KEY, ReadAhead(pool, reactor), journals, lambda _: None)
    site = CountingSite(resource, reactor, idle_timeout_s=PORT_TIMEOUT_S, body_timeout_s=PORT_TIMEOUT_S)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
    connections = NodeConnections(reactor, connect_timeout_s=PORT_TIMEOUT_S, idle_timeout_s=PORT_TIMEOUT_S)
    url = f"http://127.0.0.1:{port.getHost().port}"
    remote = RemotePartStore(node_id, url, key, lambda: CLUSTER, connections, reactor, patience_s)
    yield Node(store, remote, site, port, connections)
    await connections.close()
    await maybeDeferred(port.stopListening)
    site.abort_connections()
    journals.stop()


async def at_once(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    return await gatherResults([Deferred.fromCoroutine(each) for each in work])


def begin(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)


def part(number: int) -> str:
    return f"{number:032x}.1"


@pytest_twisted.ensureDeferred
async def test_parts_are_put_got_and_removed_over_one_connection(tmp_path: Path, pool: ThreadPool) -> None:
    async with node(tmp_path, pool) as made:
        whole = {part(number): encode(part(number), payload(number)) for number in range(300)}
        infos = await at_once([put_small(made.remote, *each) for each in whole.items()])
        assert infos == [PartInfo(part_id, len(data), 0) for part_id, data in whole.items()]
        assert await at_once([get_small(made.remote, part_id) for part_id in whole]) == list(whole.values())
        assert await at_once([remove_small(made.remote, part_id) for part_id in whole]) == [True] * 300
        assert await remove_small(made.remote, part(0)) is False
        assert made.site.made == 1


@pytest_twisted.ensureDeferred
async def test_what_is_asked_at_the_same_time_travels_in_few_messages(tmp_path: Path, pool: ThreadPool) -> None:
    lengths: list[int] = []

    async with node(tmp_path, pool) as made:
        await put_small(made.remote, PART, encode(PART, b"abc"))
        client = made.remote._link._client  # the only place where messages can be counted
        assert client is not None
        send = client.send

        def counted(message: bytes) -> None:
            lengths.append(len(message))
            send(message)

        client.send = counted  # type: ignore[method-assign]
        await at_once([get_small(made.remote, PART) for _ in range(messages.MAX_GET)])
        assert len(lengths) == 1
        await at_once([remove_small(made.remote, part(number)) for number in range(100)])
        assert len(lengths) == 2


@pytest_twisted.ensureDeferred
async def test_large_parts_are_spread_over_messages_that_the_node_takes(tmp_path: Path, pool: ThreadPool) -> None:
    async with node(tmp_path, pool) as made:
        ids = [part(number) for number in range(2 * messages.MAX_PUT // SMALL_PART)]
        data = payload(SMALL_PART - 1000)
        await at_once([put_small(made.remote, part_id, encode(part_id, data, 2**20)) for part_id in ids])
        for got, part_id in zip(await at_once([get_small(made.remote, each) for each in ids]), ids, strict=True):
            assert got == encode(part_id, data, 2**20)
        assert made.site.made == 1


@pytest_twisted.ensureDeferred
async def test_each_item_of_a_message_has_a_result_of_its_own(tmp_path: Path, pool: ThreadPool) -> None:
    good = encode(PART, b"abc")
    async with node(tmp_path, pool) as made:
        asked = [begin(put_small(made.remote, part_id, good)) for part_id in (PART, OTHER, PART)]
        assert (await asked[0]).stored_size == len(good)
        with pytest.raises(BadPart, match=r"the bytes are those of part"):
            await asked[1]
        with pytest.raises(PartExists, match=PART):
            await asked[2]
        got = [begin(get_small(made.remote, part_id)) for part_id in (OTHER, PART)]
        with pytest.raises(PartMissing, match=OTHER):
            await got[0]
        assert await got[1] == good


@pytest.mark.parametrize("bad", ["", "x", PART + "\n", "\ud800" * 32 + ".0"])
@pytest_twisted.ensureDeferred
async def test_what_is_no_part_is_refused_without_harm_to_others(tmp_path: Path, pool: ThreadPool, bad: str) -> None:
    async with node(tmp_path, pool) as made:
        others = begin(put_small(made.remote, PART, encode(PART, b"abc")))
        for ask in (
            lambda: put_small(made.remote, bad, b""),
            lambda: get_small(made.remote, bad),
            lambda: remove_small(made.remote, bad),
        ):
            with pytest.raises(BadRequest, match="not a part id"):
                await ask()
        with pytest.raises(BadRequest, match="a small part has at most"):
            await put_small(made.remote, OTHER, bytes(SMALL_PART + 1))
        await others


@pytest.mark.parametrize(
    ("strange", "expected"), [({"key": "another"}, AccessDenied), ({"node_id": "n2"}, WrongNode)], ids=["key", "node"]
)
@pytest_twisted.ensureDeferred
async def test_a_link_is_refused_like_any_request(
    tmp_path: Path, pool: ThreadPool, strange: dict[str, str], expected: type[StoragedError]
) -> None:
    async with node(tmp_path, pool, **strange) as made:
        for ask in (get_small, remove_small):
            with pytest.raises(expected):
                await ask(made.remote, PART)


@pytest_twisted.ensureDeferred
async def test_a_node_that_cannot_be_reached_is_told_of(tmp_path: Path, pool: ThreadPool) -> None:
    async with node(tmp_path, pool) as made:
        await made.port.stopListening()
        asked = [begin(get_small(made.remote, PART)), begin(put_small(made.remote, PART, encode(PART, b"abc")))]
        for each in asked:
            with pytest.raises(NodeUnavailable, match="node n1: the connection was refused"):
                await each


@pytest_twisted.ensureDeferred
async def test_reading_goes_on_when_the_link_broke_and_the_node_is_back(tmp_path: Path, pool: ThreadPool) -> None:
    good = encode(PART, b"abc")
    async with node(tmp_path, pool) as made:
        await put_small(made.remote, PART, good)
        asked = begin(get_small(made.remote, PART))
        made.site.abort_connections()
        assert await asked == good
        assert made.site.made == 2


@pytest_twisted.ensureDeferred
async def test_a_part_is_not_put_a_second_time_when_the_link_broke(tmp_path: Path, pool: ThreadPool) -> None:
    async with node(tmp_path, pool) as made:
        await remove_small(made.remote, PART)  # the link is up
        asked = begin(put_small(made.remote, OTHER, encode(OTHER, b"abc")))
        made.site.abort_connections()
        with pytest.raises(NodeUnavailable, match="node n1: the connection was closed before the answer"):
            await asked
        await put_small(made.remote, PART[:-1] + "5", encode(PART[:-1] + "5", b"abc"))


@pytest_twisted.ensureDeferred
async def test_a_node_that_leaves_everything_unanswered_is_not_waited_for(tmp_path: Path, pool: ThreadPool) -> None:
    async with node(tmp_path, pool, patience_s=2.0) as made:
        await put_small(made.remote, PART, encode(PART, b"abc"))
        made.store.gate = Deferred()
        asked = [begin(get_small(made.remote, PART)) for _ in range(messages.MAX_GET * 4)]
        for each in asked:
            with pytest.raises(NodeUnavailable, match=r"node n1: no answer in 2 s"):
                await each
        made.store.gate.callback(None)


@pytest_twisted.ensureDeferred
async def test_who_gives_up_is_not_asked_for(tmp_path: Path, pool: ThreadPool) -> None:
    async with node(tmp_path, pool) as made:
        await remove_small(made.remote, PART)
        asked = [begin(get_small(made.remote, PART)) for _ in range(3)]
        asked[1].cancel()
        for each, kind in zip(asked, (PartMissing, CancelledError, PartMissing), strict=True):
            with pytest.raises(kind):
                await each
        assert made.store.asked == 2


@pytest_twisted.ensureDeferred
async def test_a_fault_of_the_node_is_an_answer(tmp_path: Path, pool: ThreadPool) -> None:
    async with node(tmp_path, pool) as made:
        await put_small(made.remote, PART, encode(PART, b"abc"))
        made.store.fault = RuntimeError("a fault")
        with pytest.raises(NodeUnavailable, match="RuntimeError: a fault"):
            await get_small(made.remote, PART)
        made.store.fault = None
        await get_small(made.remote, PART)
        assert made.site.made == 1


@pytest.mark.parametrize(
    "message", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x01\x93"], ids=["too long", "no", "torn"]
)
@pytest_twisted.ensureDeferred
async def test_a_node_cuts_a_link_that_speaks_something_else(tmp_path: Path, pool: ThreadPool, message: bytes) -> None:
    lost: Deferred[None] = Deferred()

    class Stranger(Protocol):
        def connectionMade(self) -> None:
            self.transport.write(message)  # type: ignore[union-attr]

        def connectionLost(self, _reason: Any = None) -> None:
            lost.callback(None)

    async with node(tmp_path, pool) as made:
        origin = Origin("http", "127.0.0.1", made.port.getHost().port)
        headers = {"Authorization": f"Bearer {KEY}", "Splitd-Node": NODE_ID, "Splitd-Cluster": CLUSTER}
        await made.connections.upgrade(origin, "/v1/link", headers, "splitd-link/1", Stranger())
        await lost
        await put_small(made.remote, PART, encode(PART, b"abc"))
