"""Small files in groups: which files travel together, and that a failure of one does not affect the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from splitd.catalog.journal.memory import MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.catalog.slices import SLICE
from splitd.downloads.cache import VersionCache
from splitd.downloads.pins import Pins
from splitd.errors import CatalogReadOnly, NotEnoughNodes, NotEnoughSpace, PreconditionFailed, UploadFailed
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest, largest_part
from splitd.model.striping import Layout
from splitd.nodes.reporting import ReportingStore
from splitd.upkeep.reaper import Reaper
from splitd.uploads.group import GroupCommit, Stored
from splitd.uploads.lanes import Intent
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.interfaces import INodeStore
from storaged.parts.values import PartInfo
from tests.clocks import wall_of
from tests.fired import fired
from tests.ledger import begin, commit
from tests.unit.catalogs import TurningClock

LAYOUT = Layout(data=6, parity=0, unit=1024)
DATA = b"0123456789"
NEW = Condition(none_match=("*",))


class Node:
    """A node that stores parts when the test decides; `refuses` is the error that it gives for each instead."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.parts: set[str] = set()
        self.held: list[Deferred[None]] | None = None
        self.refuses: StoragedError | None = None

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        self.asked.append([part_id for part_id, _ in parts])
        ready: Deferred[None] = succeed(None)
        if self.held is not None:
            ready = Deferred()
            self.held.append(ready)
        return ready.addCallback(lambda _: [self._put(*part) for part in parts])

    def _put(self, part_id: str, data: bytes) -> PartInfo | StoragedError:
        if self.refuses is not None:
            return self.refuses
        self.parts.add(part_id)
        return PartInfo(part_id, len(data), 0)

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool]]:
        found = [part_id in self.parts for part_id in part_ids]
        self.parts.difference_update(part_ids)
        return succeed(found)


class Nodes:
    """Nodes, each with a given room in bytes; no part is placed on those that have failed."""

    def __init__(self, number: int, room: int) -> None:
        self.nodes = {f"n{index}": Node() for index in range(number)}
        self.down: set[str] = set()
        self.room = room

    def store(self, node_id: str) -> INodeStore:
        return ReportingStore(self.nodes[node_id], lambda _: self.down.add(node_id))

    def node_ids(self) -> list[str]:
        return list(self.nodes)

    def is_usable(self, node_id: str) -> bool:
        return node_id not in self.down

    def failed(self, node_id: str, _: str) -> None:
        self.down.add(node_id)

    def place(self, number: int, stored_size: int, avoid: Collection[str]) -> list[str]:
        usable = [node for node in self.nodes if node not in avoid and self.is_usable(node)]
        if len(usable) < number:
            raise NotEnoughNodes(f"{number} nodes are needed")
        if stored_size > self.room:
            raise NotEnoughSpace(f"{number} nodes with {stored_size} bytes free are needed")
        self.room -= stored_size
        return usable[:number]


class Calls:
    """Counts how often it is called."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


class Ledger:
    """Commits files, but that at /late only when the test lets it."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.turn: Deferred[None] = Deferred()

    def begin_all(self, starts: Sequence[Start]) -> Deferred[None]:
        begun: Deferred[None] = self._ledger.begin_all(starts)
        return begun

    def commit_all(self, commits: Sequence[Commit]) -> list[Deferred[bool]]:
        return [self._commit(commit) for commit in commits]

    def _commit(self, commit: Commit) -> Deferred[bool]:
        if commit.path == "/late":
            return self.turn.addCallback(lambda _: self._ledger.commit_all([commit])[0])
        [committed] = self._ledger.commit_all([commit])
        return committed

    def abort(self, upload: str, reason: str) -> Deferred[None]:
        aborted: Deferred[None] = self._ledger.abort(upload, reason)
        return aborted


