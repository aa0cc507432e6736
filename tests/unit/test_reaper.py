"""Parts that nobody needs are deleted, on each node at its own pace."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import pairwise

import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from splitd.catalog.journal.memory import MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.downloads.pins import Pins
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.upkeep.reaper import Reaper
from storaged.parts.errors import NodeUnavailable, PartDamaged, StoragedError
from tests.clocks import wall_of
from tests.fired import fired
from tests.ledger import begin, commit

INTERVAL_S = 60.0


class Node:
    """A node that deletes parts.

    :ivar down: whether it refuses connections.
    :ivar silent: whether it answers nothing; `held` has the pending answers.
    :ivar stuck: parts that it cannot delete.
    :ivar asked: the parts of each request.
    """

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.down = False
        self.silent = False
        self.stuck: set[str] = set()
        self.held: list[Deferred[None]] = []
        self.asked: list[list[str]] = []
        self.removed: list[str] = []

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        self.asked.append(list(part_ids))
        answer: Deferred[None] = succeed(None)
        if self.silent:
            answer = Deferred()
            self.held.append(answer)
        return answer.addCallback(lambda _: [self._remove(part_id) for part_id in part_ids])

    def _remove(self, part_id: str) -> bool | StoragedError:
        if self.down:
            return NodeUnavailable(f"node {self.node_id}: connection refused")
        if part_id in self.stuck:
            return PartDamaged(f"part {part_id}: Input/output error")
        self.removed.append(part_id)
        return True


class Place:
    """A catalog, six nodes, a reaper and the time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.catalog = JournalledCatalog(self.journal, wall_of(self.clock), self.clock, front="front")
        self.nodes = {node: Node(node) for node in ("n1", "n2", "n3", "n4", "n5", "n6")}
        self.pins = Pins()
        self.reaper = Reaper(self.catalog.doomed_parts, self, self.pins, self.clock, INTERVAL_S)

    def store(self, node_id: str) -> Node:
        return self.nodes[node_id]

    async def doom(self, number: int, *nodes: str) -> str:
        """Abort an upload whose parts are on some nodes."""
        upload = f"{number:032x}"
        await begin(self.catalog.ledger, upload, f"/file-{number}", nodes)
        await self.catalog.ledger.abort(upload, "given up")
        return upload

    @property
    def doomed(self) -> int:
        return fired(self.catalog.statistics()).doomed

    async def settle(self) -> None:
        settled = Deferred.fromCoroutine(self.reaper.settle())
        self.clock.advance(1.0)
        await settled


async def place() -> Place:
    made = Place()
    await made.catalog.start()
    return made


@pytest_twisted.ensureDeferred
async def test_a_silent_node_holds_up_no_deletion_on_the_others() -> None:
    at = await place()
    names = tuple(at.nodes)
    for number in range(1, 10_001):
        await at.doom(number, names[number % 6])
    at.nodes["n3"].silent = True
    on_silent = sum(names[number % 6] == "n3" for number in range(1, 10_001))
    at.reaper.start()
    assert sum(len(node.removed) for node in at.nodes.values()) == 10_000 - on_silent
    assert (at.doomed, len(at.nodes["n3"].asked)) == (on_silent, 1)
    asked = sum(len(parts) for node in at.nodes.values() for parts in node.asked)
    assert asked <= 10_000
    assert max(len(parts) for parts in at.nodes["n1"].asked) > 100, "in batches"
    at.clock.pump([INTERVAL_S] * 3)
    assert len(at.nodes["n3"].asked) == 1, "it is asked one thing at a time"
    at.nodes["n3"].silent = False
    at.nodes["n3"].held.pop().callback(None)
    assert (at.doomed, fired(at.catalog.statistics()).reaped, at.reaper.staying) == (0, 10_000, {})
    assert sum(len(parts) for node in at.nodes.values() for parts in node.asked) == 10_000
    await at.reaper.stop()


@pytest_twisted.ensureDeferred
async def test_nothing_is_deleted_before_it_is_known_what_is_being_read() -> None:
    at = await place()
    reaper = Reaper(at.catalog.doomed_parts, at, at.pins, at.clock, INTERVAL_S, waits=True)  # type: ignore[arg-type]
    await at.doom(1, "n1")
    read = await at.doom(2, "n1")
    reaper.wake()
    at.clock.advance(INTERVAL_S)
    assert at.nodes["n1"].asked == []
    at.pins.pin(Manifest(read, 1, 1, 1, 0, 1024, ("n1",)))
    reaper.start()
    assert at.nodes["n1"].removed == [f"{1:032x}.0"]
    await reaper.stop()


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_down_holds_up_no_deletion_on_the_others_and_status_tells_what_stays() -> None:
    at = await place()
    for number in range(1500):
        await at.doom(number, "n1", "n2")
    at.nodes["n1"].down = True
    at.reaper.wake()
    assert len(at.nodes["n2"].removed) == 1500
    assert (at.doomed, at.reaper.staying) == (1500, {"n1": 1500})
    at.nodes["n1"].down = False
    at.clock.pump([1.0] * 10)
    assert (at.doomed, at.reaper.staying) == (0, {})
    assert fired(at.catalog.statistics()).reaped == 1500


