"""Notes of the tasks that operators have started."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, succeed

from splitd.errors import DoneElsewhere
from splitd.interfaces.documents import IDocuments
from splitd.model.fronts import SeenFront
from splitd.upkeep.tasks import TaskNotes
from splitd.upkeep.walks import Lease
from tests.clocks import wall_of
from tests.unit.catalogs import Front, started


@attrs.define
class Fronts:
    """The fronts a and b, as b sees them.

    :ivar does: what a does at present.
    """

    asked: str
    does: Sequence[str] = ()

    def seen(self) -> Deferred[list[SeenFront]]:
        return succeed(
            [
                SeenFront(
                    id=name,
                    address=f"{name}:8080",
                    version="1",
                    since_ms=0,
                    heard_ms=0,
                    gone=False,
                    upkeep=list(self.does) if name == "a" else [],
                    asked=name == self.asked,
                )
                for name in ("a", "b")
            ]
        )


def notes(front: Front, asked: str, *does: str) -> TaskNotes:
    documents: IDocuments = front.catalog.documents
    return TaskNotes(documents, Fronts(asked, does), wall_of(front.clock))  # type: ignore[arg-type]


class Leases:
    """Those of a front.

    :ivar held: the tasks whose leases it has.
    """

    def __init__(self) -> None:
        self.held: set[str] = set()

    def hold(self, task: str) -> Deferred[bool]:
        self.held.add(task)
        return succeed(True)

    def release(self, task: str) -> Deferred[None]:
        self.held.discard(task)
        return succeed(None)


async def warnings(these: TaskNotes, front: Front, *does: str) -> list[str]:
    return await these.warnings(await Fronts("b", does).seen())


@pytest_twisted.ensureDeferred
async def test_a_task_that_has_ended_is_told_no_more() -> None:
    front = await started()
    a = notes(front, "a")
    await a.begin("rebalance")
    assert await warnings(a, front) == []
    await a.end("rebalance")
    assert (await warnings(a, front), await a.settle("rebalance")) == ([], "")


@pytest_twisted.ensureDeferred
async def test_a_task_that_ended_with_its_front_is_told_by_all_until_it_begins_again() -> None:
    front = await started()
    stopped, killed, b = notes(front, "a"), notes(front, "a"), notes(front, "b")
    await stopped.begin("rebalance")
    stopped.close()
    await stopped.end("rebalance")
    await killed.begin("relayout", "/my photos")
    found = await warnings(b, front)
    assert [("front a:8080" in each, "ended with its front" in each) for each in found] == [(True, True)] * 2
    assert "`splitctl rebalance` begins it again" in found[0]
    assert "`splitctl layout '/my photos' --apply` begins it again" in found[1]
    await b.begin("rebalance")
    assert await warnings(b, front) == found[1:]


@pytest_twisted.ensureDeferred
async def test_while_another_front_does_it_nothing_is_told_and_who_wants_to_stop_it_is_sent_there() -> None:
    front = await started()
    await notes(front, "a").begin("rebalance")
    b = notes(front, "b", "rebalance")
    assert await warnings(b, front, "rebalance") == []
    with pytest.raises(DoneElsewhere, match="a:8080"):
        await b.settle("rebalance")


@pytest_twisted.ensureDeferred
async def test_a_task_that_ended_with_its_front_can_be_forgotten() -> None:
    front = await started()
    await notes(front, "a").begin("rebalance")
    b = notes(front, "b")
    assert "ended with its front" in await b.settle("rebalance")
    assert (await warnings(b, front), await b.settle("rebalance")) == ([], "")


@pytest_twisted.ensureDeferred
async def test_a_task_that_begins_or_ends_while_its_note_is_looked_at_is_not_told() -> None:
    front = await started()
    a = notes(front, "a")
    await a.begin("rebalance")
    assert await notes(front, "b", "rebalance").warnings(await Fronts("b").seen()) == []

    class Ending(Fronts):
        def seen(self) -> Deferred[list[SeenFront]]:
            return Deferred.fromCoroutine(a.end("rebalance")).addCallback(lambda _: Fronts("b").seen())

    b = TaskNotes(front.catalog.documents, Ending("b"), wall_of(front.clock))  # type: ignore[arg-type]
    assert await b.warnings(await Fronts("b").seen()) == []


@pytest_twisted.ensureDeferred
async def test_a_front_that_has_lost_its_lease_does_not_remove_the_note_of_the_next_one() -> None:
    front = await started()
    a, b = notes(front, "a"), notes(front, "b")
    await a.begin("rebalance")
    await b.begin("rebalance")
    await a.end("rebalance")
    (told,) = await warnings(notes(front, "a"), front)
    assert "front b:8080" in told


@pytest_twisted.ensureDeferred
async def test_a_task_that_is_cancelled_when_it_begins_or_ends_leaves_neither_a_lease_nor_a_note() -> None:
    front, leases = await started(), Leases()
    lease = Lease(leases, "rebalance", notes(front, "a"))  # type: ignore[arg-type]

    async def cancelled(work: Coroutine[Deferred[Any], Any, None]) -> None:
        front.journal.hold()
        doing = Deferred.fromCoroutine(work)
        doing.cancel()
        with pytest.raises(CancelledError):
            await doing
        front.journal.release()
        assert (leases.held, await warnings(notes(front, "b"), front)) == (set(), [])

    await cancelled(lease.acquire())
    await lease.acquire()
    await cancelled(lease.release())
