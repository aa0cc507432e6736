"""The parts of workers, each by itself: shares of limits, sums of counts, turns to accept, what ends with a session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import pytest_twisted
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from splitd.access.limits_file import read_limits
from splitd.config import Config
from splitd.downloads.pins import Pins
from splitd.frontends.admin.actions import probe
from splitd.frontends.resumable.exclusive import Exclusive, Holder
from splitd.model.manifest import Manifest
from splitd.model.nodes import NodeEntry
from splitd.model.traffic import Traffic
from splitd.model.workers import choose_workers
from splitd.nodes.probe import Found
from splitd.nodes.registry import NodeRegistry
from splitd.workers import methods
from splitd.workers.acting import REFUSED, act, offered
from splitd.workers.balance import Balance
from splitd.workers.counters import Counters
from splitd.workers.exclusive import Acquired
from splitd.workers.head import _plain as plain_settings
from splitd.workers.hub import Hub
from splitd.workers.ledger import OwnedLedger
from splitd.workers.limits import share_of
from splitd.workers.methods import fingerprint
from splitd.workers.pins import OwnedPins
from splitd.workers.post import Post, take_post
from splitd.workers.report import NO_REPORT, Family, Report, add_reports, metrics_of, traffic_of
from splitd.workers.session import Session
from splitd.workers.view import NodeView, View
from splitd.workers.watchdog import Watchdog, patience_of
from splitd.workers.wire import encode_frame
from storaged.system.cores import usable_cores
from storaged.system.settings import load_settings
from tests.catalogs import NODES, A, manifest
from tests.fired import fired
from tests.ledger import begin
from tests.unit.catalogs import Front
from tests.workers import shared_counters

LIMITS = """\
requests: {in_all: 11, per_client: 1}
connections: {per_address: 8}
work: {at_once: 32, waiting: 3}
rates: {per_user: 1MiB, per_address: 20KiB}
largest_file: 1GiB
quotas: [{path: /a, bytes: 1GiB}]
"""


def test_the_shares_of_all_workers_are_no_more_than_the_limits() -> None:
    limits = read_limits("limits.yaml", LIMITS)
    assert share_of(limits, 1) is limits
    share = share_of(limits, 2)
    assert (share.requests.in_all, share.requests.per_client, share.uploads.in_all) == (5, 1, None)
    assert share.connections.per_address == 4
    assert share.work is not None
    assert (share.work.at_once, share.work.waiting, share.work.wait_s) == (16, 1, 1.0)
    assert (share.rates.per_user, share.rates.per_address) == (512 * 1024, 16 * 1024)
    assert (share.largest_file, share.quotas) == (limits.largest_file, limits.quotas)


def report_of(count: float) -> Report:
    counter = CounterMetricFamily("splitd_x", "Things.", labels=["method"])
    counter.add_metric(["GET"], count)
    gauge = GaugeMetricFamily("splitd_y", "Things now.", value=count)
    number = int(count)
    traffic = {"bytes_in": number, "uploads_under_way": number}
    return Report(
        traffic, (number, number), (number, number, number), (number, number), False, number, {"a": number}, number,
        [Family.of(counter), Family.of(gauge)],
    )  # fmt: skip


def test_reports_are_summed_and_counts_do_not_go_back_when_a_worker_ends() -> None:
    assert add_reports([report_of(1), report_of(2)]) == report_of(3)
    left = add_reports([report_of(1), report_of(2).ended()])
    values = {sample.name: sample.value for metric in metrics_of(left) for sample in metric.samples}
    assert values == {"splitd_x_total": 3.0, "splitd_y": 1.0}
    assert (left.cache, left.connections, left.refused) == ((1, 3, 3), (1, 1), {"a": 3})
    traffic = Traffic(bytes_out=7)
    traffic_of(left, traffic)
    assert (traffic.bytes_in, traffic.uploads_under_way, traffic.bytes_out) == (3, 1, 0)
    assert add_reports([]) == NO_REPORT


class Port:
    """A port at which connections wait."""

    def __init__(self) -> None:
        self.connected, self.disconnecting = True, False
        self.reading, self.waiting, self.accepted, self.numberAccepts = True, 0, 0, 100

    def doRead(self) -> None:
        count = min(self.waiting, self.numberAccepts)
        self.waiting -= count
        self.accepted += count

    def connect(self) -> None:
        """Another connection waits."""
        self.waiting += 1
        self.doRead()

    def stopReading(self) -> None:
        self.reading = False

    def startReading(self) -> None:
        self.reading = True


def balanced() -> tuple[Counters, Clock, Port]:
    """The port of worker 0 of two, the other of which has no connection."""
    counters, clock, port = shared_counters(), Clock(), Port()
    Balance(counters, 1, 2, lambda: 0, clock)
    Balance(counters, 0, 2, lambda: port.accepted, clock).guard(port)
    return counters, clock, port


def test_a_worker_with_more_connections_leaves_the_next_one_to_others() -> None:
    counters, clock, port = balanced()
    port.connect()
    assert port.accepted == 1  # as many as the other: one at a time
    port.connect()
    assert (port.accepted, port.reading) == (1, False)
    clock.advance(0.002)
    assert not port.reading
    port.waiting, counters.connections[1] = 0, 1  # the other has taken it
    clock.advance(0.002)
    assert (port.accepted, port.reading) == (1, True)
    port.connect()
    assert port.accepted == 2


def test_a_worker_takes_what_others_leave_for_long_and_then_waits_less() -> None:
    counters, clock, port = balanced()
    port.connect()
    port.connect()
    clock.pump([0.002] * 7)
    assert port.accepted == 1
    clock.advance(0.002)
    assert (port.accepted, port.reading) == (2, True)
    port.connect()
    clock.advance(0.002)
    assert port.accepted == 3
    port.connect()
    port.waiting, counters.connections[1] = 0, 3  # the other one is there again
    clock.advance(0.002)
    counters.connections[1] = 2
    port.connect()
    clock.advance(0.002)
    assert (port.accepted, port.reading) == (3, False)
    port.connected = False
    clock.advance(0.02)
    assert not port.reading
    assert not clock.getDelayedCalls()


def test_one_that_stops_leaves_all_connections_to_others() -> None:
    counters, clock, port = shared_counters(), Clock(), Port()
    stopping = Balance(counters, 1, 2, lambda: 0, clock)
    stopping.leave()
    Balance(counters, 0, 2, lambda: port.accepted, clock).guard(port)
    for _ in range(3):
        port.connect()
    assert port.accepted == 3


def test_one_request_of_all_workers_uses_an_upload() -> None:
    shared, told = Exclusive(), list[str]()
    one, other = (
        Acquired(shared, lambda upload, number, name=name: told.append(f"{name} {upload} {number}"))  # type: ignore[misc]
        for name in "ab"
    )
    fired(Deferred.fromCoroutine(one.acquire("u", 1)))
    fired(Deferred.fromCoroutine(other.acquire("v", 1)))
    waiting = Deferred.fromCoroutine(other.acquire("u", 2))
    assert told == ["a u 1"]
    one.give_back("u", 3)
    assert not waiting.called
    one.give_back("u", 1)
    one.give_back("u", 1)
    fired(waiting)
    again = Deferred.fromCoroutine(one.acquire("u", 4))
    assert told == ["a u 1", "b u 2"]
    other.end()
    fired(again)


class Worker:
    """One worker's lock, over that of the catalog's process."""

    def __init__(self, shared: Exclusive) -> None:
        self.acquired = Acquired(shared, self._end)
        self.exclusive = Exclusive(self._acquire, self.acquired.give_back)

    def _end(self, upload: str, number: int) -> None:
        self.exclusive.end(upload, number)

    def _acquire(self, upload: str, number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self.acquired.acquire(upload, number))


def test_a_request_ends_the_one_before_it_in_another_worker_and_in_its_own() -> None:
    shared = Exclusive()
    here, there = Worker(shared), Worker(shared)

    def enter(worker: Worker) -> Deferred[Holder]:
        return Deferred.fromCoroutine(worker.exclusive.enter("u"))

    first = fired(enter(here))
    second = enter(there)
    third = enter(there)
    assert first.is_ended
    assert not second.called
    here.exclusive.leave("u", first)
    holder = fired(second)
    assert holder.is_ended
    assert not third.called
    there.exclusive.leave("u", holder)
    holder = fired(third)
    assert not holder.is_ended
    there.exclusive.end_all()
    assert holder.is_ended


def test_a_wish_that_comes_when_its_request_has_left_does_not_end_the_next_one() -> None:
    shared, wishes = Exclusive(), list[tuple[str, int]]()
    acquired = Acquired(shared, lambda *wanted: wishes.append(wanted))

    def acquire(upload: str, number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(acquired.acquire(upload, number))

    here, there = Exclusive(acquire, acquired.give_back), Worker(shared)
    first = fired(Deferred.fromCoroutine(here.enter("u")))
    other = Deferred.fromCoroutine(there.exclusive.enter("u"))
    [wish] = wishes  # which is still on its way
    here.leave("u", first)
    second = Deferred.fromCoroutine(here.enter("u"))
    there.exclusive.leave("u", fired(other))
    holder = fired(second)
    here.end(*wish)
    assert not holder.is_ended
    here.end("u", holder.number)
    assert holder.is_ended


class NoReaper:
    def __init__(self) -> None:
        self.unpinned: list[Manifest] = []

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


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


def test_what_a_worker_reads_is_kept_while_it_connects_again() -> None:
    clock, pins, version, seen = Clock(), Pins(), manifest(A), list[Manifest]()

    @attrs.define
    class Reaper:
        unpinned: Any = seen.append

    nodes = NodeRegistry((), lambda _: None, clock)  # type: ignore[arg-type, return-value]
    hub = Hub(
        {}, Front().catalog.ledger, pins, Reaper(), nodes, tending=Tending(), epoch=lambda: 1,  # type: ignore[arg-type]
        operating=Operators(), note_attempt=lambda *_: None, wanted=1, reactor=clock,
    )  # fmt: skip
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


@attrs.define
class Tending:
    calls: list[str] = attrs.Factory(list)

    def wake(self) -> None:
        self.calls.append("wake")

    def hurt(self) -> None:
        self.calls.append("hurt")

    def found(self, *_: object) -> None:
        self.calls.append("found")


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


def test_a_process_learns_its_post_once_and_others_have_none() -> None:
    assert take_post({}) is None
    post = Post("worker", os.getpid(), 3, "x", 2, 1)
    environment = post.environment({"A": "b"})
    read, write = os.pipe()
    child = os.fork()
    if not child:  # it must not change this process
        taken = take_post(environment)
        os.write(write, repr((taken == post, environment)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    assert os.read(read, 1000) == repr((True, {"A": "b"})).encode()
    os.close(read)


def test_a_process_whose_head_has_ended_ends() -> None:
    child = os.fork()
    if not child:
        take_post(Post("worker", 0, 3, "x", 2, 1).environment({}))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_settings_reach_the_processes_as_they_are(tmp_path: Any) -> None:
    config = Config(data="d", registry="r", cluster_key_file="k", workers=2, cors_origins=("*",))  # type: ignore[arg-type]
    path = tmp_path / "settings"
    path.write_bytes(msgspec.json.encode(plain_settings(config)))
    assert load_settings(Config, str(path), {}) == config


def test_there_are_as_many_workers_as_fit_the_machine() -> None:
    found = {cores: choose_workers(cores) for cores in (1, 2, 3, 4, 8, 16, 64)}
    assert found == {1: 1, 2: 1, 3: 1, 4: 2, 8: 4, 16: 8, 64: 8}


def config(**more: Any) -> Config:
    return Config(data="d", registry="r", cluster_key_file="k", **more)


def test_one_process_does_all_where_workers_cannot_be() -> None:
    assert config().count_workers(8, "linux") == 4
    assert config(listen_tls="ssl:8443:interface=127.0.0.1").count_workers(8, "linux") == 1
    assert config(listen="unix:/run/s").count_workers(8, "linux") == 1
    assert config(catalog="postgresql://h/d").count_workers(8, "linux") == 4
    assert config().count_workers(8, "darwin") == 1
    assert config(workers=0).count_workers(8, "darwin") == 1
    assert config(workers=3).count_workers(1, "linux") == 3
    with pytest.raises(ValueError, match="needs Linux"):
        config(workers=2).count_workers(8, "darwin")
    assert config(workers=2, catalog="postgresql://h/d").count_workers(8, "linux") == 2


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    cores = usable_cores(str(limit))
    assert cores >= 1
    for text, expected in (("max 100000", cores), ("50000 100000", 1), ("150000 100000", min(2, cores)), ("", cores)):
        limit.write_text(text + "\n")
        assert usable_cores(str(limit)) == expected


def test_a_process_that_serves_and_falls_silent_is_noticed_once() -> None:
    clock, silent = Clock(), list[float]()
    watchdog = Watchdog(60, lambda: silent.append(clock.seconds()), clock)
    watchdog.heard(b"WATCHDOG=1")  # it has not said that it serves
    clock.advance(1000)
    watchdog.heard(b"READY=1")
    clock.advance(50)
    watchdog.heard(b"WATCHDOG=1")
    clock.advance(59)
    assert silent == []
    clock.advance(1)
    clock.advance(1000)
    assert silent == [1110]


def test_a_process_that_stops_or_has_ended_may_be_silent() -> None:
    clock, silent = Clock(), list[float]()
    watchdog = Watchdog(60, lambda: silent.append(clock.seconds()), clock)
    watchdog.heard(b"READY=1")
    watchdog.heard(b"STOPPING=1")
    clock.advance(1000)
    watchdog.heard(b"READY=1")
    watchdog.end()
    watchdog.end()
    Watchdog(0, lambda: silent.append(0), clock).heard(b"READY=1")
    clock.advance(1000)
    assert silent == []


def test_the_patience_is_that_of_the_service_manager_for_this_process() -> None:
    assert patience_of({}) == 0
    assert patience_of({"WATCHDOG_USEC": "60000000"}) == 60
    assert patience_of({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}) == 0.5
    assert patience_of({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}) == 0
    assert patience_of({"WATCHDOG_USEC": "soon"}) == 0
