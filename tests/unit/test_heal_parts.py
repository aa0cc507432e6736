"""The small pieces that the heal is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from splitd.errors import NotEnoughNodes
from splitd.model.health import Health
from splitd.model.manifest import Manifest
from splitd.model.nodes import NodeEntry
from splitd.upkeep.gate import Gate
from splitd.upkeep.heal.crew import Crew
from splitd.upkeep.heal.leaving import LeavingNodes
from splitd.upkeep.heal.pauses import Pauses
from splitd.upkeep.heal.rate import Rate
from splitd.upkeep.heal.targets import choose_targets
from storaged.system.once import Once
from tests.catalogs import A, B


def test_the_rate_is_that_of_the_last_five_minutes() -> None:
    clock = Clock()
    rate = Rate(clock)
    assert rate.now() == 0
    for _ in range(100):
        rate.count(2, 1000)
        clock.advance(1.0)
    assert (rate.parts, rate.bytes) == (200, 100_000)
    assert rate.now() == pytest.approx(1000, rel=0.05)
    clock.advance(200.0)
    assert rate.now() == pytest.approx(100_000 / 300, rel=0.05)
    clock.advance(100.0)
    assert rate.now() == 0


def test_one_part_alone_is_no_infinite_rate() -> None:
    rate = Rate(Clock())
    rate.count(1, 1000)
    assert rate.now() == 1000


def test_a_version_that_failed_is_left_alone_for_longer_and_longer() -> None:
    clock = Clock()
    pauses = Pauses(clock)
    lengths = []
    for _ in range(9):
        pauses.failed(A)
        began = clock.seconds()
        while pauses.holds(A):
            clock.advance(1.0)
        lengths.append(clock.seconds() - began)
    assert lengths == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert not pauses.holds(B)
    pauses.ended(A)
    pauses.failed(A)
    clock.advance(10.0)
    assert not pauses.holds(A)


def test_the_first_pause_is_short_if_a_node_only_refused() -> None:
    clock = Clock()
    pauses = Pauses(clock)
    pauses.refused(A, {"a"})
    clock.advance(1.0)
    assert not pauses.holds(A)
    pauses.failed(A)
    clock.advance(1.0)
    assert pauses.holds(A)


def test_nodes_that_refused_a_version_are_remembered_until_it_is_healed() -> None:
    pauses = Pauses(Clock())
    pauses.refused(A, {"a"})
    pauses.refused(A, {"b"})
    assert (pauses.refusing(A), pauses.refusing(B), pauses.holds(A)) == ({"a", "b"}, set(), True)
    pauses.ended(A)
    assert (pauses.refusing(A), pauses.holds(A)) == (set(), False)
    pauses.refused(A, {"a"})
    pauses.clear()
    assert (pauses.refusing(A), pauses.holds(A)) == (set(), False)


def test_not_more_failures_are_remembered_than_there_is_memory_for() -> None:
    pauses = Pauses(Clock())
    for number in range(10_001):
        pauses.refused(f"{number:032x}", {"a"})
    assert [pauses.holds(f"{number:032x}") for number in (0, 1, 10_000)] == [False, True, True]
    assert pauses.refusing(f"{0:032x}") == set()


@attrs.define
class Node:
    entry: NodeEntry
    health: Health


class Nodes:
    """Nodes, some of which are full."""

    def __init__(self, *entries: NodeEntry, full: Collection[str] = ()) -> None:
        self.entries = {entry.id: Node(entry, up()) for entry in entries}
        self.full = full

    def nodes(self) -> Sequence[Node]:
        return list(self.entries.values())

    def place(self, count: int, stored_size: int, avoid: Collection[str]) -> list[str]:
        usable = [node for node in self.entries if node not in avoid and node not in self.full]
        if len(usable) < count:
            raise NotEnoughNodes(f"{count} of {stored_size} bytes")
        return usable[:count]


def up() -> Health:
    health = Health(0)
    health.answered(0)
    return health


def entry(name: str, zone: str = "", state: Any = "active") -> NodeEntry:
    return NodeEntry(name, f"http://{name}", zone, state=state)


def hurt(*nodes: str) -> Manifest:
    return Manifest(A, 100, 1, 2, 2, 4, nodes)


def test_parts_go_to_nodes_that_have_none_of_the_version() -> None:
    nodes = Nodes(*map(entry, "abcdef"))
    assert choose_targets(nodes, hurt("a", "", "c", ""), [3, 1], ()) == {1: "b", 3: "d"}  # type: ignore[arg-type]
    assert choose_targets(nodes, hurt("a", "", "c", ""), [3, 1], {"b"}) == {1: "d", 3: "e"}  # type: ignore[arg-type]


def test_if_there_are_too_few_nodes_data_parts_come_first() -> None:
    nodes = Nodes(*map(entry, "abcd"), full={"d"})
    assert choose_targets(nodes, hurt("a", "", "c", ""), [3, 1], ()) == {1: "b"}  # type: ignore[arg-type]
    with pytest.raises(NotEnoughNodes):
        choose_targets(nodes, hurt("a", "", "c", ""), [3, 1], {"b"})  # type: ignore[arg-type]


def test_zones_without_a_part_of_the_version_come_first() -> None:
    nodes = Nodes(entry("a", "x"), entry("b", "x"), entry("c", "y"), entry("d", "z"), entry("e", "z"))
    assert choose_targets(nodes, hurt("a", "", "c", ""), [1], ()) == {1: "d"}  # type: ignore[arg-type]
    assert choose_targets(nodes, hurt("a", "d", "c", ""), [3], ()) == {3: "b"}  # type: ignore[arg-type]


def test_parts_leave_nodes_that_are_lost_or_draining_and_those_that_are_away_for_long() -> None:
    clock = Clock()
    nodes = Nodes(entry("a"), entry("b", state="draining"), entry("c", state="lost"), entry("d", state="draining"))
    leaving = LeavingNodes(nodes, clock, 900.0)  # type: ignore[arg-type]
    for name in "acd":
        nodes.entries[name].health.silent(0, "no answer")
    expected = {"b": "draining", "c": "lost", "d": "draining"}
    assert leaving.look() == expected
    clock.advance(899.0)
    assert leaving.look() == expected
    clock.advance(1.0)
    assert leaving.look() == {"a": "away", "b": "draining", "c": "lost", "d": "away"}
    nodes.entries["a"].health.answered(0)
    assert leaving.look() == {"b": "draining", "c": "lost", "d": "away"}
    nodes.entries["a"].health.silent(0, "no answer")
    clock.advance(899.0)
    assert "a" not in leaving.look(), "the time begins anew"


class Writer:
    """A part writer that is full when the test says so."""

    def __init__(self) -> None:
        self.source: Any = None
        self.broken: Once[Exception] = Once()

    def registerProducer(self, source: Any, streaming: bool) -> None:
        assert streaming
        self.source = source

    def when_broken(self) -> Deferred[Exception]:
        return self.broken.wait()


def passing(gate: Gate) -> Deferred[None]:
    return Deferred.fromCoroutine(gate.passed())


@pytest_twisted.ensureDeferred
async def test_a_gate_is_closed_while_any_writer_is_full() -> None:
    gate, writers = Gate(), [Writer(), Writer()]
    for writer in writers:
        gate.watch(writer)  # type: ignore[arg-type]
    await gate.passed()
    for writer in writers:
        writer.source.pauseProducing()
    passed = passing(gate)
    writers[0].source.resumeProducing()
    assert not passed.called
    writers[1].source.resumeProducing()
    await passed


@pytest_twisted.ensureDeferred
async def test_a_gate_is_broken_by_the_first_writer_that_fails() -> None:
    gate, writers = Gate(), [Writer(), Writer()]
    for writer in writers:
        gate.watch(writer)  # type: ignore[arg-type]
    writers[0].source.pauseProducing()
    passed = passing(gate)
    writers[1].broken.fire(ValueError("first"))
    writers[0].broken.fire(ValueError("second"))
    for each in (passed, passing(gate)):
        with pytest.raises(ValueError, match="first"):
            await each


class Mover:
    """Moves a part when the test decides."""

    def __init__(self) -> None:
        self.moves: list[Deferred[None]] = []

    async def move(self, *_: Any) -> None:
        self.moves.append(moving := Deferred())
        await moving


class Policy:
    """The nodes that are read from last because they are being filled."""

    def __init__(self) -> None:
        self.filled: Counter[str] = Counter()

    def fill(self, node_id: str, *, is_filled: bool) -> None:
        self.filled += Counter({node_id: 1}) if is_filled else Counter()
        self.filled -= Counter() if is_filled else Counter({node_id: 1})


@pytest_twisted.ensureDeferred
async def test_a_node_is_read_from_last_as_long_as_it_gets_parts() -> None:
    mover, policy, nodes = Mover(), Policy(), Nodes(*map(entry, "abcde"))
    crew = Crew(mover, None, nodes, policy, Clock(), None)  # type: ignore[arg-type]
    first, second = hurt("a", "b", "c", "d"), Manifest(B, 100, 1, 2, 2, 4, tuple("abcd"))
    for version in (first, second):
        assert crew.may_begin(version)
        await crew.move(version, 0)
        assert not crew.may_begin(version)
    assert (policy.filled, crew.busy) == ({"e": 2}, True)
    mover.moves[0].callback(None)
    assert policy.filled == {"e": 1}
    mover.moves[1].errback(ValueError("it is full"))
    assert (policy.filled, crew.busy, crew.failed, crew.rate.parts) == ({}, False, 1, 1)
    assert [crew.may_begin(version) for version in (first, second)] == [True, False]
