"""A thread of its own for calls that come one after the other, many a second."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

_T = TypeVar("_T")


class SerialThread:
    """Makes calls in the order in which they are asked for.

    A thread pool decides anew for each call who makes it; where there is only ever one call at a time, that costs more
    than a short call itself.

    :param reactor: the reactor whose thread gets the results.
    :param name: of the thread, for those who look at the process.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[tuple[Callable[[], Any], Deferred[Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End when what was asked for is done, and wait for that.  Does nothing where it was never begun."""
        if self._thread.is_alive():
            self._calls.put(None)
            self._thread.join()

    def run(self, call: Callable[[], _T]) -> Deferred[_T]:
        """Make a call; a Deferred of its result, fired in the reactor's thread.  Cancelling it gives up the result."""
        answer: Deferred[_T] = Deferred()
        self._calls.put((call, answer))
        return answer

    def _live(self) -> None:
        while (asked := self._calls.get()) is not None:
            call, answer = asked
            result: Any
            try:
                result = call()
            except BaseException:
                result = Failure()
            self._reactor.callFromThread(_tell, answer, result)


def _tell(answer: Deferred[Any], result: Any) -> None:
    if not answer.called:
        answer.callback(result)  # a Failure is an errback
