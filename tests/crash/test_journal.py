"""The journal through power cuts: acknowledged changes are there, and whatever is there was requested."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Awaitable, Callable
from itertools import count
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journalled import JournalledCatalog
from splitd.catalog.state import State
from splitd.errors import CatalogReadOnly
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection
from tests.clocks import wall_of
from tests.crash.cuts import Cuts
from tests.crash.operations import Image, Synced
from tests.crash.oracle import Begun, Ended, allowed
from tests.crash.power import PowerDisk, visible
from tests.crash.recovery import FROM_IMAGES, WRITTEN_ON, Starts, journal_on, recover_journal
from tests.doomed import confirm_all
from tests.ledger import begin, commit
from tests.tally import TALLY, shared

NODES = tuple("abcdef")
SEGMENT = 1500


class Life:
    """Uses a catalog on a disk, and records its answers."""

    def __init__(self, disk: PowerDisk, pool: ThreadPool) -> None:
        self.disk = disk
        self._compactions: list[Deferred[None]] = []
        self.journal = journal_on(disk, pool, SEGMENT, self._compactions)
        self.catalog = JournalledCatalog(self.journal, wall_of(Clock()), Clock(), lambda: "c" * 32, front="front")
        self._number = 0

    async def run(self) -> None:
        try:
            await self.catalog.start()
            await self._change("/c", True, lambda: self.catalog.make_collection("/c"))
            for number in range(12):
                await self.put(f"/c/{number % 3}")
                if number % 4 == 3:
                    await self.delete(f"/c/{number % 3}")
            await self.give_up("/c/given-up")
            await self._change("/d", True, lambda: self.catalog.make_collection("/d"))
            for number in range(6):
                await self.put(f"/d/{number % 2}")
            for name in ("/d/0", "/d/1"):
                await self.delete(name)
            await self._change("/d", None, lambda: self.catalog.delete("/d", Condition()))
            await self.put("/last")
            if self.journal.statistics.compaction_problem:
                await self._compact_again()
            await begin(self.catalog.ledger, "f" * 32, "/never-ended", NODES)
        except CatalogReadOnly:
            pass
        finally:
            with contextlib.suppress(OSError):
                await self.journal.close()
            for ended in self._compactions:  # as with a process, nothing goes on after its end
                await ended

    async def put(self, path: str) -> None:
        self._number += 1
        upload = f"{self._number:032x}"
        await begin(self.catalog.ledger, upload, path, NODES)
        manifest = Manifest(upload, self._number, self._number, 6, 0, 4, NODES)
        await self._change(path, manifest, lambda: commit(self.catalog.ledger, path, manifest, Condition()))
        await confirm_all(self.catalog.doomed_parts)

    async def _compact_again(self) -> None:
        """Write until the next compaction was due, which must succeed, because no disk here fails twice."""
        for number in range(200):
            await self.put(f"/{number % 2}")
            if not self.journal.statistics.compaction_problem:
                return
        raise AssertionError(f"no snapshot is made any more: {self.journal.statistics.compaction_problem}")

    async def delete(self, path: str) -> None:
        await self._change(path, None, lambda: self.catalog.delete(path, Condition()))

    async def give_up(self, path: str) -> None:
        await begin(self.catalog.ledger, "e" * 32, path, NODES)
        await self.catalog.ledger.abort("e" * 32, "the client left")

    async def _change(self, name: str, result: Any, make: Callable[[], Awaitable[Any]]) -> None:
        change = Begun(name, result)
        self.disk.note(change)
        try:
            await make()
        except CatalogReadOnly:
            self.disk.note(Ended(change, None))
            raise
        self.disk.note(Ended(change, True))


def judge(state: State, notes: list[Any]) -> None:
    """Check that a start after the cut finds what was acknowledged."""
    may = allowed(notes)
    for name, results in may.items():
        found = state.tree.lookup(name)
        assert (True if isinstance(found, Collection) else found) in results, f"{name}: {found}, not of {results}"
    assert {path for path, _ in state.tree.walk() if not path.startswith(WRITTEN_ON)} <= may.keys()
    # Every part that may exist is known: it belongs to a file or an upload, or is to be deleted.
    for _, entry in state.tree.walk():
        if isinstance(entry, Manifest):
            assert entry.upload not in state.doomed


async def lived(image: Image, pool: ThreadPool, fault: Callable[[int, str], int | None] | None = None) -> PowerDisk:
    disk = PowerDisk(image)
    if fault is not None:
        disk.fault = fault
    await Life(disk, pool).run()
    return disk


EMPTY: Image = {"/": {}, "/journal": {}}


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool) -> None:
    disk = await lived(EMPTY, pool)
    cuts, random, starts = Cuts(EMPTY, disk.log), Random(1), Starts()
    seen = set()
    images = TALLY[FROM_IMAGES]
    for _ in cuts.moments():
        TALLY["moments of a journal's life at which the power was cut"] += 1
        for image in cuts.images(random):
            state = hash((len(cuts.notes), tuple(sorted(image["/journal"].items()))))
            if state not in seen:
                seen.add(state)
                judge(starts.journal(image), cuts.notes)
    TALLY["states of a journal's disk started from"] += len(seen)
    assert any(name.startswith("snapshot") for name in disk.folders["/journal"])
    assert TALLY[FROM_IMAGES] > images
    assert len(seen) > 500


@pytest_twisted.ensureDeferred
async def test_power_cuts_while_it_starts_after_a_power_cut(pool: ThreadPool) -> None:
    disk = await lived(EMPTY, pool)
    cuts, random, starts = Cuts(EMPTY, disk.log), Random(2), Starts()
    for moment in cuts.moments():
        if moment % 7:
            continue
        image = random.choice(list(cuts.images(random)))
        second = PowerDisk(image)
        recover_journal(second, "/journal")
        again = Cuts(image, second.log)
        for _ in again.moments():
            TALLY["moments of a journal's restart at which the power was cut again"] += 1
            for left in again.images(random):
                judge(starts.journal(left), cuts.notes)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_fails_once(pool: ThreadPool, error: int) -> None:
    whole = await lived(EMPTY, pool)
    random, starts = Random(3), Starts()
    for number in shared(whole.calls, odd=error == errno.ENOSPC):
        disk = await lived(EMPTY, pool, lambda at, _, number=number: error if at == number else None)
        TALLY["calls of a journal's life that failed"] += 1
        cuts = Cuts(EMPTY, disk.log)
        for _ in cuts.moments():
            pass
        for image in (visible(disk), *cuts.images(random)):
            judge(starts.journal(image), cuts.notes)


@pytest_twisted.ensureDeferred
async def test_a_restart_makes_durable_what_a_failed_sync_did_not(pool: ThreadPool) -> None:
    whole = await lived(EMPTY, pool)
    random, starts = Random(4), Starts()
    for number in range(sum(isinstance(event, Synced) for event in whole.log)):
        syncs = count()
        disk = await lived(
            EMPTY,
            pool,
            lambda _, call, number=number, syncs=syncs: errno.EIO if call == "sync" and next(syncs) == number else None,
        )
        TALLY["syncs of a journal's life that failed before a restart"] += 1
        disk.fault = lambda _, __: None
        # The process ends and is started again, the power is on all the while.
        state = recover_journal(disk, "/journal")
        shown = {path: entry for path, entry in state.tree.walk() if isinstance(entry, Manifest)}
        cuts = Cuts(EMPTY, disk.log)
        for _ in cuts.moments():
            pass
        for image in cuts.images(random):
            after = starts.journal(image)
            assert {path: entry for path, entry in after.tree.walk() if isinstance(entry, Manifest)} == shown