@pytest_twisted.ensureDeferred
async def test_a_node_that_fails_is_asked_again_after_pauses_that_grow_and_end_when_it_is_healthy() -> None:
    at = await place()
    upload = await at.doom(1, "n1")
    node = at.nodes["n1"]
    node.down = True
    at.reaper.start()
    asked_at = [at.clock.seconds()]
    for _ in range(600):
        at.clock.advance(0.5)
        asked_at += [at.clock.seconds()] * (len(node.asked) - len(asked_at))
    pauses = [later - before for before, later in pairwise(asked_at)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    node.down = False
    at.reaper.recovered("n1")
    assert node.removed == [f"{upload}.0"]
    assert at.doomed == 0
    node.down = True
    await at.doom(2, "n1")
    at.reaper.wake()
    asked = len(node.asked)
    at.clock.advance(1.0)
    assert len(node.asked) == asked + 1, "the pause is a short one again"
    await at.reaper.stop()


@pytest_twisted.ensureDeferred
async def test_parts_that_a_node_cannot_delete_keep_no_others_waiting() -> None:
    at = await place()
    uploads = [await at.doom(number, "n1") for number in range(500)]
    node = at.nodes["n1"]
    node.stuck = {f"{upload}.0" for upload in uploads[:300]}
    at.reaper.start()
    at.clock.pump([1.0] * 10)
    assert (len(node.removed), at.reaper.staying) == (200, {"n1": 300})
    node.stuck = set()
    at.clock.pump([1.0] * 70)
    assert (at.doomed, at.reaper.staying) == (0, {})
    await at.reaper.stop()


@pytest_twisted.ensureDeferred
async def test_what_one_node_has_confirmed_is_recorded_though_another_one_fails() -> None:
    at = await place()
    upload = await at.doom(1, "n1", "n2")
    at.nodes["n2"].down = True
    at.reaper.wake()
    assert await at.catalog.doomed_parts.doomed_nodes() == {"n2": 1}
    assert at.nodes["n1"].asked == [[f"{upload}.0"]]
    at.clock.pump([1.0] * 100)
    assert at.nodes["n1"].asked == [[f"{upload}.0"]], "and it is not asked again"
    at.nodes["n2"].down = False
    at.reaper.recovered("n2")
    assert at.doomed == 0


@pytest_twisted.ensureDeferred
async def test_parts_that_are_doomed_at_about_the_same_time_go_in_one_batch() -> None:
    at = await place()
    await at.doom(0, "n1")
    at.reaper.wake()
    for number in range(1, 50):
        await at.doom(number, "n1")
        at.reaper.wake()
    at.clock.advance(1.0)
    assert [len(parts) for parts in at.nodes["n1"].asked] == [1, 49]
    assert at.doomed == 0


@pytest_twisted.ensureDeferred
async def test_it_looks_again_by_itself() -> None:
    at = await place()
    at.reaper.start()
    upload = await at.doom(1, "n1")
    at.clock.advance(INTERVAL_S)
    assert at.nodes["n1"].removed == [f"{upload}.0"]
    await at.reaper.stop()
    assert at.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_version_that_is_read_stays_until_it_is_not() -> None:
    at = await place()
    upload = await at.doom(1, "n1")
    other = await at.doom(2, "n1")
    read = Manifest(upload, 1, 1, 1, 0, 4, ("n1",))
    at.pins.pin(read)
    at.pins.pin(read)
    await at.settle()
    assert not at.pins.unpin(read)
    await at.settle()
    assert at.nodes["n1"].removed == [f"{other}.0"]
    assert at.pins.unpin(read)
    at.reaper.unpinned(read)
    assert at.nodes["n1"].removed == [f"{other}.0", f"{upload}.0"]


@pytest_twisted.ensureDeferred
async def test_a_copy_that_is_read_stays_and_the_same_part_on_another_node_is_nothing_to_it() -> None:
    at = await place()
    upload = f"{1:032x}"
    await begin(at.catalog.ledger, upload, "/f", ["n1"])
    before = Manifest(upload, 1, 1, 1, 0, 4, ("n1",))
    await commit(at.catalog.ledger, "/f", before, ALWAYS)
    at.pins.pin(before)
    await at.catalog.part_moves.begin_move(PartCopy(upload, 0, "n2"))
    await at.catalog.part_moves.commit_move(PartCopy(upload, 0, "n2"))
    after = await at.catalog.lookup("/f")
    assert isinstance(after, Manifest)
    at.pins.pin(after)
    await at.settle()
    assert at.nodes["n1"].removed == []
    assert at.pins.unpin(before)
    at.reaper.unpinned(before)
    assert (at.nodes["n1"].removed, at.nodes["n2"].asked, at.doomed) == ([f"{upload}.0"], [], 0)


@pytest_twisted.ensureDeferred
async def test_nothing_is_deleted_after_it_was_stopped() -> None:
    at = await place()
    await at.doom(1, "n1")
    await at.reaper.stop()
    at.reaper.wake()
    at.reaper.recovered("n1")
    at.clock.advance(INTERVAL_S)
    assert at.nodes["n1"].asked == []


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_for_no_node() -> None:
    at = await place()
    for number in range(2000):
        await at.doom(number, *at.nodes)
    for node in at.nodes.values():
        node.silent = True
    with capturedLogs() as told:
        at.reaper.start()
        assert all(node.held for node in at.nodes.values())
        stopped = at.reaper.stop()
        assert stopped.called
        gc.collect()
    assert told == []
    assert at.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_until_confirmed_deletions_are_recorded() -> None:
    at = await place()
    await at.doom(1, "n1")
    at.journal.hold()
    at.reaper.start()
    stopped = at.reaper.stop()
    assert not stopped.called
    at.journal.release()
    assert stopped.called
    assert at.doomed == 0


@pytest_twisted.ensureDeferred
async def test_to_settle_waits_for_no_node_that_fails() -> None:
    at = await place()
    await at.doom(1, "n1", "n2")
    at.nodes["n1"].down = True
    at.reaper.wake()
    await at.reaper.settle()
    assert await at.catalog.doomed_parts.doomed_nodes() == {"n1": 1}
