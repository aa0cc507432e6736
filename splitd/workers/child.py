"""One process that the head has started."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.http import reason_of

_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ")
_LONGEST = 64 * 1024


class Child(ProcessProtocol):
    """A process, whose lines go to the log of the head.

    :param name: what it is called there.
    :ivar ended: fires with how it ended: empty if it ended well.
    """

    _log = Logger()

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended: Deferred[str] = Deferred()
        self._rest = b""

    def start(
        self,
        reactor: Any,
        command: Sequence[str],
        environment: Mapping[str, str],
        inherited: Sequence[int],
    ) -> None:
        """Start it; if that is not possible now, it has ended.

        :param inherited: the descriptors that it inherits, under the same numbers.
        """
        files: dict[int, Any] = {0: "w", 1: "r", 2: "r", **{each: each for each in inherited}}
        try:
            reactor.spawnProcess(self, command[0], command, environment, childFDs=files)
        except OSError as problem:  # too many processes or descriptors, or the program is being replaced
            self.ended.callback(f"it cannot be started: {reason_of(problem)}")

    @property
    def pid(self) -> int:
        """The id of the process."""
        transport: Any = self.transport
        return int(transport.pid)

    def send(self, signal: str) -> None:
        """Send it a signal, unless it has ended."""
        if self.ended.called:
            return
        transport: Any = self.transport
        try:
            transport.signalProcess(signal)
        except ProcessExitedAlready:
            return

    def outReceived(self, data: bytes) -> None:
        """Log its lines."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._show(line)
        if len(self._rest) > _LONGEST:
            self._show(self._rest)
            self._rest = b""

    errReceived = outReceived

    def _show(self, line: bytes) -> None:
        text = _TIME.sub("", line.decode("utf-8", "replace"))
        self._log.info("{name}: {line}", name=self.name, line=text)

    def processEnded(self, reason: Failure) -> None:
        """Take note of its end."""
        if self._rest:
            self._show(self._rest)
        self.ended.callback("" if reason.check(ProcessDone) else reason.getErrorMessage())
