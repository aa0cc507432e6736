"""Runs a server as a Twisted service, for both daemons."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import Interface

from storaged.system.allocator import TRIM_EVERY_S, collect_seldom, keep_large_buffers, trim_heap
from storaged.system.periodic import Periodic
from storaged.system.settings import SettingsError
from storaged.system.succession import Succession, TrialFailed
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


class IHandover(Protocol):
    """Passes listening sockets on to the successor of this program."""

    def drop_rest(self) -> None:
        """Close the sockets of the program before this one at which nothing listens."""

    def leave(self) -> None:
        """Keep the listening sockets open though the server is about to be stopped."""

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the successor, which inherits the sockets."""


class Daemon(Service):
    """A server in a process of its own.  If the server cannot start, the process ends with status 1.

    :param hang_up: called on SIGHUP; if None, SIGHUP ends the process.
    :param faults: errors of a start, besides `SettingsError`, that the operator can correct: their messages say
        everything, so they are logged without a traceback.
    :param handover: passes the listening sockets on at SIGUSR2, when the installed program takes this one's place; if
        None, SIGUSR2 does nothing of ours.
    """

    _log = Logger()

    def __init__(
        self,
        server: IServer,
        reactor: Any,
        hang_up: Callable[[], object] | None = None,
        faults: tuple[type[Exception], ...] = (),
        handover: IHandover | None = None,
    ) -> None:
        self._handover = handover
        self._succession = Succession(os.environ, reactor)
        self._trying: Deferred[None] | None = None
        self._replaced = False
        self._faults = (SettingsError, *faults)
        self._server = server
        self._reactor = reactor
        self._hang_up = hang_up
        self._trimming = Periodic(trim_heap, TRIM_EVERY_S, reactor, "trimming the heap")
        self._supervision = Supervision(os.environ, reactor)

    def startService(self) -> None:
        """Start the server."""
        super().startService()
        if self._succession.is_trial:  # the settings were read, which is all
            self._reactor.callWhenRunning(self._reactor.stop)
            return
        keep_large_buffers()
        collect_seldom()
        self._trimming.start()
        hang_up = self._hang_up
        if hang_up is not None:
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(hang_up))
        if self._handover is not None:
            signal.signal(signal.SIGUSR2, lambda *_: self._reactor.callFromThread(self._try_successor))
        self._server.start().addCallbacks(self._started, self._start_failed)

    def _started(self, _: None) -> None:
        if self._handover is not None:
            self._handover.drop_rest()
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

    def _try_successor(self) -> None:
        if self._trying is None and self.running:
            self._log.info("an upgrade is asked for: the installed program is tried out")
            self._trying = Deferred.fromCoroutine(self._succession.try_out())
            self._trying.addCallbacks(self._replace, self._not_replaced)

    def _not_replaced(self, failure: Any) -> None:
        self._trying = None
        if not self.running:
            return
        if failure.check(TrialFailed):
            self._log.error("no upgrade: the installed program does not start: {reason}", reason=failure.value)
        else:
            self._log.failure("trying out the installed program", failure)

    def _replace(self, _: None) -> None:
        assert self._handover is not None
        if not self.running:
            return  # a stop came first
        self._replaced = True
        self._handover.leave()
        self._supervision.upgrading()
        self._reactor.addSystemEventTrigger("after", "shutdown", self._succession.begin, self._handover.environment)
        self._reactor.stop()

    def stopService(self) -> Deferred[None] | None:
        """Stop the server.  A second signal, from here on, ends the process at once."""
        super().stopService()
        if self._succession.is_trial:
            return None
        self._trimming.stop()
        if self._trying is not None and not self._replaced:
            self._trying.cancel()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            if self._replaced and number in {signal.SIGHUP, signal.SIGUSR2}:
                signal.signal(number, signal.SIG_IGN)  # they are meant for the successor, which reads everything anew
                continue
            # As after a power cut, everything that was confirmed is durable, and the next start removes the rest.
            signal.signal(number, signal.SIG_DFL)
        self._supervision.stopping(quiet=self._replaced)
        return self._server.stop().addErrback(self._stop_failed)

    def _stop_failed(self, failure: Any) -> None:
        self._log.failure("cannot stop as it should", failure)
        # Threads may be left that would keep the process alive.
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
