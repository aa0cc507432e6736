"""Runs a server as a Twisted service, for both daemons."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import Interface

from storaged.system.allocator import TRIM_EVERY_S, collect_seldom, keep_large_buffers, trim_heap
from storaged.system.periodic import Periodic
from storaged.system.settings import SettingsError
from storaged.system.supervision import Supervision


class IServer(Interface):
    """Something that starts, serves and stops."""

    def start() -> Deferred[None]:
        """Start to serve.

        :return: a Deferred that fires with None when the server serves.
        :raise CancelledError: `stop` was called meanwhile.
        :raise Exception: the server cannot start; everything that had started is stopped.
        """

    def stop() -> Deferred[None]:
        """Stop, and release everything.  May be called at any moment, also during the start, which then ends.

        :return: a Deferred that fires with None when nothing is open any more: no port, no file, no lock, no delayed
            call.
        """


class Daemon(Service):
    """A server in a process of its own.  If the server cannot start, the process ends with status 1.

    :param hang_up: called on SIGHUP; if None, SIGHUP ends the process.
    :param faults: errors of a start, besides `SettingsError`, that the operator can correct: their messages say
        everything, so they are logged without a traceback.
    """

    _log = Logger()

    def __init__(
        self,
        server: IServer,
        reactor: Any,
        hang_up: Callable[[], object] | None = None,
        faults: tuple[type[Exception], ...] = (),
    ) -> None:
        self._faults = (SettingsError, *faults)
        self._server = server
        self._reactor = reactor
        self._hang_up = hang_up
        self._trimming = Periodic(trim_heap, TRIM_EVERY_S, reactor, "trimming the heap")
        self._supervision = Supervision(os.environ, reactor)

    def startService(self) -> None:
        """Start the server."""
        super().startService()
        keep_large_buffers()
        collect_seldom()
        self._trimming.start()
        hang_up = self._hang_up
        if hang_up is not None:
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(hang_up))
        self._server.start().addCallbacks(self._started, self._start_failed)

    def _started(self, _: None) -> None:
        if self.running:
            self._supervision.ready()

    def _start_failed(self, failure: Any) -> None:
        if not self.running:
            return  # the server is being stopped, and `stop` reports its errors
        if failure.check(*self._faults):  # a traceback would hide the reason
            self._log.critical("cannot start: {reason}", reason=failure.getErrorMessage())
        else:
            self._log.failure("cannot start", failure)
        # twistd itself would end with status 0, which a supervisor would take for success.
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        self._reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Stop the server.  A second signal, from here on, ends the process at once."""
        super().stopService()
        self._trimming.stop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # As after a power cut, everything that was confirmed is durable, and the next start removes the rest.
            signal.signal(number, signal.SIG_DFL)
        self._supervision.stopping()
        return self._server.stop().addErrback(self._stop_failed)

    def _stop_failed(self, failure: Any) -> None:
        self._log.failure("cannot stop as it should", failure)
        # Threads may be left that would keep the process alive.
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
