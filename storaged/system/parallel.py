"""Coroutines and Deferreds that run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults, maybeDeferred
from twisted.python.failure import Failure

_Result = TypeVar("_Result")

InThread = Callable[[Callable[[], Any]], Deferred[Any]]
"""Runs a blocking call or a computation in a thread; the Deferred fires with its result, or its exception."""


def compute_at_once(call: Callable[[], Any]) -> Deferred[Any]:
    """Run a computation that is too short for a thread; the Deferred has fired with its result, or its exception."""
    return maybeDeferred(call)


def result_of(deferred: Deferred[_Result]) -> _Result | None:
    """Return the result of a Deferred that has fired with one; None if it has not fired, or has failed."""
    if not deferred.called or deferred.paused:
        return None
    result: Any = deferred.result
    return None if isinstance(result, Failure | Deferred) else result


def is_done(deferred: Deferred[Any]) -> bool:
    """Return whether a Deferred has fired with a result.  Otherwise nobody waits for it any more."""
    if not deferred.called or deferred.paused or isinstance(deferred.result, Failure | Deferred):
        deferred.addErrback(lambda _: None)
        return False
    return True


async def gather(work: Sequence[Coroutine[Deferred[Any], Any, Any]]) -> list[Any]:
    """Run coroutines at the same time.  At the first failure the others are cancelled, and awaited.

    :return: their results, in order.
    :raise Exception: a coroutine failed; this is the first error, and no coroutine runs any more.
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


def lasting(work: Deferred[_Result]) -> Deferred[_Result]:
    """Wait for work that goes on when nobody waits any more.

    :return: a Deferred that fires as `work` does.  Cancelling it only ends the wait; a later failure is dropped then.
    """
    waiting: Deferred[Any] = Deferred()
    work.addBoth(waiting.callback)
    return waiting


def settled(work: Iterable[Deferred[Any]]) -> Deferred[None]:
    """Wait until all Deferreds have fired; they keep their results and failures.

    :return: a Deferred that fires with None.  Cancelling it ends the wait and, unlike a `DeferredList`, cancels none of
        the Deferreds.
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
