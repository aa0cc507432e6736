"""The promises of batches to their callers, also when they are closed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import get_ident
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure

from storaged.packs.batches import Batches
from storaged.system.serial import SerialThread


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Make threads switch so often that operations that are not atomic are interrupted."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def started(work: Any) -> Batches:
    from twisted.internet import reactor

    batches = Batches(SerialThread(reactor, "batches"), work)  # type: ignore[arg-type]
    batches.start()
    return batches


@pytest.mark.usefixtures("frequent_switches")
@pytest_twisted.ensureDeferred
async def test_each_item_is_worked_on_or_refused_when_it_ends_at_any_moment() -> None:
    problem = RuntimeError("it stops")
    refused = 0
    for _ in range(100):
        worked: list[int] = []

        def work(items: list[int], worked: list[int] = worked) -> Sequence[int]:
            worked += items
            return items

        batches = started(work)
        first = batches.ask([-1] * 256)
        asked: list[Deferred[list[int]]] = [batches.ask([number]) for number in range(1000)]
        await first
        await batches.stop(problem)
        outcomes: Any = await DeferredList(asked, consumeErrors=True)
        for number, (done, result) in enumerate(outcomes):
            assert (result == [number]) if done else (isinstance(result, Failure) and result.value is problem)
            assert done == (number in worked)
        refused += sum(not done for done, _ in outcomes)
    assert refused, "nothing was still to be done at any end"


@pytest_twisted.ensureDeferred
async def test_a_fault_of_the_work_is_an_outcome_of_each_item_and_the_next_batch_is_done() -> None:
    def work(items: list[int]) -> Sequence[int]:
        return [10 // item for item in items]

    batches = started(work)
    assert [type(outcome).__name__ for outcome in await batches.ask([1, 0])] == ["NodeUnavailable"] * 2
    assert await batches.ask([1, 2]) == [10, 5]
    await batches.stop(RuntimeError("it stops"))


@pytest_twisted.ensureDeferred
async def test_results_are_told_in_the_thread_or_in_the_reactor_as_they_were_asked_for() -> None:
    batches = started(lambda items: items)
    told: SimpleQueue[tuple[list[int], int]] = SimpleQueue()

    def fail(_: list[int]) -> None:
        raise RuntimeError("a fault of the one who asked")

    batches.ask_then([1], fail)
    batches.ask_then([2, 3], lambda results: told.put((results, get_ident())))
    assert await batches.ask([4]) == [4]
    results, thread = told.get_nowait()
    assert (results, thread == get_ident()) == ([2, 3], False)
    await batches.stop(RuntimeError("it stops"))


@pytest_twisted.ensureDeferred
async def test_who_cancels_gets_no_results_and_keeps_nobody_from_theirs() -> None:
    batches = started(lambda items: items)
    first, second = batches.ask([1]), batches.ask([2])
    first.cancel()
    with pytest.raises(CancelledError):
        await first
    assert await second == [2]
    await batches.stop(RuntimeError("it stops"))
    await batches.stop(RuntimeError("it stops"))
