"""Keeps a worker connected to the catalog's process, and notices when that does not answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.workers import methods
from splitd.workers.calls import Calls, CallsProtocol
from splitd.workers.view import View
from storaged.system.parallel import settled
from storaged.system.periodic import Periodic

_AGAIN_S = 0.1
_PING_S = 1.0
_SILENT_S = 5.0
"""A catalog's process that has not answered for so long is away: far longer than any step that it makes."""
_SILENT = int(_SILENT_S / _PING_S)
"""The same, counted in rounds.  A worker that stood still itself is late by a round, whatever the clock says; it reads
what has arrived meanwhile before the next one.
"""


class _Quietly(Factory):
    noisy = False

    def __init__(self, make: Callable[[], CallsProtocol]) -> None:
        self._make = make

    def buildProtocol(self, _: object) -> CallsProtocol:
        return self._make()


class Link:
    """The connection of a worker, which is made again whenever it ends.

    :param address: of the socket at which the catalog's process lets workers in.
    :param number: of the worker.
    :param greeted: called with what is shown of the nodes, whenever a connection can be used.
    :param refused: called when the catalog's process refuses this one, which must be started again.
    """

    _log = Logger()

    def __init__(
        self,
        calls: Calls,
        address: str,
        number: int,
        greeted: Callable[[View], object],
        refused: Callable[[], object],
        reactor: Any,
    ) -> None:
        self._calls = calls
        self._endpoint = UNIXClientEndpoint(reactor, "\0" + address)
        self._number = number
        self._greeted = greeted
        self._refused = refused
        self._reactor = reactor
        self._connecting: Deferred[Any] | None = None
        self._again: IDelayedCall | None = None
        self._unanswered = 0
        self._first: Deferred[None] | None = None
        self._stopped = False
        self._pings = Periodic(self._ping, _PING_S, reactor, "asking whether the catalog's process answers")

    def start(self) -> Deferred[None]:
        """Connect.

        :return: a Deferred that fires with None when the catalog's process has answered for the first time.
        """
        first = self._first = Deferred(lambda _: None)
        self._connect()
        self._pings.start()
        return first

    async def stop(self) -> None:
        """End the connection."""
        self._stopped = True
        first, self._first = self._first, None
        if first is not None:
            first.cancel()  # the start waits for it
        await self._pings.stop()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            ended = settled([connecting])
            connecting.cancel()
            await ended
        self._calls.stop()

    def _connect(self) -> None:
        self._again = None
        connecting = self._endpoint.connect(_Quietly(lambda: CallsProtocol(self._calls, self._lost)))
        self._connecting = connecting
        connecting.addCallbacks(self._connected, self._not_connected)

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = None
        if not failure.check(CancelledError):
            self._lost()

    def _lost(self) -> None:
        self._calls.greeted = False
        self._unanswered = 0
        if not self._stopped and self._again is None:
            self._again = self._reactor.callLater(_AGAIN_S, self._connect)

    def _connected(self, _: object) -> None:
        self._connecting = None
        hello = self._calls.call(methods.HELLO, methods.fingerprint(), self._number, os.getpid())
        hello.addCallbacks(self._welcome, self._not_welcome)

    def _welcome(self, view: View) -> None:
        self._calls.greeted = True
        self._greeted(view)
        first, self._first = self._first, None
        if first is not None and not first.called:
            first.callback(None)

    def _not_welcome(self, failure: Failure) -> None:
        if failure.check(ValueError):
            self._log.error("the catalog's process refuses this worker: {reason}", reason=failure.value)
            self._refused()

    def _ping(self) -> None:
        if not self._calls.greeted:
            return
        if not self._unanswered:
            self._calls.call(methods.PING).addCallbacks(self._answered, lambda _: None)
        self._unanswered += 1
        if self._unanswered > _SILENT:
            self._log.error("the process that keeps the catalog has not answered for {seconds:g} s", seconds=_SILENT_S)
            self._calls.abort()

    def _answered(self, _: None) -> None:
        self._unanswered = 0
