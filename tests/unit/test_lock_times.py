"""Locks last as long as promised, even if the wall clock is set meanwhile."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.task import Clock

from splitd.catalog.journal.memory import MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.errors import Locked
from splitd.model.conditions import ALWAYS
from splitd.model.locks import EXCLUSIVE, Lock
from storaged.system.clocks import WallClock
from tests.catalogs import A, manifest

TIMEOUT_S = 600
STEP_S = 7200


@pytest.mark.parametrize("step_s", [STEP_S, -STEP_S])
@ensureDeferred
async def test_a_lock_ends_when_its_time_is_over_and_not_before(step_s: int) -> None:
    seconds, monotonic = Clock(), Clock()
    seconds.advance(1_700_000_000)
    wall = WallClock(seconds.seconds, monotonic.seconds)
    catalog = JournalledCatalog(MemoryJournal(), wall, Clock(), front="front")
    await catalog.start()
    now_ms = wall.steady_ms()
    lock = Lock("/f", "urn:1", EXCLUSIVE, False, "", now_ms, now_ms + TIMEOUT_S * 1000)
    await catalog.locks.lock(lock, ALWAYS, manifest(A, size=0, nodes=()))
    seconds.advance(step_s)
    for clock in (seconds, monotonic):
        clock.advance(TIMEOUT_S - 1)
    with pytest.raises(Locked):
        await catalog.delete("/f", ALWAYS)
    for clock in (seconds, monotonic):
        clock.advance(1)
    await catalog.delete("/f", ALWAYS)
