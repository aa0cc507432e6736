"""Reads a part from a node: the body of one answer to a GET."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http import ResponseDone, SharedWindow, reason_of
from storaged.parts.client.patience import Patience, Wait
from storaged.parts.errors import NodeUnavailable
from storaged.parts.interfaces import IPartReader

_EARLY = 128 * 1024
"""The bytes that are kept before anybody reads: the first unit, or the beginning of it.

A download sends its first byte when all parts have answered, and reads no part before.  Until then, each further byte
of the parts that were quick only takes time from the others.
"""


@implementer(IPartReader)
class RemotePartReader(Protocol):
    """Buffers the body of one answer until it is read, and little more of it than the window's size.

    :param stored_size: the size of the whole part in bytes.
    :param length: the size of the body in bytes.
    :param window: the shared window, which was entered for this reader and is left at its end.
    """

    transport: Any

    def __init__(
        self,
        node_id: str,
        part_id: str,
        stored_size: int,
        length: int,
        *,
        patience: Patience,
        window: SharedWindow,
    ) -> None:
        self._node_id = node_id
        self._part_id = part_id
        self.stored_size = stored_size
        self._missing = length
        self._pieces: deque[bytes] = deque()
        self._kept = 0
        self._waiting: Deferred[bytes] | None = None
        self._ended: Failure | None = None
        self._paused = False
        self._wait = Wait(patience, self._expired)
        self._window = window
        self._most = min(_EARLY, window.size)

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes."""
        self._missing -= len(data)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._wait.end()
            waiting.callback(data)
            return
        self._pieces.append(data)
        self._kept += len(data)
        if self._kept >= self._most and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = ResponseDone) -> None:  # type: ignore[assignment]
        """Handle the end of the body, or of the connection."""
        if self._ended is None:
            self._ended = reason
        self._window.leave()
        self._wait.end()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._report_end(waiting)

    def _report_end(self, waiting: Deferred[bytes]) -> None:
        assert self._ended is not None
        if self._ended.check(ResponseDone):
            waiting.callback(b"")
        elif self._ended.check(CancelledError):
            waiting.errback(self._ended)
        else:
            problem = self._ended.value
            reason = problem.reason if isinstance(problem, NodeUnavailable) else reason_of(problem)
            waiting.errback(NodeUnavailable(f"part {self._part_id}: {reason}").on(self._node_id))

    def read(self) -> Deferred[bytes]:
        """Read the next bytes; see `IPartReader.read`."""
        result: Deferred[bytes] = Deferred(lambda _: self._forget())
        self._most = self._window.size
        if self._pieces:
            data = self._pieces.popleft()
            self._kept -= len(data)
            result.callback(data)
        elif self._ended is not None:
            self._report_end(result)
        else:
            self._waiting = result
            self._wait.begin()
        if self._paused and self._kept < self._most and self._ended is None:
            self._paused = False
            self.transport.resumeProducing()
        return result

    def _forget(self) -> None:
        self._wait.end()
        self._waiting = None

    def _expired(self, problem: NodeUnavailable | None) -> None:
        self._end(problem or NodeUnavailable(f"nothing came for {self._wait.seconds:g} s"))

    def descriptor(self) -> None:
        """Return None, because there is no file; see `IPartReader.descriptor`."""

    def close(self) -> None:
        """Stop reading; see `IPartReader.close`."""
        self._end(CancelledError())

    def _end(self, reason: Exception) -> None:
        self._wait.end()
        if self._ended is None:
            self._ended = Failure(reason)
            self._pieces.clear()
            self._kept = 0
            # After the last bytes, a caller may close before the end is reported; the connection is then kept.
            if self._missing > 0:
                self.transport.loseConnection()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._report_end(waiting)
