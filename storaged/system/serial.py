"""A thread that makes many short calls a second, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

_T = TypeVar("_T")


class SerialThread:
    """Makes blocking calls in the order in which they were requested.

    A thread pool chooses a thread for each call.  With one call at a time, that costs more than a short call itself.

    :param reactor: the results are delivered in its thread.
    :param name: the name of the thread, as debuggers show it.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[tuple[Callable[[], Any], Deferred[Any] | None] | None] = SimpleQueue()
        self._thread = Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Make all calls that are pending, then end the thread; blocks until then.  Does nothing before `start`."""
        if self._thread.is_alive():
            self._calls.put(None)
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._thread.is_alive()

    def run(self, call: Callable[[], _T]) -> Deferred[_T]:
        """Make a call in the thread.

        :return: a Deferred that fires in the reactor's thread with the result of the call.  Cancelling it drops the
            result; the call is made all the same.
        """
        answer: Deferred[_T] = Deferred()
        self._calls.put((call, answer))
        return answer

    def post(self, call: Callable[[], object]) -> None:
        """Make a call in the thread, and tell nobody when it is done: that saves a turn of the reactor."""
        self._calls.put((call, None))

    def tell(self, call: Callable[[], object]) -> None:
        """Make a call in the reactor's thread; for calls that run in this thread."""
        self._reactor.callFromThread(call)

    def _live(self) -> None:
        while (asked := self._calls.get()) is not None:
            call, answer = asked
            result: Any
            try:
                result = call()
            except BaseException:
                result = Failure()
            if answer is not None:
                self._reactor.callFromThread(_report, answer, result)
            elif isinstance(result, Failure):
                self._log.failure("a call in the thread {name}", result, name=self._thread.name)


def _report(answer: Deferred[Any], result: Any) -> None:
    if not answer.called:
        answer.callback(result)  # a Failure is an errback
