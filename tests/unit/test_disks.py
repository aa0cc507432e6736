"""Nodes that come back with another disk: their parts are looked for, and those that are gone are recorded as lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail

from splitd.errors import CatalogReadOnly
from splitd.interfaces.heal import IHealLedger
from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.model.nodes import NodeEntry
from splitd.upkeep.heal.disks import DiskCheck, DiskWatch
from splitd.upkeep.walks import Walks
from storaged.parts.errors import NodeUnavailable, PartMissing, StoragedError
from storaged.parts.values import PartLook
from tests.catalogs import NODES, A, B, C, manifest
from tests.ledger import begin, commit
from tests.unit.catalogs import Front

PARITY = {A, B}


@attrs.define
class Health:
    usable: bool = True


@attrs.define
class Node:
    """A node of which only the disk matters.

    :param disk: the id of the disk.
    :param holds: the parts on it.
    :param fails: the error of a look at a part; None if there is none.
    """

    id: str
    disk: str
    holds: set[str]
    fails: StoragedError | None = None
    looks: list[str] = attrs.Factory(list)
    health: Health = attrs.Factory(Health)
    waits: Deferred[None] | None = None

    @property
    def entry(self) -> NodeEntry:
        return NodeEntry(self.id, "http://x")

    def look_all(self, part_ids: Sequence[str]) -> Deferred[list[PartLook | StoragedError]]:
        self.looks += part_ids
        done: Deferred[None] = self.waits or Deferred()
        done.addCallback(lambda _: [self._look(part_id) for part_id in part_ids])
        if self.waits is None:
            done.callback(None)
        return done  # type: ignore[return-value]

    def _look(self, part_id: str) -> PartLook | StoragedError:
        if self.fails is not None:
            return self.fails
        return PartLook(part_id, 10, 4) if part_id in self.holds else PartMissing(f"no part {part_id}")


class Ledger:
    """The ledger of a catalog, which fails from some call of `lose` on.

    :ivar left: how many calls succeed.
    """

    def __init__(self, ledger: IHealLedger) -> None:
        self.left = 1000
        self._lose = ledger.lose
        self.placed_on, self.parts_on = ledger.placed_on, ledger.parts_on

    def lose(self, *args: Any, **named: Any) -> Deferred[int]:
        self.left -= 1
        return self._lose(*args, **named) if self.left >= 0 else fail(CatalogReadOnly("cut"))


class Place:
    """A catalog with two files that have parity and one that has none, and the nodes a to f that hold them."""

    def __init__(self) -> None:
        self.front = Front()
        self.clock = self.front.clock
        self.woken = 0
        self._nodes: dict[str, Node] = {}
        self.ledger = Ledger(self.front.catalog.heal_ledger)
        self.watch = self.new_watch()

    def new_watch(self) -> DiskWatch:
        self.ledger = Ledger(self.front.catalog.heal_ledger)
        ledger: Any = self.ledger
        registry: Any = self
        walks = Walks(self.front.catalog.leases, self.clock)
        return DiskWatch(self.front.catalog.disks, ledger, registry, self._wake, self.clock, walks)

    def _wake(self) -> None:
        self.woken += 1

    async def start(self) -> Place:
        await self.front.catalog.start()
        for upload in (A, B, C):
            await begin(self.front.catalog.ledger, upload, f"/{upload}", NODES)
            version = manifest(upload, parity=2 if upload in PARITY else 0)
            await commit(self.front.catalog.ledger, f"/{upload}", version)
        for index, node in enumerate("abcdef"):
            self._nodes[node] = Node(node, f"{node}-1", {f"{upload}.{index}" for upload in (A, B, C)})
        await self.look()
        return self

    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def store(self, node: str) -> Node:
        return self._nodes[node]

    def empty(self, node: str, disk: str) -> None:
        self._nodes[node].disk, self._nodes[node].holds = disk, set()

    async def look(self) -> None:
        await self.watch.look()
        for _ in range(20):
            self.clock.turn()

    async def disks(self) -> dict[str, str]:
        return dict(await self.front.catalog.disks.checked_disks())

    async def missing(self) -> dict[str, list[int]]:
        found = {}
        for upload in (A, B, C):
            version = await self.front.catalog.lookup(f"/{upload}")
            assert isinstance(version, Manifest)
            found[upload] = version.missing
        return found


@pytest_twisted.ensureDeferred
async def test_all_parts_are_looked_for_once_on_each_disk() -> None:
    here = await Place().start()
    assert await here.disks() == {node: f"{node}-1" for node in "abcdef"}
    assert sorted(here.store("b").looks) == sorted(f"{upload}.1" for upload in (A, B, C))
    await here.look()
    assert len(here.store("b").looks) == 3
    assert (await here.missing(), here.watch.checks, here.woken) == ({A: [], B: [], C: []}, {}, 0)


@pytest_twisted.ensureDeferred
async def test_the_parts_of_an_emptied_node_are_lost_but_for_those_that_files_cannot_spare() -> None:
    here = await Place().start()
    here.empty("b", "b-2")
    await here.look()
    assert await here.missing() == {A: [1], B: [1], C: []}
    assert here.watch.checks == {"b": DiskCheck("b-2", known=True, looked=3, missing=3, kept=1)}
    assert here.woken
    assert (await here.disks())["b"] == "b-2"
    assert await here.front.doomed() == {}  # nothing remains of them there


@pytest_twisted.ensureDeferred
async def test_a_disk_with_the_parts_on_it_loses_nothing() -> None:
    here = await Place().start()
    here.store("b").disk = "a copy"
    await here.look()
    assert await here.missing() == {A: [], B: [], C: []}
    assert (await here.disks())["b"] == "a copy"
    assert here.watch.checks == {}


@pytest_twisted.ensureDeferred
async def test_a_disk_that_fails_or_a_node_that_goes_loses_nothing_and_is_checked_later() -> None:
    here = await Place().start()
    here.empty("b", "b-2")
    here.store("b").fails = NodeUnavailable("Input/output error")
    await here.look()
    assert await here.missing() == {A: [], B: [], C: []}
    assert (await here.disks())["b"] == "b-1"
    here.store("b").fails, here.store("b").health.usable = None, False
    here.clock.advance(60)
    await here.look()
    assert await here.missing() == {A: [], B: [], C: []}
    here.store("b").health.usable = True
    await here.look()
    assert await here.missing() == {A: [1], B: [1], C: []}


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_emptied_again_during_the_check_is_checked_again() -> None:
    here = await Place().start()
    here.empty("b", "b-2")
    here.store("b").holds = {f"{A}.1", f"{B}.1"}
    waits = here.store("b").waits = Deferred()
    await here.look()
    here.store("b").waits = None
    here.store("b").disk = "b-3"
    waits.callback(None)
    await here.look()
    assert (await here.disks())["b"] != "b-2"
    here.store("b").holds = set()
    here.clock.advance(60)
    await here.look()
    assert ((await here.disks())["b"], await here.missing()) == ("b-3", {A: [1], B: [1], C: []})


@pytest_twisted.ensureDeferred
async def test_a_node_that_does_not_answer_holds_up_no_other() -> None:
    here = await Place().start()
    here.empty("b", "b-2")
    here.empty("c", "c-2")
    here.store("b").waits = Deferred()
    await here.look()
    assert await here.missing() == {A: [2], B: [2], C: []}
    await here.watch.stop()
    assert (await here.disks())["b"] == "b-1"


@pytest.mark.parametrize("left", range(3))
@pytest_twisted.ensureDeferred
async def test_a_check_that_is_cut_off_begins_anew_after_a_restart(left: int) -> None:
    here = await Place().start()
    for node in "bcd":
        here.empty(node, f"{node}-2")
    here.ledger.left = left
    await here.look()
    await here.watch.stop()
    here.front = await here.front.restart()
    here.watch = here.new_watch()
    await here.look()
    assert {node: disk for node, disk in (await here.disks()).items() if node in "bcd"} == {
        node: f"{node}-2" for node in "bcd"
    }
    # Of a file that can spare two parts, the third one stays placed where it was.
    missing = await here.missing()
    assert [len(missing[upload]) for upload in (A, B, C)] == [2, 2, 0]


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_deleted_during_the_check_does_not_matter() -> None:
    here = await Place().start()
    here.empty("b", "b-2")
    waits = here.store("b").waits = Deferred()
    await here.look()
    await here.front.catalog.delete(f"/{A}", ALWAYS)
    waits.callback(None)
    await here.look()
    found = await here.front.catalog.lookup(f"/{B}")
    assert isinstance(found, Manifest)
    assert found.missing == [1]


@pytest_twisted.ensureDeferred
async def test_a_node_of_an_older_version_that_tells_no_disk_is_left_alone() -> None:
    here = await Place().start()
    here.empty("b", "")
    await here.look()
    assert await here.missing() == {A: [], B: [], C: []}
    assert (await here.disks())["b"] == "b-1"
