"""Each end of a link keeps its promises whatever the other end sends: requests end, and no part is taken for stored
that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from storaged.http import NodeConnections
from storaged.link import LinkServer
from storaged.parts import messages
from storaged.parts.client import RemotePartStore
from storaged.parts.client.link import Link, LinkClient
from storaged.parts.client.patience import Patience
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.memory import MemoryPartStore
from storaged.parts.values import PartInfo
from storaged.system.origin import Origin
from tests.clocks import wall_of
from tests.contract.disks import Identity
from tests.contract.greeted import Greeted
from tests.contract.link_messages import anything, gets, problems, puts, removes, results
from tests.contract.nodes import KEY
from tests.contract.parts import CLUSTER, NODE_ID, OTHER, PART, encode, get_small, put_small, remove_small
from tests.contract.test_link import node

DATA = encode(PART, b"abc")
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: splitd-link/1\r\n\r\n"


class Transport(StringTransport):
    """A connection in memory; the protocol learns of its end when the test decides."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


answers = st.builds(messages.Answer, st.integers(0, 5), st.lists(results, max_size=3), problems)
right = [
    messages.Answer(1, [(len(DATA), 7)], {}),
    messages.Answer(2, [DATA, None], {1: "PartMissing: not here"}),
    messages.Answer(3, [True], {}),
]
streams = st.lists(
    st.one_of(
        st.sampled_from(right).map(messages.encode).map(framed),
        answers.map(messages.encode).map(framed),
        anything.map(messages.encode).map(framed),
        st.binary(max_size=40),
    ),
    max_size=6,
).map(b"".join)


@given(streams, st.integers(1, 50))
def test_every_request_ends_whatever_a_node_answers(stream: bytes, piece: int) -> None:
    clock = Clock()
    clients: list[LinkClient] = []

    def connect(client: LinkClient) -> Deferred[Any]:
        if clients:
            return fail(NodeUnavailable("the node is gone"))
        clients.append(client)
        client.makeConnection(Transport())
        return succeed(None)

    link = Link(connect, clock, Patience(clock, 60))
    outcomes: dict[str, list[Any]] = {}
    link.put_all([(PART, DATA)]).addCallback(lambda got: outcomes.update(put=got))
    link.get_all([PART, OTHER]).addCallback(lambda got: outcomes.update(get=got))
    link.remove_all([OTHER]).addCallback(lambda got: outcomes.update(remove=got))
    clock.advance(0)
    client = clients[0]
    for start in range(0, len(stream), piece):
        if not client.transport.aborted:
            client.dataReceived(stream[start : start + piece])
    client.connectionLost(Failure(ConnectionAborted() if client.transport.aborted else ConnectionDone()))
    clock.advance(0)

    assert set(outcomes) == {"put", "get", "remove"}
    [stored] = outcomes["put"]
    assert isinstance(stored, StoragedError) or stored == PartInfo(PART, len(DATA), stored.modified_ms)
    assert [type(got) for got in outcomes["get"] if not isinstance(got, StoragedError | bytes)] == []
    assert len(outcomes["get"]) == 2
    [removed] = outcomes["remove"]
    assert isinstance(removed, StoragedError | bool)
    assert not clock.getDelayedCalls()


requests = st.lists(
    st.one_of(
        (puts | gets | removes).map(messages.encode).map(framed),
        anything.map(messages.encode).map(framed),
        st.binary(max_size=40),
    ),
    max_size=6,
).map(b"".join)


@given(requests, st.integers(1, 50))
def test_a_node_answers_each_request_or_cuts_the_link(stream: bytes, piece: int) -> None:
    store = MemoryPartStore(capacity=2**20, identity=Identity(), clock=Clock(), wall=wall_of(Clock()))
    server = LinkServer(store, lambda _: None)
    transport = Transport()
    server.makeConnection(transport)
    for start in range(0, len(stream), piece):
        if not transport.aborted:
            server.dataReceived(stream[start : start + piece])
    whole, _ = _messages(stream)
    sent, rest = _messages(transport.value())
    assert rest == b""
    assert len(sent) <= len(whole)
    assert transport.aborted or len(sent) == len(whole)
    for message, answer in zip(whole, sent, strict=False):
        request = messages.decode_request(message)
        assert messages.decode_answer(answer).number == request.number
        assert len(messages.decode_answer(answer).results) == len(request.parts)


