"""The members of a collection in the order in which people look for them, at bounded memory and in short steps."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from splitd.interfaces.store import IObjectStore
from splitd.model.manifest import Manifest
from splitd.model.natural import natural_key
from splitd.model.tree import Member
from storaged.system.budget import Budget

SORTED = 5000
"""Members that are sorted; the members of a larger collection come in the order of the catalog."""

ALL_SORTED = 100_000
"""Members of all answers together that may wait in order: each takes about 100 bytes while a client reads slowly."""

_STEP = 200
"""Members that are read, sorted or given out before other requests have a turn."""


def _order(member: Member) -> tuple[bool, object]:
    return isinstance(member.entry, Manifest), natural_key(member.name)


class Members:
    """The members of one collection: collections before files, and each of them in natural order.

    A collection of more than `SORTED` members, or one for which the budget has no room, is not sorted: its members are
    read from the store when they are asked for.

    :param path: the collection.
    :param budget: counts the members that wait in order.
    :param clock: schedules calls.
    :ivar is_sorted: whether the members are in order; if not, the sums are not known and stay 0.
    :ivar collections: how many members are collections.
    :ivar files: how many members are files.
    :ivar size: the bytes of the files.
    """

    def __init__(self, store: IObjectStore, path: str, budget: Budget, clock: IReactorTime) -> None:
        self._store = store
        self._path = path
        self._budget = budget
        self._clock = clock
        self._held = 0
        self._sorted: Iterator[Member] = iter(())
        self._after: str | None = ""
        self.is_sorted = False
        self.collections = self.files = self.size = 0

    async def open(self) -> None:
        """Read the members and put them in order, if they are not too many.

        Each step is sorted by itself; the steps are merged when they are given out.  So no step takes long.
        """
        runs: list[list[Member]] = []
        while self._after is not None:
            run = await self._next()
            self._held += len(run)
            if self._held > SORTED or not self._budget.take(len(run)):
                self._held -= len(run)
                self.close()
                self._after, self.files, self.size = "", 0, 0
                return
            runs.append(sorted(run, key=_order))
            files = [member.entry.size for member in run if isinstance(member.entry, Manifest)]
            self.files += len(files)
            self.size += sum(files)
        self.is_sorted = True
        self.collections = self._held - self.files
        self._sorted = heapq.merge(*runs, key=_order)

    async def read(self) -> Sequence[Member]:
        """Return the next members, none at the end."""
        if not self.is_sorted:
            return await self._next() if self._after is not None else []
        await deferLater(self._clock, 0)
        return list(islice(self._sorted, _STEP))

    def close(self) -> None:
        """Release the members that wait.  May be called again."""
        self._budget.give_back(self._held)
        self._held = 0
        self._sorted = iter(())

    async def _next(self) -> list[Member]:
        """Read the next members in the order of the catalog."""
        assert self._after is not None
        await deferLater(self._clock, 0)  # other requests have a turn
        run = await self._store.list_members(self._path, self._after, _STEP)
        self._after = run[-1].name if len(run) == _STEP else None
        return run
