from __future__ import annotations

import pytest_twisted
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from splitd.catalog.journal.memory import MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.downloads.pins import Pins
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.upkeep.reaper import Reaper
from storaged.parts.errors import NodeUnavailable
from tests.clocks import wall_of

INTERVAL_S = 60.0


class Nodes:
    """A registry whose nodes are their own part stores; those named in `down` refuse."""

    def __init__(self, down: set[str]) -> None:
        self.down = down
        self.removed: list[str] = []
        self.asked: list[str] = []

    def store(self, node_id: str) -> Nodes:
        self.asked.append(node_id)
        return self

    def remove(self, part_id: str) -> Deferred[bool]:
        if self.asked[-1] in self.down:
            return fail(NodeUnavailable(f"node {self.asked[-1]}: connection refused"))
        self.removed.append(part_id)
        return succeed(True)


async def aborted(catalog: JournalledCatalog, number: int, node: str) -> str:
    upload = f"{number:032x}"
    await catalog.begin(upload, f"/file-{number}", [node])
    await catalog.abort(upload, "given up")
    return upload


async def make(down: set[str]) -> tuple[JournalledCatalog, Nodes, Pins, Reaper, Clock]:
    clock = Clock()
    catalog = JournalledCatalog(MemoryJournal(), wall_of(clock))
    await catalog.start()
    nodes, pins = Nodes(down), Pins()
    return catalog, nodes, pins, Reaper(catalog, nodes, pins, clock, INTERVAL_S), clock


@pytest_twisted.ensureDeferred
async def test_parts_on_a_node_that_is_down_keep_no_others_waiting() -> None:
    catalog, nodes, _, reaper, _ = await make({"n1"})
    for number in range(1500):
        await aborted(catalog, number, "n1")
    last = await aborted(catalog, 1500, "n2")
    reaper.wake()
    assert nodes.removed == [f"{last}.0"]
    assert catalog.statistics().doomed == 1500
    assert (reaper.reaped, reaper.staying) == (1, {"n1": 1500})
    nodes.down.clear()
    reaper.wake()
    assert (reaper.reaped, reaper.staying) == (1501, {})


@pytest_twisted.ensureDeferred
async def test_what_a_node_does_not_delete_is_tried_again_in_the_next_round() -> None:
    catalog, nodes, _, reaper, clock = await make({"n1"})
    upload = await aborted(catalog, 1, "n1")
    reaper.start()
    assert nodes.removed == []
    nodes.down.clear()
    clock.advance(INTERVAL_S)
    assert nodes.removed == [f"{upload}.0"]
    assert catalog.statistics().doomed == 0
    await reaper.stop()


@pytest_twisted.ensureDeferred
async def test_a_version_that_is_read_stays_until_it_is_not() -> None:
    catalog, nodes, pins, reaper, _ = await make(set())
    upload = await aborted(catalog, 1, "n1")
    read = Manifest(upload, 1, 1, 1, 0, 4, ("n1",))
    pins.pin(read)
    pins.pin(read)
    reaper.wake()
    assert not pins.unpin(read)
    reaper.wake()
    assert nodes.removed == []
    assert pins.unpin(read)
    reaper.unpinned(upload)
    assert nodes.removed == [f"{upload}.0"]


@pytest_twisted.ensureDeferred
async def test_a_copy_that_is_read_stays_and_the_same_part_on_another_node_is_nothing_to_it() -> None:
    catalog, nodes, pins, reaper, _ = await make(set())
    upload = f"{1:032x}"
    await catalog.begin(upload, "/f", ["n1"])
    before = Manifest(upload, 1, 1, 1, 0, 4, ("n1",))
    await catalog.commit("/f", before, ALWAYS)
    pins.pin(before)
    await catalog.begin_move("/f", PartCopy(upload, 0, "n2"))
    await catalog.commit_move("/f", PartCopy(upload, 0, "n2"))
    after = await catalog.lookup("/f")
    pins.pin(after)
    reaper.wake()
    assert nodes.removed == []
    assert pins.unpin(before)
    reaper.unpinned(upload)
    assert nodes.removed == [f"{upload}.0"]
    assert nodes.asked == ["n1"]
    assert await catalog.doomed(10, ()) == []


@pytest_twisted.ensureDeferred
async def test_nothing_is_deleted_after_it_was_stopped() -> None:
    catalog, nodes, _, reaper, _ = await make(set())
    await aborted(catalog, 1, "n1")
    await reaper.stop()
    reaper.wake()
    assert nodes.removed == []