class Service:
    """A group commit on a catalog in memory.

    :param parity: how many parity parts the files have; all but one may stay unstored.
    """

    def __init__(self, number: int = 6, room: int = 10**6, clock: Clock | None = None, parity: int = 0) -> None:
        self.layout = attrs.evolve(LAYOUT, parity=parity)
        self.may_miss = max(0, parity - 1)
        self.clock = clock or Clock()
        self.journal = MemoryJournal()
        self.catalog = JournalledCatalog(self.journal, wall_of(self.clock), self.clock, front="front")
        self.nodes = Nodes(number, room)
        self.hurt = Calls()
        self._ids = count(1)
        reaper = Reaper(self.catalog.doomed_parts, self.nodes, Pins(), self.clock, 60.0)
        self.ledger = Ledger(self.catalog.ledger)
        self.group = GroupCommit(
            self.ledger,
            self.nodes,
            reaper,
            VersionCache(10**6).keep,
            self.hurt,
            new_id=self.new_id,
            slow_s=5.0,
            gap_s=0.001,
            clock=self.clock,
            wall=wall_of(self.clock),
        )

    async def start(self) -> Service:
        await self.catalog.start()
        return self

    def new_id(self) -> str:
        return f"{next(self._ids):032x}"

    def put(self, path: str, condition: Condition = ALWAYS, data: bytes = DATA) -> Deferred[Stored]:
        size, largest = len(data), largest_part(self.layout, len(data))
        intent = Intent(self.new_id(), path, size, largest, "", condition, self.layout, self.may_miss)
        return self.group.store(intent, data)

    @property
    def parts(self) -> int:
        return sum(len(node.parts) for node in self.nodes.nodes.values())

    def group_sizes(self) -> list[int]:
        return [len(asked) for asked in self.nodes.nodes["n0"].asked]

    def hold(self) -> list[Deferred[None]]:
        held: list[Deferred[None]] = []
        self.nodes.nodes["n0"].held = held
        return held


@pytest_twisted.ensureDeferred
async def test_files_that_come_together_travel_in_one_message_to_each_node() -> None:
    service = await Service().start()
    stored = [service.put(f"/{number}") for number in range(20)]
    assert service.group_sizes() == []
    service.clock.advance(0)
    for number, each in enumerate(stored):
        manifest, created = await each
        assert created
        assert await service.catalog.lookup(f"/{number}") == manifest
    assert [len(node.asked) for node in service.nodes.nodes.values()] == [1] * 6
    assert service.parts == 6 * 20


@pytest_twisted.ensureDeferred
async def test_what_comes_while_a_group_is_under_way_gathers() -> None:
    service = await Service().start()
    held = service.hold()
    first = service.put("/first")
    service.clock.advance(0)
    others = [service.put(f"/{number}") for number in range(10)]
    service.clock.advance(0.001)
    assert service.group_sizes() == [1]
    held.pop().callback(None)
    await first
    service.clock.advance(0.001)
    assert service.group_sizes() == [1, 10]
    held.pop().callback(None)
    for each in others:
        await each


@pytest_twisted.ensureDeferred
async def test_a_group_is_under_way_until_its_files_are_committed() -> None:
    service = await Service().start()
    first = [service.put(path) for path in ("/first", "/second")]
    service.journal.hold()
    service.clock.advance(0)
    third = service.put("/third")
    service.clock.advance(0.01)
    assert service.group_sizes() == [2]
    service.journal.release()
    service.clock.advance(0.01)
    assert service.group_sizes() == [2, 1]
    for each in (*first, third):
        assert (await each)[1]


@pytest_twisted.ensureDeferred
async def test_a_file_that_waits_for_its_turn_does_not_hold_up_the_next_group() -> None:
    service = await Service().start()
    late, other = service.put("/late"), service.put("/other")
    service.clock.advance(0)
    assert (await other)[1]
    third = service.put("/third")
    service.clock.advance(0.001)
    assert service.group_sizes() == [2, 1]
    assert (await third)[1]
    assert not late.called
    service.ledger.turn.callback(None)
    assert (await late)[1]


@pytest_twisted.ensureDeferred
async def test_a_node_that_hangs_holds_up_those_who_come_later_only_for_a_moment() -> None:
    service = await Service(7).start()
    held = service.hold()
    first = service.put("/first")
    service.clock.advance(0)
    service.nodes.down.add("n0")
    second = service.put("/second")
    service.clock.advance(0.1)
    await second
    assert not first.called
    held.pop().callback(None)
    await first


@pytest_twisted.ensureDeferred
async def test_a_group_has_a_limit() -> None:
    service = await Service(room=10**9).start()
    stored = [service.put(f"/{number}") for number in range(1000)]
    service.clock.pump([0.1] * 10)
    for each in stored:
        await each
    assert sum(service.group_sizes()) == 1000
    assert max(service.group_sizes()) == 256


