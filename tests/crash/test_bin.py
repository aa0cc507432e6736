"""The bin through power cuts: what is deleted is in the tree or in the bin, never in both and never lost."""

from __future__ import annotations

import errno
from itertools import count
from typing import Any

import pytest
import pytest_twisted
from twisted.python.threadpool import ThreadPool

from splitd.catalog.binning import JournalledBin
from splitd.catalog.state import State
from splitd.model.binned import Binned
from splitd.model.conditions import ALWAYS
from splitd.model.properties import PropertyChanges
from tests.crash.lives import Life
from tests.crash.lives import judge as judge_names
from tests.crash.power import PowerDisk
from tests.crash.recovery import WRITTEN_ON
from tests.crash.trials import cut_at_every_moment, fail_every_call


class BinLife(Life):
    """Deletes, restores and purges; each life makes the same keys."""

    rounds = 2

    def __init__(self, disk: PowerDisk, pool: ThreadPool) -> None:
        super().__init__(disk, pool)
        made, numbers = self.catalog, count(1)
        made.bin = JournalledBin(made._state, made._changes, made._meters, lambda: f"{next(numbers):012x}")

    async def live(self) -> None:
        catalog, bin_ = self.catalog, self.catalog.bin
        things: list[Binned] = []

        async def put(path: str) -> None:
            things.append(await bin_.put(path, ALWAYS, "anna"))

        await self.change(lambda: catalog.make_collection("/c", ALWAYS, {"made": "<made/>"}))
        await self.put("/c/1")
        await self.put("/f")
        await self.change(lambda: catalog.namespace.change_properties("/f", PropertyChanges({"a": "<a/>"}, ()), ALWAYS))
        for _ in range(self.rounds):
            await self.change(lambda: put("/c"))
            await self.change(lambda: put("/f"))
            await self.change(lambda: bin_.restore(things.pop(), "/new/f"))
            await self.change(lambda: catalog.namespace.move("/new/f", "/f", ALWAYS, overwrite=False))
            await self.change(lambda: bin_.restore(things.pop(), "/c"))
        await self.change(lambda: put("/c/1"))
        await self.change(lambda: bin_.purge(things.pop()))
        await self.reap()
        await self.change(lambda: put("/f"))
        await self.put("/last")


def judge(state: State, notes: list[Any], seen_states: list[Any]) -> None:
    """Check besides that each version has just one name, here or in the bin."""
    judge_names(state, notes, seen_states)
    names = [(path, entry) for path, entry in state.tree.walk() if not path.startswith(WRITTEN_ON)]
    uploads = [entry.upload for _, entry in names if hasattr(entry, "upload")]
    assert len(uploads) == len(set(uploads))


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool) -> None:
    assert await cut_at_every_moment(lambda disk: BinLife(disk, pool), judge, "deletions and restorations") > 200


class ShortLife(BinLife):
    """One deletion of each kind."""

    rounds = 1


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_fails_once(pool: ThreadPool, error: int) -> None:
    await fail_every_call(lambda disk: ShortLife(disk, pool), judge, error, "deletions and restorations")
