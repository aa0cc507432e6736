"""The node's side of any link: back-pressure, draining, and the cut after a malformed request."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from storaged.http import IDrainingProtocol
from storaged.parts.frames import FrameReceiver


@implementer(IDrainingProtocol)
class ServedLink(FrameReceiver):
    """Makes the front wait while too much is pending, and ends a draining link once nothing is pending.

    A subclass answers the requests.  It takes none when `_cut` is set.
    """

    NAME = "a link"
    """How log messages name it."""

    MOST_BYTES = 16 * 1024 * 1024
    """The front has to wait when the pending requests and their answers may take this many bytes."""

    MOST_REQUESTS: int | None = None
    """The front has to wait at this many pending requests; None for no limit."""

    transport: Any
    _log = Logger()

    def __init__(self) -> None:
        self._requests = 0
        self._bytes = 0
        self._paused = False
        self._draining = False
        self._cut = False

    def _count(self, requests: int, size: int) -> None:
        """Add to the pending requests and their bytes, and make the front wait while they are too many."""
        self._requests += requests
        self._bytes += size
        too_many = self.MOST_REQUESTS is not None and self._requests >= self.MOST_REQUESTS
        too_much = too_many or self._bytes >= self.MOST_BYTES
        if too_much == self._paused or not self.connected or self._draining:
            return
        self._paused = too_much
        if too_much:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def lengthLimitExceeded(self, length: int) -> None:
        """Cut the link: no message may be that long."""
        self._cut_off(f"a message of {length} bytes")

    def _cut_off(self, reason: str) -> None:
        self._log.error("{name} is cut: {reason}", name=self.NAME, reason=reason)
        self._cut = True
        self.transport.abortConnection()

    def drain(self) -> None:
        """Take no more requests; see `IDrainingProtocol`."""
        self._draining = True
        self.transport.pauseProducing()
        self._end_where_drained()

    def _end_where_drained(self) -> None:
        if self._draining and not self._requests and self.connected:
            self.transport.loseConnection()
