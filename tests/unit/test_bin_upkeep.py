"""The upkeep of the bin: it purges what is old, and the oldest things if the nodes are full."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
import pytest
import pytest_twisted

from splitd.capacity import Capacity
from splitd.model.binned import Binned, first_key, make_key, read_note
from splitd.model.conditions import ALWAYS
from splitd.model.nodes import NodeEntry
from splitd.model.room import Room
from splitd.model.striping import Layout
from splitd.nodes.state import NodeStatus
from splitd.upkeep.bin import BinUpkeep
from splitd.upkeep.walks import Walks
from storaged.system.clocks import WallClock
from storaged.system.descriptors import Descriptors
from tests.unit.catalogs import Front, started

DAY_S = 24 * 3600.0


@attrs.define
class Kept:
    """A bin with its upkeep, and how much room there is.

    :ivar ahead_s: by how many seconds somebody has set the wall clock forward.
    """

    front: Front
    upkeep: BinUpkeep
    room: Room | None
    woken: list[None]
    ahead_s: list[float]

    async def put(self, *paths: str) -> None:
        for path in paths:
            await self.front.put(path, f"{len(self.woken) + int(path[1:]):032x}")
            await self.front.catalog.bin.put(path, ALWAYS, "")

    async def look(self) -> list[str]:
        """Have the upkeep look at it, and return what is left."""
        looking = self.upkeep.look()
        self.front.clock.pump([0.1] * 60)
        await looking
        return [each.path for each in await self.front.catalog.bin.page("", 999)]


async def kept(days: float) -> Kept:
    front = await started()
    woken: list[None] = []
    ahead_s = [0.0]

    async def room() -> Room | None:
        return made.room

    wall = WallClock(lambda: front.clock.seconds() + ahead_s[0], front.clock.seconds)
    walks = Walks(front.catalog.leases, front.clock)
    upkeep = BinUpkeep(front.catalog.bin, lambda: woken.append(None), days, room, walks, wall)
    made = Kept(front, upkeep, Room(1000, 1000), woken, ahead_s)
    return made


@pytest_twisted.ensureDeferred
async def test_what_is_old_is_purged_and_the_rest_is_counted() -> None:
    made = await kept(2.0)
    await made.put("/1", "/2")
    made.front.clock.advance(DAY_S)
    await made.put("/3")
    assert await made.look() != []
    assert (made.upkeep.progress.things, made.upkeep.progress.files, made.upkeep.progress.bytes) == (3, 3, 30)
    assert made.upkeep.progress.oldest_ms == 1000
    made.front.clock.advance(DAY_S)
    assert await made.look() == ["/3"]
    assert (made.upkeep.progress.things, made.upkeep.progress.purged) == (1, 2)
    assert made.woken
    made.front.clock.advance(DAY_S)
    assert await made.look() == []
    assert made.upkeep.progress.oldest_ms is None


@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_set_forward_ends_nothing() -> None:
    made = await kept(2.0)
    await made.put("/1")
    made.ahead_s[0] = 1000 * DAY_S
    assert await made.look() == ["/1"]


@pytest_twisted.ensureDeferred
async def test_what_is_left_when_the_bin_is_switched_off_is_kept_for_a_month() -> None:
    made = await kept(0.0)
    await made.put("/1")
    made.front.clock.advance(29 * DAY_S)
    assert await made.look() == ["/1"]
    made.front.clock.advance(DAY_S)
    assert await made.look() == []


@pytest_twisted.ensureDeferred
async def test_the_oldest_things_make_room_when_the_nodes_are_full() -> None:
    made = await kept(30.0)
    for name in ("/1", "/2", "/3"):
        made.front.clock.advance(1.0)
        await made.put(name)
    made.room = Room(981, 19)  # 1.9 in 100
    assert await made.look() == ["/3", "/2", "/1"]
    made.room = Room(995, 5)  # two things are 2 in 100
    assert await made.look() == ["/3"]
    assert (made.upkeep.progress.purged, made.upkeep.progress.purged_full, made.upkeep.progress.things) == (0, 2, 1)


@pytest_twisted.ensureDeferred
async def test_nothing_makes_room_while_nobody_knows_how_full_the_nodes_are() -> None:
    made = await kept(30.0)
    await made.put("/1")
    made.room = None
    assert await made.look() == ["/1"]


@attrs.define
class Registry:
    """The nodes of a registry, by their states and sizes."""

    sizes: list[tuple[Any, int]]

    def nodes(self) -> list[NodeStatus]:
        made: list[NodeStatus] = []
        for number, (state, size) in enumerate(self.sizes):
            nothing: Any = None
            entry = NodeEntry(f"n{number}", f"http://n{number}:1", state=state)
            made.append(NodeStatus(entry, nothing, nothing, nothing, capacity=size, free=size // 2))
        return made


@pytest_twisted.ensureDeferred
async def test_the_room_is_known_when_enough_nodes_have_said_their_sizes() -> None:
    front = await started()
    catalog, descriptors = front.catalog, Descriptors(1000)

    async def known(*sizes: tuple[str, int]) -> Room | None:
        registry = Registry(list(sizes))
        made = Capacity(catalog, catalog.namespace, registry, Layout(2, 1, 1024), descriptors, catalog.quotas)
        return await made.known_room()

    assert await known(*[("active", 1000)] * 3) == Room(0, 1000, [])
    assert await known(*[("active", 1000)] * 3, ("draining", 0)) == Room(0, 1000, [])
    assert await known(*[("active", 1000)] * 3, ("active", 0)) is None  # down since the start
    assert await known(*[("active", 1000)] * 2, ("draining", 1000)) is None


@pytest_twisted.ensureDeferred
async def test_a_bin_of_many_pages_is_purged_in_slices() -> None:
    made = await kept(1.0)
    await made.put(*(f"/{number}" for number in range(450)))
    made.front.clock.advance(DAY_S)
    assert await made.look() == []
    assert made.upkeep.progress.purged == 450


@pytest_twisted.ensureDeferred
async def test_a_journal_that_fails_ends_the_round() -> None:
    made = await kept(1.0)
    await made.put("/1")
    made.front.clock.advance(DAY_S)
    made.front.journal.fail_next("no space left")
    assert await made.look() == ["/1"]


def test_a_key_says_when_and_later_ones_come_first() -> None:
    times = [0, 1, 999, 1795961751928, 10**14 - 1]
    keys = [make_key(each, "u") for each in times]
    assert [Binned(key, "/f").deleted_ms for key in keys] == times
    assert sorted(keys) == keys[::-1]
    assert all(first_key(each) < key < first_key(each - 1) for each, key in zip(times[1:], keys[1:], strict=True))


def test_a_note_is_read_as_it_was_written() -> None:
    binned = Binned(make_key(1, "u"), "/a/\u2028 b/", "anna", True, 2**60, 3)
    assert read_note(binned.key, binned.note()) == binned
    for wrong in ("", "{", "[]", '{"path": 1}'):
        with pytest.raises(msgspec.DecodeError):
            read_note(binned.key, wrong)
