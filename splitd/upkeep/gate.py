"""Holds back a source of bytes while a writer is full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from storaged.parts.interfaces import IPartWriter


@implementer(IPushProducer)
class _Source:
    def __init__(self, set_full: Callable[[Any, bool], None]) -> None:
        self._set_full = set_full

    def pauseProducing(self) -> None:
        self._set_full(self, True)

    def resumeProducing(self) -> None:
        self._set_full(self, False)

    def stopProducing(self) -> None:
        self.resumeProducing()


class Gate:
    """Closed while any of some writers is full; broken once one of them has failed."""

    def __init__(self) -> None:
        self._full: set[Any] = set()
        self._waiting: Deferred[None] | None = None
        self._problem: Exception | None = None

    def watch(self, writer: IPartWriter) -> None:
        """Register a source with a writer, and close the gate while the writer pauses it."""
        writer.registerProducer(_Source(self.set_full), True)
        writer.when_broken().addCallback(self.fail)

    def set_full(self, key: Any, full: bool) -> None:
        """Close or open the gate on behalf of one of those that it waits for."""
        if full:
            self._full.add(key)
        else:
            self._full.discard(key)
        self._look()

    def fail(self, problem: Exception) -> None:
        """Break the gate."""
        self._problem = self._problem or problem
        self._look()

    def _look(self) -> None:
        waiting = self._waiting
        if waiting is not None and (self._problem is not None or not self._full):
            self._waiting = None
            waiting.callback(None)

    async def passed(self) -> None:
        """Wait until the gate is open.

        :raise Exception: it is broken; this is the first failure.
        """
        while self._problem is None and self._full:
            self._waiting = Deferred()
            try:
                await self._waiting
            finally:
                self._waiting = None
        if self._problem is not None:
            raise self._problem
