"""One request of all workers uses a resumable upload at a time."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from splitd.frontends.resumable.exclusive import Exclusive, Holder
from splitd.workers.exclusive import Acquired
from tests.fired import fired


def test_one_request_of_all_workers_uses_an_upload() -> None:
    shared, told = Exclusive(), list[str]()
    one, other = (
        Acquired(shared, lambda upload, number, name=name: told.append(f"{name} {upload} {number}"))  # type: ignore[misc]
        for name in "ab"
    )
    fired(Deferred.fromCoroutine(one.acquire("u", 1)))
    fired(Deferred.fromCoroutine(other.acquire("v", 1)))
    waiting = Deferred.fromCoroutine(other.acquire("u", 2))
    assert told == ["a u 1"]
    one.give_back("u", 3)
    assert not waiting.called
    one.give_back("u", 1)
    one.give_back("u", 1)
    fired(waiting)
    again = Deferred.fromCoroutine(one.acquire("u", 4))
    assert told == ["a u 1", "b u 2"]
    other.end()
    fired(again)


class Worker:
    """One worker's lock, over that of the catalog's process."""

    def __init__(self, shared: Exclusive) -> None:
        self.acquired = Acquired(shared, self._end)
        self.exclusive = Exclusive(self._acquire, self.acquired.give_back)

    def _end(self, upload: str, number: int) -> None:
        self.exclusive.end(upload, number)

    def _acquire(self, upload: str, number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self.acquired.acquire(upload, number))


def test_a_request_ends_the_one_before_it_in_another_worker_and_in_its_own() -> None:
    shared = Exclusive()
    here, there = Worker(shared), Worker(shared)

    def enter(worker: Worker) -> Deferred[Holder]:
        return Deferred.fromCoroutine(worker.exclusive.enter("u"))

    first = fired(enter(here))
    second = enter(there)
    third = enter(there)
    assert first.is_ended
    assert not second.called
    here.exclusive.leave("u", first)
    holder = fired(second)
    assert holder.is_ended
    assert not third.called
    there.exclusive.leave("u", holder)
    holder = fired(third)
    assert not holder.is_ended
    there.exclusive.end_all()
    assert holder.is_ended


def test_a_wish_that_comes_when_its_request_has_left_does_not_end_the_next_one() -> None:
    shared, wishes = Exclusive(), list[tuple[str, int]]()
    acquired = Acquired(shared, lambda *wanted: wishes.append(wanted))

    def acquire(upload: str, number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(acquired.acquire(upload, number))

    here, there = Exclusive(acquire, acquired.give_back), Worker(shared)
    first = fired(Deferred.fromCoroutine(here.enter("u")))
    other = Deferred.fromCoroutine(there.exclusive.enter("u"))
    [wish] = wishes  # which is still on its way
    here.leave("u", first)
    second = Deferred.fromCoroutine(here.enter("u"))
    there.exclusive.leave("u", fired(other))
    holder = fired(second)
    here.end(*wish)
    assert not holder.is_ended
    here.end("u", holder.number)
    assert holder.is_ended
