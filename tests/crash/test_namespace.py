"""Moves, copies, properties and locks through power cuts: each change is there completely, or not at all."""

from __future__ import annotations

import errno

import pytest
import pytest_twisted
from twisted.python.threadpool import ThreadPool

from splitd.model.conditions import ALWAYS
from splitd.model.locks import EXCLUSIVE, SHARED, Lock
from splitd.model.properties import PropertyChanges
from tests.crash.lives import Life, judge
from tests.crash.trials import cut_at_every_moment, fail_every_call


class NameLife(Life):
    """Moves, copies, locks and deletes."""

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


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool) -> None:
    assert await cut_at_every_moment(lambda disk: NameLife(disk, pool), judge, "moves, copies and locks") > 500


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_fails_once(pool: ThreadPool, error: int) -> None:
    await fail_every_call(lambda disk: NameLife(disk, pool), judge, error, "moves, copies and locks")
