"""Starts the process that compacts the journal."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.catalog import compaction
from storaged.http import reason_of

_MESSAGE_LIMIT = 2000


class CompactionFailed(Exception):
    """The process did not make the snapshot; the message is the last line that it wrote."""


class Compactor:
    """Makes snapshots: a `splitd.catalog.journal.file.Compactor`.

    :param reactor: starts the processes.
    """

    def __init__(self, reactor: IReactorProcess) -> None:
        self._reactor = reactor

    def __call__(self, folder: str, upcoming: int) -> Deferred[None]:
        """Make a snapshot; see `splitd.catalog.compaction.compact`.

        :return: a Deferred that fires with None when the snapshot is durable.  Cancelling it kills the process.
        :raise CompactionFailed: the snapshot was not made.
        """
        protocol = _Compaction()
        arguments = [sys.executable, "-m", compaction.__name__, folder, str(upcoming)]
        self._reactor.spawnProcess(protocol, sys.executable, arguments, env=dict(os.environ))
        return protocol.ended


class _Compaction(ProcessProtocol):
    """The process.  It writes one line if it fails, or if something is lacking; else nothing."""

    _log = Logger()

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred(self._cancel)
        self._said = b""

    def _cancel(self, _: Any) -> None:
        if self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess("KILL")

    def errReceived(self, data: bytes) -> None:
        """Keep the end of the process's messages."""
        self._said = (self._said + data)[-_MESSAGE_LIMIT:]

    def processEnded(self, reason: Failure) -> None:
        """Report success or failure."""
        if self.ended.called:
            return  # it was cancelled
        said = self._said.decode(errors="replace").strip()
        if reason.check(ProcessDone):
            if said:
                self._log.warn("{said}", said=said)
            self.ended.callback(None)
        else:
            self.ended.errback(CompactionFailed(said.rpartition("\n")[2] or reason_of(reason.value)))
