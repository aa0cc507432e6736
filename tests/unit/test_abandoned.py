"""Uploads that nobody continues are aborted in the end."""

from __future__ import annotations

import pytest_twisted

from splitd.upkeep.abandoned import AbandonedUploads
from splitd.upkeep.walks import Walks
from tests.catalogs import A, doomed
from tests.clocks import wall_of
from tests.segments import put_segment
from tests.unit.catalogs import Front, started

DAY_S = 24 * 3600.0
U, V = "0" * 32, "1" * 32


def watch(front: Front, days: float) -> tuple[AbandonedUploads, list[None]]:
    woken: list[None] = []
    catalog = front.catalog
    walks = Walks(catalog.leases, front.clock)
    looks = AbandonedUploads(catalog.continued, lambda: woken.append(None), days, walks, wall_of(front.clock))
    return looks, woken


@pytest_twisted.ensureDeferred
async def test_they_are_aborted_days_after_their_last_segment() -> None:
    front = await started()
    await front.catalog.continued.begin(U, "/f", "")
    await put_segment(front.catalog.ledger, U, 1, A)
    looks, woken = watch(front, 7)
    looks.start()
    front.clock.advance(5 * DAY_S)
    await front.catalog.continued.begin(V, "/g", "")
    front.clock.pump([3600.0] * 50)
    assert [each.upload for each in await front.catalog.continued.list_uploads("/", ("", ""), 9)] == [V]
    assert await front.doomed() == doomed(A)
    assert woken
    front.clock.pump([3600.0] * 24 * 5 + [1.0])
    assert await front.catalog.continued.list_uploads("/", ("", ""), 9) == []
    await looks.stop()


@pytest_twisted.ensureDeferred
async def test_each_page_is_looked_at() -> None:
    front = await started()
    for number in range(1100):
        await front.catalog.continued.begin(f"{number:032x}", f"/{number}", "")
    looks, _ = watch(front, 1)
    front.clock.advance(2 * DAY_S)
    looking = looks.look()
    front.clock.pump([0.1] * 10)
    await looking
    assert await front.catalog.continued.list_uploads("/", ("", ""), 9) == []


@pytest_twisted.ensureDeferred
async def test_zero_days_are_never() -> None:
    front = await started()
    await front.catalog.continued.begin(U, "/f", "")
    looks, _ = watch(front, 0)
    looks.start()
    front.clock.pump([DAY_S] * 100)
    assert await front.catalog.continued.find(U) is not None
    await looks.stop()


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_aborted_now_is_aborted_later() -> None:
    front = await started()
    await front.catalog.continued.begin(U, "/f", "")
    looks, woken = watch(front, 1)
    front.clock.advance(2 * DAY_S)
    front.journal.fail_next("no space left")
    await looks.look()
    assert not woken
    again = await front.restart()
    again.clock.advance(2 * DAY_S)
    looks, woken = watch(again, 1)
    looking = looks.look()
    again.clock.pump([0.1] * 3)
    await looking
    assert woken