@pytest_twisted.ensureDeferred
async def test_where_there_is_no_room_for_all_some_find_theirs() -> None:
    service = await Service(room=3 * largest_part(LAYOUT, len(DATA))).start()
    stored = [service.put(f"/{number}") for number in range(5)]
    service.clock.advance(0)
    outcomes = []
    for each in stored:
        try:
            await each
        except NotEnoughSpace:
            outcomes.append("no room")
        else:
            outcomes.append("stored")
    assert sorted(outcomes) == ["no room"] * 2 + ["stored"] * 3
    assert service.parts == 6 * 3


@pytest_twisted.ensureDeferred
async def test_a_condition_that_does_not_hold_concerns_one_file_of_the_group() -> None:
    service = await Service().start()
    one, two, other = service.put("/name", NEW), service.put("/name", NEW), service.put("/other")
    service.clock.advance(0)
    await one
    await other
    with pytest.raises(PreconditionFailed):
        await two
    assert service.parts == 6 * 2
    assert fired(service.catalog.statistics()).uploads == 0


@pytest_twisted.ensureDeferred
async def test_a_file_that_waits_for_its_turn_holds_up_no_other_of_the_group() -> None:
    service = await Service(clock=TurningClock()).start()
    await service.catalog.make_collection("/t")
    for number in range(3 * SLICE):
        empty = Manifest(f"e{number:031x}", 0, 1, 6, 0, 1024, ())
        await begin(service.catalog.ledger, empty.upload, f"/t/{number}", ())
        await commit(service.catalog.ledger, f"/t/{number}", empty)
    copied = service.catalog.namespace.copy("/t", "/u", ALWAYS, deep=True, overwrite=False)
    inside, other = service.put("/t/new"), service.put("/other")
    service.clock.pump([0.001] * 2)
    await other
    assert (copied.called, inside.called) == (False, False)
    service.clock.pump([0.001] * 10)
    await copied
    await inside


@pytest_twisted.ensureDeferred
async def test_files_that_cannot_be_begun_reach_no_node_and_are_answered() -> None:
    service = await Service().start()
    service.journal.fail_next("the disk is full")
    stored = [service.put(f"/{number}") for number in range(3)]
    service.clock.advance(0)
    for each in stored:
        with pytest.raises(CatalogReadOnly, match="the disk is full"):
            await each
    assert service.group_sizes() == []
    await service.group.settle()


@pytest_twisted.ensureDeferred
async def test_a_node_that_fails_is_replaced_under_another_upload() -> None:
    service = await Service(7).start()
    service.nodes.nodes["n2"].refuses = NodeUnavailable("its disk is broken")
    stored = [service.put(f"/{number}") for number in range(4)]
    service.clock.pump([0] * 5)
    for each in stored:
        manifest, _ = await each
        assert "n2" not in manifest.nodes
    service.clock.advance(1.0)  # deletions gather for a moment
    assert service.parts == 6 * 4
    assert fired(service.catalog.statistics()).uploads == 0


@pytest_twisted.ensureDeferred
async def test_where_no_node_is_left_the_answer_says_which_one_failed() -> None:
    service = await Service().start()
    service.nodes.nodes["n2"].refuses = NodeUnavailable("its disk is broken")
    stored = service.put("/file")
    service.clock.pump([0] * 5)
    with pytest.raises(UploadFailed, match="node n2: its disk is broken"):
        await stored
    assert service.parts == 0
    assert await service.catalog.lookup("/file") is None


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_given_up_while_it_waits_reaches_no_node() -> None:
    service = await Service().start()
    given_up, other = service.put("/given-up"), service.put("/other")
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    given_up.cancel()
    service.clock.advance(0)
    await other
    assert service.group_sizes() == [1]


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_given_up_on_its_way_leaves_nothing() -> None:
    service = await Service().start()
    held = service.hold()
    given_up, other = service.put("/given-up"), service.put("/other")
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    service.clock.advance(0)
    given_up.cancel()
    held.pop().callback(None)
    await other
    assert await service.catalog.lookup("/given-up") is None
    assert service.parts == 6


@pytest_twisted.ensureDeferred
async def test_settling_waits_for_what_has_arrived() -> None:
    service = await Service().start()
    held = service.hold()
    stored = service.put("/file")
    settled = Deferred.fromCoroutine(service.group.settle())
    assert not settled.called
    held.pop().callback(None)
    await settled
    assert stored.called
