"""Lives of a catalog whose power is cut, and what must be found after the cut."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journalled import JournalledCatalog
from splitd.catalog.state import State
from splitd.errors import CatalogReadOnly
from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from tests.clocks import wall_of
from tests.crash.power import PowerDisk
from tests.crash.recovery import WRITTEN_ON, journal_on
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
        """Make the changes."""
        raise NotImplementedError

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


def judge_seen(state: State, notes: list[Any], seen_states: list[Any], look: Callable[[State], Any] = seen) -> None:
    """Check that a state that a start after a cut finds is the last acknowledged one, or the one after the change in
    progress.

    :param look: returns what `seen_states` have of a state.
    """
    ended, begun = notes.count(ENDED), notes.count(BEGUN)
    if state.cluster:
        assert look(state) in seen_states[ended : begun + 1], f"after {ended} changes, {begun} begun"
    else:
        assert not begun


def judge(state: State, notes: list[Any], seen_states: list[Any]) -> None:
    """Check what a start after the cut finds, and that no file's parts are doomed."""
    judge_seen(state, notes, seen_states)
    for manifest in state.tree.files():
        assert manifest.upload not in state.doomed
