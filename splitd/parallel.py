"""Doing several things at the same time."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
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
