from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from storaged.system.parallel import gather


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
