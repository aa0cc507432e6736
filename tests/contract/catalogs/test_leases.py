"""Leases say which of several fronts that share a database does what, and walks of the upkeep keep to them."""

from __future__ import annotations

import time

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from splitd.catalog.alone import Alone
from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.leases import HeldLeases
from splitd.interfaces.leases import ILeases
from splitd.model.conditions import ALWAYS
from splitd.upkeep.bin import BinUpkeep
from splitd.upkeep.walks import Walks
from storaged.system.clocks import WallClock
from tests.catalogs import A, B
from tests.cluster.waiting import becomes
from tests.contract.catalogs.both_fronts import Both
from tests.postgres import postgres

TWO_DAYS_S = 2 * 24 * 3600.0


def upkeep_of(front: StoredCatalog) -> BinUpkeep:
    from twisted.internet import reactor

    async def room() -> None:
        return None

    later = WallClock(lambda: time.time() + TWO_DAYS_S)
    return BinUpkeep(front.bin, list, 1.0, room, Walks(front.leases, reactor), later)  # type: ignore[arg-type]


@pytest_twisted.ensureDeferred
async def test_one_front_has_the_lease_of_a_task_until_it_releases_it(both: Both) -> None:
    one, two = (front.leases for front in both.fronts)
    for leases in (one, two, Alone()):
        verifyObject(ILeases, leases)
    assert [await one.hold("sweep"), await two.hold("sweep"), await two.hold("rebalance")] == [True, False, True]
    seen = await both.fronts[0].fronts.seen()
    assert [each.upkeep for each in seen] == [["sweep", "upkeep"], ["rebalance"]]
    await one.release("sweep")
    assert [await two.hold("sweep"), await one.hold("sweep")] == [True, False]


@pytest_twisted.ensureDeferred
async def test_the_lease_of_a_front_that_was_killed_is_taken_eight_seconds_after_its_end(both: Both) -> None:
    two = both.fronts[1].leases
    both.rows("INSERT INTO lease VALUES ('sweep', 'killed', now() - interval '1 second')")
    assert not await two.hold("sweep")
    both.rows("UPDATE lease SET expires = now() - interval '8 seconds' WHERE task = 'sweep'")
    assert await two.hold("sweep")


@pytest_twisted.ensureDeferred
async def test_a_lease_is_renewed_and_a_front_that_has_lost_it_finds_out(both: Both) -> None:
    one, two = both.fronts
    assert await one.leases.hold("sweep")
    both.rows("UPDATE lease SET expires = now() + interval '1 second' WHERE task = 'sweep'")
    await one.renew()
    assert both.rows("SELECT task FROM lease WHERE task = 'sweep' AND expires > now() + interval '10 seconds'")

    async def taken() -> bool:  # the front renews it by itself, too, perhaps in between
        both.rows("UPDATE lease SET expires = now() - interval '1 minute' WHERE task = 'sweep'")
        return await two.leases.hold("sweep")

    await becomes(taken)
    await one.renew()
    assert not await one.leases.hold("sweep")


@pytest_twisted.ensureDeferred
async def test_no_renewal_brings_a_released_lease_back_and_a_release_ends_no_later_lease(both: Both) -> None:
    one = both.fronts[0]
    assert await one.leases.hold("sweep")
    await one.leases.release("sweep")
    await one.renew()
    assert both.rows("SELECT task FROM lease WHERE task = 'sweep'") == []
    for _ in range(20):
        again: list[Deferred[bool]] = [one.leases.hold("sweep")]
        released = one.leases.release("sweep")
        again.append(one.leases.hold("sweep"))
        assert await again[1]
        await again[0]
        await released
        assert len(both.rows("SELECT task FROM lease WHERE task = 'sweep'")) == 1
        await one.leases.release("sweep")


@pytest_twisted.ensureDeferred
async def test_a_renewal_that_does_not_see_a_new_lease_yet_does_not_end_it(both: Both) -> None:
    held = HeldLeases("front 9")
    with postgres().connect(both.schema) as one, postgres().connect(both.schema) as two:
        until = held.acquire(one, "sweep")
        held.note_renewed(held.renew(two))
        one.commit()
        held.note("sweep", until)
        held.note_renewed(held.renew(two))
        assert held.has("sweep")


@pytest_twisted.ensureDeferred
async def test_a_wait_for_a_lease_may_be_cancelled(both: Both) -> None:
    one, two = both.fronts
    waiting = one.leases.hold("sweep")
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    await one.leases.release("sweep")
    assert await two.leases.hold("sweep")


@pytest_twisted.ensureDeferred
async def test_the_front_with_the_upkeep_alone_purges_the_bin_and_another_one_takes_over(both: Both) -> None:
    one, two = both.fronts
    first, second = upkeep_of(one), upkeep_of(two)
    await both.put(0, "/f", A)
    await two.bin.put("/f", ALWAYS, "")
    await second.look()
    assert len(await two.bin.page("", 9)) == 1
    await first.look()
    assert await two.bin.page("", 9) == []
    assert (first.progress.purged, second.progress.purged) == (1, 0)
    await both.put(0, "/g", B)
    await one.bin.put("/g", ALWAYS, "")
    await one.leave()
    await two.renew()
    await second.look()
    assert (await two.bin.page("", 9), second.progress.purged) == ([], 1)
