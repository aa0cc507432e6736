from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from storaged.system.parallel import gather, lasting


async def value(deferred: Deferred[int]) -> int:
    return await deferred


@pytest_twisted.ensureDeferred
async def test_results_come_in_the_order_of_the_work() -> None:
    first: Deferred[int] = Deferred()
    second: Deferred[int] = Deferred()
    gathered = Deferred.fromCoroutine(gather([value(first), value(second)]))
    second.callback(2)
    first.callback(1)
    assert await gathered == [1, 2]


@pytest_twisted.ensureDeferred
async def test_the_first_failure_cancels_the_others_and_waits_for_them() -> None:
    ended: list[str] = []
    clean_up: Deferred[None] = Deferred()

    async def slow() -> int:
        try:
            return await Deferred[int]()
        except CancelledError:
            await clean_up
            ended.append("slow")
            raise

    failing: Deferred[int] = Deferred()
    gathered = Deferred.fromCoroutine(gather([slow(), value(failing)]))
    failing.errback(KeyError("first"))
    assert not gathered.called
    clean_up.callback(None)
    with pytest.raises(KeyError, match="first"):
        await gathered
    assert ended == ["slow"]


@pytest_twisted.ensureDeferred
async def test_cancelling_cancels_all() -> None:
    work: list[Deferred[int]] = [Deferred(), Deferred()]
    gathered = Deferred.fromCoroutine(gather([value(each) for each in work]))
    gathered.cancel()
    with pytest.raises(CancelledError):
        await gathered
    assert all(each.called for each in work)


@pytest_twisted.ensureDeferred
async def test_work_goes_on_when_nobody_waits_for_it_any_more() -> None:
    work: Deferred[int] = Deferred()
    waiting = lasting(work)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    assert not work.called
    work.callback(1)
    assert await lasting(succeed(2)) == 2
    with pytest.raises(KeyError):
        await lasting(fail(KeyError("k")))
