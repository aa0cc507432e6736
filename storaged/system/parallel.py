"""Doing several things at the same time."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults


async def gather(work: Sequence[Coroutine[Deferred[Any], Any, Any]]) -> list[Any]:
    """Do things at the same time.  At the first failure the others are cancelled and waited for.

    :return: their results.
    :raise: what the first failure was.
    """
    doing = [Deferred.fromCoroutine(each) for each in work]
    try:
        return await gatherResults(doing, consumeErrors=True)
    except BaseException as problem:
        for each in doing:
            each.cancel()
        await DeferredList(doing, consumeErrors=True)
        if isinstance(problem, FirstError):
            problem.subFailure.raiseException()
        raise


def settled(work: Iterable[Deferred[Any]]) -> Deferred[None]:
    """A Deferred that fires with None when all have fired, well or not; their results go on to whom they are for.

    Cancelling it, other than a `DeferredList`, gives up waiting and nothing else.
    """
    over: Deferred[None] = Deferred()
    left = set(work)

    def fired(result: Any, each: Deferred[Any]) -> Any:
        left.discard(each)
        if not left:
            over.callback(None)
        return result

    if not left:
        over.callback(None)
    for each in list(left):
        each.addBoth(fired, each)
    return over
