"""What a worker has and does at the process of the catalog, and what ends with its session."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from splitd.downloads.pins import Pins
from splitd.frontends.admin.actions import probe
from splitd.frontends.resumable.exclusive import Exclusive
from splitd.model.manifest import Manifest
from splitd.model.nodes import NodeEntry
from splitd.nodes.probe import Found
from splitd.nodes.registry import NodeRegistry
from splitd.workers import methods
from splitd.workers.acting import REFUSED, act, offered
from splitd.workers.exclusive import Acquired
from splitd.workers.hub import Hub
from splitd.workers.ledger import OwnedLedger
from splitd.workers.methods import fingerprint
from splitd.workers.pins import OwnedPins
from splitd.workers.report import NO_REPORT, Report, add_reports
from splitd.workers.session import Session
from splitd.workers.view import NodeView, View
from splitd.workers.wire import Entry, encode_frame
from tests.catalogs import NODES, A, manifest
from tests.fired import fired
from tests.ledger import begin
from tests.unit.catalogs import Front
from tests.workers import report_of


class NoReaper:
    def __init__(self) -> None:
        self.unpinned: list[Manifest] = []

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class Operators:
    """What operators see and do: one action, and reports that no test asks for."""

    def __init__(self) -> None:
        self.why_closed = ""

    async def report(self) -> Any:
        raise AssertionError

    def totals(self) -> tuple[int, int]:
        raise AssertionError

    def samples(self) -> Any:
        raise AssertionError

    def actions(self) -> dict[str, Any]:
        return {"/probe": probe(self._probe), "/check": {"POST": None}}

    def closed(self) -> str:
        return self.why_closed

    async def _probe(self, node: str, url: str) -> Found:
        raise ValueError(f"{node} at {url} is no node")


@attrs.define
class Tending:
    calls: list[str] = attrs.Factory(list)

    def wake(self) -> None:
        self.calls.append("wake")

    def hurt(self) -> None:
        self.calls.append("hurt")

    def found(self, *_: object) -> None:
        self.calls.append("found")


def test_pins_of_a_worker_end_with_it() -> None:
    pins, seen = Pins(), list[Manifest]()

    @attrs.define
    class Reaper:
        unpinned: Any = seen.append

    owned, others = OwnedPins(pins, Reaper()), OwnedPins(pins, Reaper())  # type: ignore[arg-type]
    version = manifest(A)
    owned.pin(version)
    owned.pin(version)
    others.pin(version)
    others.unpin(version)
    others.unpin(version)  # one that was set on a connection before
    assert pins.holds(A, "a")
    assert seen == []
    owned.end()
    assert not pins.holds(A, "a")
    assert seen == [version]


def hub_with(pins: Pins, reaper: Any, clock: Clock) -> Hub:
    nodes = NodeRegistry((), lambda _: None, clock)  # type: ignore[arg-type, return-value]
    catalog = Front().catalog
    return Hub(
        {"catalog": catalog}, catalog.ledger, pins, reaper, nodes, tending=Tending(), epoch=lambda: 1,
        operating=Operators(), note_attempt=lambda *_: None, wanted=1, reactor=clock,
    )  # fmt: skip


class Connection:
    """The connection of a worker, which serves unless that is to be said later."""

    def __init__(self, hub: Hub, number: int, pid: int, *, serves: bool = True) -> None:
        self._protocol: Any = hub.buildProtocol(None)
        self._protocol.transport = StringTransport()
        self._asked = 0
        self._say(methods.HELLO.call(1, [fingerprint(), number, pid]))
        if serves:
            self.serve()

    def serve(self) -> None:
        self._say(methods.SERVING.call(0, []))

    def _say(self, *entries: Entry) -> None:
        self._protocol.dataReceived(encode_frame(entries))

    def reply(self, report: Report) -> None:
        self._asked += 1
        self._say(methods.REPLY.call(0, [self._asked, report]))

    def end(self) -> None:
        self._protocol.connectionLost()


def collected(hub: Hub, *replies: tuple[Connection, Report]) -> Report:
    collecting = Deferred.fromCoroutine(hub.collect())
    for connection, report in replies:
        connection.reply(report)
    return fired(collecting)


def test_a_worker_that_connects_again_is_counted_once_and_another_one_besides() -> None:
    hub = hub_with(Pins(), NoReaper(), Clock())
    before = Connection(hub, 0, 77)
    assert collected(hub, (before, report_of(3))) == report_of(3)
    before.end()
    assert collected(hub) == report_of(3).ended()
    for _ in range(2):  # the second one comes before the end of the first is noticed
        after = Connection(hub, 0, 77)
        assert collected(hub, (after, report_of(5))) == report_of(5)
    assert collected(hub, (after, report_of(6))) == report_of(6)
    after.end()
    Connection(hub, 0, 77).end()  # before it has reported
    another = Connection(hub, 0, 78)
    assert collected(hub, (another, report_of(1))) == add_reports([report_of(6).ended(), report_of(1)])


def test_what_a_worker_has_counted_stays_while_it_connects_again() -> None:
    hub = hub_with(Pins(), NoReaper(), Clock())
    before = Connection(hub, 0, 77)
    collected(hub, (before, report_of(3)))
    before.end()
    after = Connection(hub, 0, 77, serves=False)
    assert collected(hub) == report_of(3).ended()
    after.serve()
    assert collected(hub, (after, report_of(5))) == report_of(5)


def test_a_reload_is_answered_when_all_workers_have_read_their_files_or_one_does_not_answer() -> None:
    clock = Clock()
    hub = hub_with(Pins(), NoReaper(), clock)
    worker = Connection(hub, 0, 77)
    reloading = hub.reload()
    clock.advance(20)
    assert not reloading.called
    worker.reply(NO_REPORT)
    fired(reloading)
    reloading = hub.reload()
    clock.advance(30)
    fired(reloading)


def test_what_a_worker_reads_is_kept_while_it_connects_again() -> None:
    clock, pins, version, seen = Clock(), Pins(), manifest(A), list[Manifest]()

    @attrs.define
    class Reaper:
        unpinned: Any = seen.append

    hub = hub_with(pins, Reaper(), clock)
    pin = encode_frame([methods.PIN.call(0, [version])])
    lost, again = hub.buildProtocol(None), hub.buildProtocol(None)
    lost.dataReceived(pin)
    lost.connectionLost()
    assert pins.holds(A, "a")
    again.dataReceived(pin)
    clock.advance(10)
    assert pins.holds(A, "a")
    assert seen == []
    again.connectionLost()
    clock.advance(10)
    assert not pins.holds(A, "a")
    assert seen == [version]


def test_actions_of_operators_are_made_for_workers() -> None:
    async def to_act() -> None:
        operators = Operators()
        assert offered(operators.actions()) == {"/probe": ["POST"]}  # a check has no end that could be waited for
        uri = "/.splitd/api/cluster/act/probe?id=n%201&url=u"

        async def ask(uri: str) -> tuple[int, str, bytes]:
            return await act(operators.actions(), operators.closed, "/probe", "POST", uri)

        assert await ask(uri) == (400, REFUSED, b"n 1 at u is no node")
        operators.why_closed = "the front stops"
        assert await ask(uri) == (503, REFUSED, b"the front stops")

    fired(Deferred.fromCoroutine(to_act()))


def registry() -> NodeRegistry:
    entries = [NodeEntry(node, f"http://{node}") for node in NODES]
    return NodeRegistry(entries, lambda _: None, Clock(), asks=False)  # type: ignore[arg-type, return-value]


def session_of(front: Front, nodes: NodeRegistry, tending: Tending) -> Session:
    def view() -> View:
        return View("c", 1, 6, [NodeView.of(node) for node in nodes.nodes()])

    def no_attempt(*_: object) -> None:
        raise AssertionError

    pins = OwnedPins(Pins(), NoReaper())  # type: ignore[arg-type]
    acquired = Acquired(Exclusive(), no_attempt)
    return Session(
        OwnedLedger(front.catalog.ledger),
        pins,
        nodes,
        tending,
        view,
        Operators(),
        lambda: None,
        greeted=lambda: None,
        attempt=no_attempt,
        acquired=acquired,
    )


@pytest_twisted.ensureDeferred
async def test_what_a_worker_had_is_given_back_when_it_ends() -> None:
    front, nodes, tending = await Front().start(), registry(), Tending()
    session = session_of(front, nodes, tending)
    session.reserve(["a", "b", "unknown"], 10, True)
    session.reserve(["a"], 5, False)
    session.release("b", 10)
    session.release("b", 10)
    assert [(node.held, node.reserved) for node in nodes.nodes()[:2]] == [(10, 5), (0, 0)]
    await begin(session.ledger, A, "/a", NODES)
    await session.end()
    assert [(node.held, node.reserved) for node in nodes.nodes()[:2]] == [(0, 5), (0, 0)]
    assert (await front.catalog.statistics()).uploads == 0
    assert tending.calls == ["wake"]


@pytest_twisted.ensureDeferred
async def test_a_worker_that_does_not_answer_any_more_is_not_waited_for() -> None:
    session = session_of(await Front().start(), registry(), Tending())
    session.reply(0, report_of(2))
    asked = session.ask(lambda _: None)
    await session.end()
    assert await asked == report_of(2).ended()


@pytest_twisted.ensureDeferred
async def test_a_worker_of_another_version_is_refused() -> None:
    session = session_of(await Front().start(), registry(), Tending())
    assert session.hello(fingerprint(), 3, 77).widest == 6
    assert (session.number, session.pid) == (3, 77)
    with pytest.raises(ValueError, match="another version"):
        session.hello(fingerprint() + 1, 3, 77)


def test_a_view_gives_nodes_the_state_that_it_was_made_of() -> None:
    shown, other = registry(), registry()
    [node, *_] = shown.nodes()
    node.capacity, node.free, node.reserved, node.held = 100, 50, 7, 8
    node.health.failed(1.0, "no room", full=True)
    view = msgspec.msgpack.decode(msgspec.msgpack.encode(NodeView.of(node)), type=NodeView)
    view.apply(other.nodes()[0])
    assert NodeView.of(other.nodes()[0]) == NodeView.of(node)
    assert other.nodes()[0].room == 35
