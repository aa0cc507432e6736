"""Starts a server in stages, and undoes the started ones in reverse order."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.system.once import Once


class Stages:
    """The stages of one start, and of the stop that follows it.

    A stop at any moment, or an error in any stage, ends the start: no further stage begins, and all stages that began
    are undone, the last one first.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._undoing: list[Callable[[], Any]] = []
        self._interrupt: Callable[[], Any] | None = None
        self._starting = False
        self._stopping = False
        self._stopped: Once[None] = Once()
        self._problem: Failure | None = None

    def start(self, stages: Callable[[], Coroutine[Any, Any, None]]) -> Deferred[None]:
        """Start.  To be called once.

        :param stages: calls `enter` for each stage.
        :return: a Deferred that fires with None when all stages are entered.  Cancelling it is a stop.
        :raise CancelledError: a stop came first; everything is undone.
        :raise Exception: a stage raised this; everything is undone.
        """

        def cancel(_: Deferred[None]) -> None:
            self.stop()

        started: Deferred[None] = Deferred(cancel)

        def ended(result: Failure | None) -> None:
            if not started.called:  # it was cancelled
                started.callback(result)  # a Failure is an errback
            if isinstance(result, Failure):
                self._stopped.fire(self._problem)

        Deferred.fromCoroutine(self._start(stages)).addBoth(ended)
        return started

    async def _start(self, stages: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._starting = True
        try:
            self._refuse_while_stopping()
            await stages()
            self._refuse_while_stopping()
        except Exception as problem:
            await self._unwind()
            if self._stopping and not isinstance(problem, CancelledError):
                raise CancelledError("stopped during the start") from problem
            raise
        finally:
            self._starting = False

    async def enter(
        self,
        begin: Callable[[], Any],
        undo: Callable[[], Any] | None = None,
        *,
        interrupt: Callable[[], Any] | None = None,
    ) -> None:
        """Run one stage, and wait for its end.

        :param begin: does the work of the stage; may return a Deferred or a coroutine.
        :param undo: undoes the stage, also if `begin` fails in the middle; may return a Deferred or a coroutine.
        :param interrupt: called by a stop while `begin` runs, to make it end early.  Without it, a stop waits for the
            end of `begin`, because work in a thread cannot be cancelled.
        :raise CancelledError: a stop came before the stage or during it.
        """
        self._refuse_while_stopping()
        if undo is not None:
            self._undoing.append(undo)
        self._interrupt = interrupt
        try:
            await maybeDeferred(begin)
        finally:
            self._interrupt = None
        self._refuse_while_stopping()

    def _refuse_while_stopping(self) -> None:
        if self._stopping:
            raise CancelledError("stopped during the start")

    def stop(self) -> Deferred[None]:
        """Stop, or end a start in progress.  May be called at any moment, and again.

        :return: a Deferred that fires with None when everything is undone.  Cancelling it only ends the wait.
        :raise Exception: undoing a stage failed; this is the first such error, and the other stages are undone.
        """
        again, self._stopping = self._stopping, True
        if self._starting:
            if self._interrupt is not None and not again:
                maybeDeferred(self._interrupt).addErrback(
                    lambda failure: self._log.failure("interrupting the start", failure)
                )
        elif not again:
            Deferred.fromCoroutine(self._unwind()).addCallback(lambda _: self._stopped.fire(self._problem))
        return self._stopped.wait()

    async def _unwind(self) -> None:
        while self._undoing:
            try:
                await maybeDeferred(self._undoing.pop())
            except Exception:
                failure = Failure()
                if self._problem is None:
                    self._problem = failure
                else:
                    self._log.failure("stopping", failure)