def _messages(stream: bytes) -> tuple[list[bytes], bytes]:
    found = []
    while len(stream) >= 4 and len(stream) - 4 >= (length := int.from_bytes(stream[:4], "big")):
        found.append(stream[4 : 4 + length])
        stream = stream[4 + length :]
    return found, stream


class Liar(Protocol):
    """A node that agrees to a link, and answers the first request with given bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._agreed = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._greeted = Greeted(KEY, NODE_ID, self.transport.write)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if not self._greeted.read(data):
            return
        if not self._agreed:
            self._agreed = True
            self.transport.write(UPGRADED)
        else:
            self.transport.write(self._answer)


class Liars(Factory):
    noisy = False

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def buildProtocol(self, _addr: Any) -> Liar:
        return Liar(self._answer)


def _answer(*outcomes: messages.Result, problems: dict[int, str] | None = None) -> bytes:
    return framed(messages.encode(messages.Answer(1, list(outcomes), problems or {})))


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: put_small(store, PART, DATA),
        lambda store: get_small(store, PART),
        lambda store: remove_small(store, PART),
    ],
    ids=["put", "get", "remove"],
)
@pytest.mark.parametrize(
    "answer",
    [
        _answer((1, 0)),
        _answer((len(DATA), -1)),
        _answer(None),
        _answer(None, problems={1: "NoSpace: full"}),
        _answer(None, problems={-1: "NoSpace: full"}),
        _answer(None, problems={0: "NoSpace: full", 7: "NoSpace: full"}),
        _answer(True, problems={0: "NoSpace: full"}),
        _answer(),
        _answer(True, True),
        _answer(b""),
        framed(b"\xc0"),
        framed(b""),
        b"\xff\xff\xff\xff",
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_node_that_answers_nonsense_is_unusable(ask: Callable[[RemotePartStore], Any], answer: bytes) -> None:
    from twisted.internet import reactor

    port = reactor.listenTCP(0, Liars(answer), interface="127.0.0.1")  # type: ignore[attr-defined]
    connections = NodeConnections(reactor, connect_timeout_s=60, idle_timeout_s=60)
    url = f"http://127.0.0.1:{port.getHost().port}"
    store = RemotePartStore(NODE_ID, url, KEY, lambda: CLUSTER, connections, reactor, 5)  # type: ignore[arg-type]
    try:
        with pytest.raises(NodeUnavailable, match="answered"):
            await ask(store)
    finally:
        await connections.close()
        await port.stopListening()


STRANGE: Sequence[bytes] = [
    b"\x00\x00\x00\x00",
    framed(messages.encode(messages.Get(1, [PART] * 17))),
    framed(messages.encode(messages.Remove(1, [PART] * 1001))),
    framed(messages.encode(messages.Get(1, [PART]))) + framed(b"\xc1"),
    framed(messages.encode(["put", 1, [[PART, "text"]]])),
    framed(messages.encode(["get", -(2**70) % 2**64, [1]])),
    framed(messages.encode(messages.Answer(1, [True], {}))),
]


@pytest.mark.parametrize("stream", STRANGE, ids=range(len(STRANGE)))
@pytest_twisted.ensureDeferred
async def test_a_node_cuts_a_strange_link_and_serves_the_others(
    tmp_path: Path, pool: ThreadPool, stream: bytes
) -> None:
    lost: Deferred[None] = Deferred()

    class Stranger(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.write(stream)

        def connectionLost(self, _reason: Any = None) -> None:
            lost.callback(None)

    async with node(tmp_path, pool) as made:
        await put_small(made.remote, PART, DATA)
        origin = Origin("http", "127.0.0.1", made.port.getHost().port)
        headers = {"Authorization": f"Bearer {KEY}", "Splitd-Node": NODE_ID, "Splitd-Cluster": CLUSTER}
        await made.connections.upgrade(origin, "/v1/link", headers, "splitd-link/1", Stranger())
        await lost
        assert await get_small(made.remote, PART) == DATA
