"""The end of a connection whose client may still be sending."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from storaged.http.uptake import Uptake

LINGER_S = 10.0
"""Seconds for which a client may continue to send after its last answer, and keep the connection, so that it can read
the answer.  A connection that is closed with unread bytes is reset, and the answer may be lost.
"""

UNUSED_LINGER_S = 1.0
"""The same for a connection that has never had a request: there is no answer to read."""


class Linger:
    """Cuts a connection some seconds after its last answer, or when its client takes no more of it."""

    __slots__ = ("_aborting", "_reactor")

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._aborting: IDelayedCall | None = None

    def begin(self, transport: Any, uptake: Uptake, seconds: float = LINGER_S) -> None:
        """Cut a connection in so many seconds, unless that has begun already.

        :param uptake: tells whether its client still takes what was written.
        """
        if self._aborting is None:
            self._aborting = self._reactor.callLater(seconds, self._abort, transport, uptake)

    def cancel(self) -> None:
        """Do not cut the connection."""
        aborting, self._aborting = self._aborting, None
        if aborting is not None:
            aborting.cancel()

    def _abort(self, transport: Any, uptake: Uptake) -> None:
        self._aborting = None
        if uptake.goes_on():
            self.begin(transport, uptake)
        else:
            transport.abortConnection()
