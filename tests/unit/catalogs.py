"""Shared code of the tests of the journalled catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from splitd.catalog.journal.memory import MemoryFolder, MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.records import Record
from tests.catalogs import NODES, manifest
from tests.clocks import wall_of
from tests.doomed import confirm, doomed_parts
from tests.ledger import begin, commit


class TurningClock(Clock):
    """A clock whose `turn` makes the calls of one turn of a reactor, but not the calls that these schedule."""

    def callLater(self, when: float, what: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return super().callLater(when or 0.001, what, *args, **kwargs)

    def turn(self) -> None:
        self.advance(0.001)


class Front:
    """A catalog on a journal that can be held; the catalog can be restarted."""

    def __init__(
        self,
        folder: MemoryFolder | None = None,
        front: str = "front 1",
        changed: Callable[[Record], object] = lambda _: None,
    ) -> None:
        self.folder = folder or MemoryFolder()
        self.journal = MemoryJournal(self.folder)
        self.clock = TurningClock()
        self.clock.advance(1.0)
        self.catalog = JournalledCatalog(
            self.journal, wall_of(self.clock), self.clock, lambda: "d" * 32, front=front, changed=changed
        )
        self._id = front

    async def start(self) -> Front:
        await self.catalog.start()
        return self

    async def restart(self) -> Front:
        await self.journal.close()
        again = await Front(self.folder, f"front {int(self._id.split()[1]) + 1}").start()
        await again.catalog.ledger.abort_abandoned()
        return again

    async def doomed(self) -> dict[str, list[str]]:
        return await doomed_parts(self.catalog.doomed_parts)

    async def confirm(self, parts: Mapping[str, Sequence[str]]) -> None:
        await confirm(self.catalog.doomed_parts, parts)

    def put(self, path: str, upload: str, condition: Condition = ALWAYS) -> Deferred[bool]:
        begin(self.catalog.ledger, upload, path, NODES)
        return commit(self.catalog.ledger, path, manifest(upload), condition)


async def started() -> Front:
    return await Front().start()
