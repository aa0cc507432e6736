"""A part is moved while other changes happen: no part is deleted that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults
from twisted.internet.task import Clock

from splitd.downloads.pins import Pins
from splitd.errors import CatalogReadOnly, MoveRefused
from splitd.interfaces.parts import IPartMoves
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.nodes.reporting import ReportingStore
from splitd.upkeep.pace import Pace
from splitd.upkeep.part_mover import PartMover
from splitd.upkeep.reaper import Reaper
from storaged.parts.errors import StoragedError
from storaged.parts.format import encode_part, parse_part_id
from storaged.parts.interfaces import INodeStore
from storaged.parts.memory import MemoryPartStore
from tests.catalogs import NODES, A, manifest
from tests.clocks import wall_of
from tests.unit.catalogs import Front, started

PART = f"{A}.2"
BYTES = encode_part(parse_part_id(PART), 4, b"ab")


@attrs.frozen
class Identity:
    node_id: str
    cluster: str = "c"


class SlowStore(MemoryPartStore):
    """Blocks removals while a test wants it."""

    def __init__(self, node: str, clock: Clock) -> None:
        super().__init__(capacity=2**20, identity=Identity(node), clock=clock, wall=wall_of(clock))
        self.held: list[Deferred[Any]] | None = None

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        if self.held is None:
            return super().remove_all(part_ids)
        waiting: Deferred[Any] = Deferred()
        self.held.append(waiting)
        return waiting.addCallback(lambda _: super(SlowStore, self).remove_all(part_ids))


class Place:
    """A catalog, nodes that keep parts in memory, a reaper and a mover."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.clock = clock = Clock()
        self.stores = {node: SlowStore(node, clock) for node in "abcdefgh"}
        self.reaper = Reaper(front.catalog.doomed_parts, self, Pins(), clock, 60.0)
        self.mover = PartMover(front.catalog.part_moves, self, self.reaper)

    def store(self, node: str) -> INodeStore:
        return ReportingStore(self.stores[node], self.failed)

    def reserve(self, node: str, stored_size: int) -> None:
        """Do nothing: the nodes have enough room."""

    def failed(self, problem: StoragedError) -> None:
        raise AssertionError(str(problem))

    async def manifest(self) -> Manifest:
        found = await self.front.catalog.lookup("/f")
        assert isinstance(found, Manifest)
        return found

    def move(self, kept: Manifest, target: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self.mover.move(kept, 2, target, Pace(None, None)))

    async def settle(self) -> None:
        """Let the reaper delete the doomed parts."""
        settled = Deferred.fromCoroutine(self.reaper.settle())
        self.clock.advance(1.0)
        await settled

    async def lies(self) -> set[str]:
        """Return the nodes that hold the part, after the reaper has done its work."""
        await self.settle()
        return {node for node, store in self.stores.items() if await store.list_parts("", 10)}


async def place() -> Place:
    here = Place(await started())
    await here.front.put("/f", A)
    await here.stores["c"].put_all([(PART, BYTES)])
    return here


@pytest_twisted.ensureDeferred
async def test_a_part_that_was_moved_lies_where_the_catalog_says_and_nowhere_else() -> None:
    here = await place()
    await here.move(manifest(A), "g")
    assert ((await here.manifest()).nodes[2], await here.lies()) == ("g", {"g"})
    await here.move(await here.manifest(), "c")
    assert ((await here.manifest()).nodes, await here.lies()) == (NODES, {"c"})


@pytest_twisted.ensureDeferred
async def test_a_move_that_is_cancelled_while_it_is_made_durable_leaves_the_part_where_the_catalog_says() -> None:
    here = await place()
    here.front.journal.hold()
    moving = here.move(manifest(A), "g")
    moving.cancel()
    here.front.journal.release()
    with pytest.raises(CancelledError):
        await moving
    assert await here.lies() == {(await here.manifest()).nodes[2]}


@pytest_twisted.ensureDeferred
async def test_a_move_that_is_refused_at_its_end_leaves_no_copy() -> None:
    here = await place()
    here.front.journal.hold()
    deleted = here.front.catalog.delete("/f", ALWAYS)
    moving = here.move(manifest(A), "g")
    here.front.journal.release()
    await deleted
    with pytest.raises(MoveRefused):
        await moving
    assert await here.lies() == set()


@pytest_twisted.ensureDeferred
async def test_a_slow_deletion_deletes_nothing_that_comes_to_be_needed_meanwhile() -> None:
    here = await place()
    await here.front.catalog.part_moves.begin_move(copy := await copy_to(here, "g"))
    await here.stores["g"].put_all([(PART, BYTES)])
    await here.front.catalog.part_moves.abort_move(copy, "given up")
    here.stores["g"].held = held = []
    here.reaper.wake()
    assert len(held) == 1
    with pytest.raises(MoveRefused, match="already"):
        await here.move(manifest(A), "g")
    here.stores["g"].held = None
    held[0].callback(None)
    await here.settle()
    await here.move(manifest(A), "g")
    assert await here.lies() == {"g"}


async def copy_to(here: Place, node: str) -> PartCopy:
    return PartCopy((await here.manifest()).upload, 2, node)


@pytest_twisted.ensureDeferred
async def test_moves_of_several_parts_to_one_node_at_once_are_refused_but_for_one() -> None:
    here = await place()
    await here.stores["d"].put_all([(f"{A}.3", encode_part(parse_part_id(f"{A}.3"), 4, b"ab"))])
    here.front.journal.hold()
    moves = [Deferred.fromCoroutine(here.mover.move(manifest(A), index, "g", Pace(None, None))) for index in (2, 3)]
    outcomes = gatherResults([each.addErrback(lambda failure: failure.type) for each in moves])
    here.front.journal.release()
    assert await outcomes == [None, MoveRefused]
    again = await here.front.restart()
    assert (await again.catalog.lookup("/f")).nodes == ("a", "b", "g", "d", "e", "f")  # type: ignore[union-attr]


class Closed:
    """The moves of a catalog in which nothing can be changed for some time.

    :ivar closed: whether it is so.
    """

    def __init__(self, moves: IPartMoves) -> None:
        self._moves = moves
        self.closed = False

    def begin_move(self, copy: PartCopy) -> Deferred[None]:
        return self._moves.begin_move(copy)

    def commit_move(self, copy: PartCopy) -> Deferred[None]:
        return fail(CatalogReadOnly("no lease")) if self.closed else self._moves.commit_move(copy)

    def abort_move(self, copy: PartCopy, reason: str) -> Deferred[None]:
        return fail(CatalogReadOnly("no lease")) if self.closed else self._moves.abort_move(copy, reason)


@pytest_twisted.ensureDeferred
async def test_a_move_that_fails_while_nothing_can_be_changed_is_aborted_once_it_can() -> None:
    here = await place()
    moves = Closed(here.front.catalog.part_moves)
    mover = PartMover(moves, here, here.reaper)
    moves.closed = True
    with pytest.raises(CatalogReadOnly):
        await mover.move(manifest(A), 2, "g", Pace(None, None))
    await mover.end_unended()
    moves.closed = False
    with pytest.raises(MoveRefused, match="is being moved"):
        await mover.move(manifest(A), 2, "h", Pace(None, None))
    await mover.end_unended()
    assert await here.lies() == {"c"}
    await mover.move(manifest(A), 2, "g", Pace(None, None))
    assert await here.lies() == {"g"}
