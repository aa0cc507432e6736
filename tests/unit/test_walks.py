"""Walks of the upkeep: rounds, and the lease under which one front at a time does them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from splitd.catalog.alone import Alone
from splitd.errors import CatalogAway, CatalogReadOnly, DoneElsewhere
from splitd.upkeep.walks import Walk, Walks

INTERVAL_S = 60.0


class Leases:
    """Leases that this front has or not.

    :ivar has: whether it has them.
    :ivar away: whether the catalog does not answer.
    :ivar released: the tasks whose leases it has released.
    """

    def __init__(self) -> None:
        self.has = True
        self.away = False
        self.waiting: Deferred[bool] | None = None
        self.released: list[str] = []

    def hold(self, _: str) -> Deferred[bool]:
        if self.waiting is not None:
            return self.waiting
        return fail(CatalogAway("it is away")) if self.away else succeed(self.has)

    def release(self, task: str) -> Deferred[None]:
        self.released.append(task)
        return succeed(None)


class Changes:
    """A walk that makes a hundred changes.

    :ivar at: what happens after so many changes.
    :ivar hangs: after so many changes it waits for ever.
    """

    def __init__(self) -> None:
        self.clock, self.leases = Clock(), Leases()
        self.made = 0
        self.at: dict[int, Callable[[], object]] = {}
        self.hangs = 0
        self.problem: Exception | None = None
        self.walks = Walks(self.leases, self.clock)  # type: ignore[arg-type]
        self.walk: Walk = self.walks.walk("changes", self.change, INTERVAL_S)

    async def change(self) -> None:
        for _ in range(100):
            await self.walk.step()
            self.made += 1
            self.at.get(self.made, lambda: None)()
            if self.made == self.hangs:
                await Deferred[None]()
            if self.problem is not None:
                raise self.problem


def told(walks: Walks) -> list[tuple[str, int, str]]:
    return [(each.state, each.rounds, each.problem) for each in walks.reports()]


@pytest_twisted.ensureDeferred
async def test_rounds_are_made_until_it_is_stopped() -> None:
    at = Changes()
    assert told(at.walks) == [("idle", 0, "")]
    other: list[int] = []
    at.clock.callLater(0, lambda: other.append(at.made))
    at.walk.start(0)
    at.clock.advance(0)
    assert (at.made, told(at.walks)) == (100, [("idle", 1, "")])
    assert other == [0], "other work had to wait"
    at.hangs = 150
    at.clock.advance(INTERVAL_S)
    assert (at.made, told(at.walks)) == (150, [("running", 1, "")])
    await at.walk.stop()
    at.clock.pump([INTERVAL_S] * 10)
    assert (at.made, told(at.walks)) == (150, [("idle", 1, "")])


@pytest_twisted.ensureDeferred
async def test_a_walk_that_loses_its_lease_stops_before_its_next_change() -> None:
    at = Changes()
    at.at[50] = lambda: setattr(at.leases, "has", False)
    at.walk.start(0)
    at.clock.advance(0)
    assert (at.made, told(at.walks)) == (50, [("elsewhere", 0, "")])
    at.clock.advance(INTERVAL_S)
    assert at.made == 50
    at.leases.has = True
    at.clock.advance(INTERVAL_S)
    assert (at.made, told(at.walks)) == (150, [("idle", 1, "")])
    await at.walk.stop()


@pytest_twisted.ensureDeferred
async def test_a_catalog_that_is_away_or_takes_no_change_is_asked_again_in_the_next_round() -> None:
    at = Changes()
    at.leases.away = True
    with capturedLogs() as logs:
        await at.walk.look()
        assert told(at.walks) == [("waiting", 0, "it is away")]
        at.leases.away, at.problem = False, CatalogReadOnly("the journal has failed")
        looking = at.walk.look()
        at.clock.advance(0)
        await looking
        assert told(at.walks) == [("waiting", 0, "the journal has failed")]
        at.problem = None
        looking = at.walk.look()
        at.clock.advance(0)
        await looking
    assert (told(at.walks), logs) == ([("idle", 1, "")], [])


@pytest_twisted.ensureDeferred
async def test_a_fault_is_told_and_the_next_round_follows() -> None:
    at = Changes()
    at.problem = KeyError("a fault")
    looking = at.walk.look()
    at.clock.advance(0)
    with pytest.raises(KeyError):
        await looking
    [(state, rounds, problem)] = told(at.walks)
    assert (state, rounds) == ("idle", 0)
    assert "a fault" in problem


@pytest_twisted.ensureDeferred
async def test_a_lease_that_was_waited_for_in_vain_is_released() -> None:
    leases = Leases()
    lease = Walks(leases, Clock()).lease("sweep")  # type: ignore[arg-type]
    await lease.acquire()
    assert leases.released == []
    leases.has = False
    with pytest.raises(DoneElsewhere, match="sweep"):
        await lease.acquire()
    leases.waiting = Deferred()
    acquiring: Deferred[Any] = Deferred.fromCoroutine(lease.acquire())
    acquiring.cancel()
    with pytest.raises(CancelledError):
        await acquiring
    assert leases.released == ["sweep", "sweep"]


@pytest_twisted.ensureDeferred
async def test_a_catalog_of_one_front_has_all_leases() -> None:
    lease = Walks(Alone(), Clock()).lease("sweep")
    await lease.acquire()
    await lease.confirm()
    await lease.release()
