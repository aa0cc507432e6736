"""Moves, copies, properties and locks through power cuts: each change is there completely, or not at all."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journalled import JournalledCatalog
from splitd.catalog.state import State
from splitd.errors import CatalogReadOnly
from splitd.model.conditions import ALWAYS
from splitd.model.locks import EXCLUSIVE, SHARED, Lock
from splitd.model.manifest import Manifest
from splitd.model.properties import PropertyChanges
from tests.clocks import wall_of
from tests.crash.operations import Image
from tests.crash.power import PowerDisk
from tests.crash.recovery import WRITTEN_ON, journal_on, recover_journal
from tests.crash.trials import cut_at_every_moment, fail_every_call
from tests.doomed import confirm_all
from tests.ledger import begin, commit

NODES = tuple("abcdef")
SEGMENT = 1800

BEGUN, ENDED, FAILED = "begun", "ended", "failed"


def seen(state: State) -> Any:
    """Return everything that clients can see of a state."""
    entries = {path: entry for path, entry in state.tree.walk() if not path.startswith(WRITTEN_ON)}
    noted = {path: dict(properties) for path, properties in state.tree.all_properties()}
    return entries, noted, list(state.locks), state.files, state.bytes_stored, dict(state.shared)


class Life:
    """Uses a catalog on a disk, and records what clients can see after each change.

    :ivar seen_states: what clients could see at the start, and after each change.
    """

    def __init__(self, disk: PowerDisk, pool: ThreadPool) -> None:
        self.disk = disk
        self.journal = journal_on(disk, pool, SEGMENT)
        self.clock = Clock()
        self.catalog = JournalledCatalog(self.journal, wall_of(self.clock), self.clock, lambda: "c" * 32, front="front")
        self.seen_states: list[Any] = []
        self._number = 0

    async def run(self) -> None:
        try:
            await self.catalog.start()
            self.seen_states.append(self.look(self.catalog._state))
            await self.live()
        except CatalogReadOnly:
            pass
        finally:
            with contextlib.suppress(OSError):
                await self.journal.close()

    def look(self, state: State) -> Any:
        return seen(state)

    async def live(self) -> None:
        catalog, namespace, locks = self.catalog, self.catalog.namespace, self.catalog.locks
        await self.change(lambda: catalog.make_collection("/c", ALWAYS, {"made": "<made/>"}))
        for name in ("/c/1", "/c/2", "/f"):
            await self.put(name)
        await self.change(lambda: namespace.change_properties("/c/1", PropertyChanges({"a": "<a/>"}, ()), ALWAYS))
        await self.change(lambda: locks.lock(self.requested("/f", "urn:1"), ALWAYS, self.manifest(0)))
        for number in range(6):
            source, target = ("/c", "/d") if number % 2 == 0 else ("/d", "/c")
            await self.change(lambda s=source, t=target: namespace.move(s, t, ALWAYS, overwrite=True))
            await self.change(lambda s=target: namespace.copy(s, "/copy", ALWAYS, deep=True, overwrite=True))
            await self.put(f"{target}/1")
            await self.reap()
        await self.change(lambda: locks.lock(self.requested("/c/new", "urn:2", SHARED), ALWAYS, self.manifest(0)))
        await self.change(lambda: locks.lock(self.requested("/c/new", "urn:3", SHARED), ALWAYS, self.manifest(0)))
        await self.change(lambda: locks.unlock("/c/new", "urn:2", ALWAYS))
        await self.change(lambda: namespace.copy("/c", "/flat", ALWAYS, deep=False, overwrite=True))
        self.clock.advance(120)
        await self.change(lambda: locks.lock(self.requested("/f", "urn:4"), ALWAYS, self.manifest(0)))
        await self.change(lambda: catalog.delete("/c", ALWAYS))
        await self.reap()
        await self.change(lambda: namespace.move("/copy", "/flat", ALWAYS, overwrite=True))
        await self.change(lambda: catalog.delete("/flat", ALWAYS))
        await self.reap()
        await self.put("/last")

    def requested(self, path: str, token: str, scope: str = EXCLUSIVE) -> Lock:
        now_ms = int(self.clock.seconds() * 1000)
        return Lock(path, token, scope, False, "<o/>", now_ms, now_ms + 60_000)

    def manifest(self, size: int) -> Manifest:
        self._number += 1
        return Manifest(f"{self._number:032x}", size, self._number, 6, 0, 4, NODES if size else ())

    async def put(self, path: str) -> None:
        manifest = self.manifest(10)
        await begin(self.catalog.ledger, manifest.upload, path, NODES)
        await self.change(lambda: commit(self.catalog.ledger, path, manifest, ALWAYS))

    async def reap(self) -> None:
        await confirm_all(self.catalog.doomed_parts)

    async def change(self, make: Callable[[], Awaitable[Any]]) -> None:
        self.disk.note(BEGUN)
        try:
            await make()
        except CatalogReadOnly:
            self.disk.note(FAILED)
            raise
        self.seen_states.append(self.look(self.catalog._state))
        self.disk.note(ENDED)


def judge(image: Image, notes: list[Any], seen_states: list[Any]) -> None:
    """Check that a start after the cut finds the last acknowledged state, or the one after the change in progress."""
    state = recover_journal(PowerDisk(image), "/journal")
    ended, begun = notes.count(ENDED), notes.count(BEGUN)
    if not state.cluster:
        assert not begun
        return
    assert seen(state) in seen_states[ended : begun + 1], f"after {ended} changes, {begun} begun"
    for manifest in state.tree.files():
        assert manifest.upload not in state.doomed


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool) -> None:
    assert await cut_at_every_moment(lambda disk: Life(disk, pool), judge, "moves, copies and locks") > 500


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_fails_once(pool: ThreadPool, error: int) -> None:
    await fail_every_call(lambda disk: Life(disk, pool), judge, error, "moves, copies and locks")
