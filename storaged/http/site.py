"""A server of HTTP: the settings of its connections, and all that they share."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from storaged.http.addresses import AddressLimit, Unserved, Verdict
from storaged.http.admission import Admission
from storaged.http.background import Background
from storaged.http.connection import HttpConnection
from storaged.http.idle import IdleConnections
from storaged.http.names import OwnNames
from storaged.http.observing import Observer
from storaged.http.seams import Renders
from storaged.http.transports import set_buffer_size
from storaged.http.window import SharedWindow
from storaged.system.once import Once

BUFFER_SIZE = 1024 * 1024
"""The most bytes of one read, and the bytes kept for a slow peer before its producer is paused.

Each read costs a turn of the reactor and a row of calls, so that smaller ones are dearer for each byte.
"""

_ALL_CONNECTIONS = 32 * 1024 * 1024
"""Bytes that all connections of a site together may hold like this; if they are many, each gets less."""

HEAD_TIMEOUT_S = 30.0
"""Seconds that the head of a request may take, unless a site has a different limit."""

HEAD_LIMIT = 16 * 1024
"""Bytes that the head of a request may have, unless a site has a different limit."""

IDLE_LIMIT = 1024
"""Connections that one address may keep without a request in progress, unless a site has a different limit."""


class StreamingSite(Factory):
    """A site whose resource gets requests before their bodies.

    :param resource: gets every request.
    :param idle_timeout_s: seconds for which a connection may stay without a request.
    :param body_timeout_s: seconds for which a client may send nothing while its body is wanted.
    :param head_limit: bytes that the head of a request may have.
    :param head_timeout_s: seconds that the head of a request may take, from its first byte to its last.
    :param idle_limit: how many connections one address may keep without a request in progress; 0 for no limit.
    :param names: the server's own names.
    :param take_timeout_s: seconds for which a client may take nothing of an answer; None for no limit.
    :param connection_limit: how many connections there may be at once; None for no limit.
    :param address_limit: how many of them an address may have, unless it is that of a trusted proxy; None for no limit.
    :param observer: gets each request at its end; None for nobody.
    :param hsts_s: seconds for which browsers that came by TLS use nothing else (RFC 6797); 0 to say nothing.
    :param background: sends large answers in a thread; None to send them in the reactor's.
    :ivar admission: decides which connections are accepted; see `storaged.http.listening.listen`.
    :ivar addresses: decides how many connections an address has.
    :ivar draining: whether no more requests are taken.
    """

    noisy = False

    def __init__(
        self,
        resource: Renders,
        reactor: Any,
        *,
        idle_timeout_s: float,
        body_timeout_s: float,
        head_limit: int = HEAD_LIMIT,
        head_timeout_s: float = HEAD_TIMEOUT_S,
        idle_limit: int = IDLE_LIMIT,
        names: OwnNames = OwnNames(),  # noqa: B008 - it is frozen
        take_timeout_s: float | None = None,
        connection_limit: int | None = None,
        address_limit: int | None = None,
        observer: Observer | None = None,
        hsts_s: int = 0,
        background: Background | None = None,
    ) -> None:
        self.resource = resource
        self.observer = observer
        self.reactor = reactor
        self.background = background
        self.idle_timeout_s = idle_timeout_s
        self.body_timeout_s = body_timeout_s
        self.names = names
        self.head_limit = head_limit
        self.head_timeout_s = head_timeout_s
        self.idle_connections = IdleConnections(idle_limit, reactor)
        self.take_timeout_s = take_timeout_s
        self._hsts = b"Strict-Transport-Security: max-age=%d\r\n" % hsts_s if hsts_s else b""
        self._connections: set[HttpConnection] = set()
        self.admission = Admission(connection_limit, lambda: len(self._connections), self.idle_connections, reactor)
        self.addresses = AddressLimit(address_limit, names, self.idle_connections, reactor)
        self._drained: Once[None] = Once()
        self.draining = False
        self._headers_of = 0
        self._headers = b""
        self.window = SharedWindow(_ALL_CONNECTIONS, BUFFER_SIZE, self._limit_buffers)
        """How much each connection may read at once, and hold for a slow client."""

    def buildProtocol(self, addr: Any) -> HttpConnection | Unserved:
        """Make the protocol of a new connection."""
        verdict = self.addresses.enter(addr)
        if verdict is Verdict.CLOSE:
            return Unserved()
        connection = HttpConnection(self, addr, is_surplus=verdict is Verdict.REFUSE)
        self._connections.add(connection)
        self.window.enter()
        return connection

    def common_headers(self, *, secure: bool) -> bytes:
        """Return the lines that each answer has: which software this is, and the date (RFC 9110 section 6.6.1).

        :param secure: whether the connection is encrypted.
        """
        now = int(time.time())
        if now != self._headers_of:
            self._headers_of = now
            self._headers = b"Server: splitd\r\nDate: %b\r\n" % formatdate(now, usegmt=True).encode("ascii")
        return self._headers + self._hsts if secure else self._headers

    def forget(self, connection: HttpConnection) -> None:
        """Forget a connection that has ended."""
        if connection in self._connections:
            self._connections.discard(connection)
            self.window.leave()
            self.addresses.leave(connection.peer)
            self.admission.left()
        self._report_drained()

    def _limit_buffers(self, size: int) -> None:
        for connection in self._connections:
            if connection.transport is not None:
                set_buffer_size(connection.transport, size)

    def drain(self, linger_s: float = 0) -> Deferred[None]:
        """Take no more requests on the open connections: idle ones end now, the others with their answer.

        :param linger_s: for how long idle ones are kept.  A request that comes in that time is the last one: a client
            that is busy learns from its answer that the connection ends, and loses no request.
        :return: a Deferred that fires with None when no connection is left.
        """
        self.draining = True
        self.admission.stop()
        for connection in self.connections():
            connection.drain(linger_s)
        drained = self._drained.wait()
        self._report_drained()
        return drained

    def _report_drained(self) -> None:
        if self.draining and not self._connections:
            self._drained.fire(None)

    def connections(self) -> list[HttpConnection]:
        """Return the open connections."""
        return list(self._connections)

    def end_connections(self, ends: Callable[[object], bool]) -> None:
        """Take no more requests on some connections; those in progress are answered.

        :param ends: returns whether a connection ends, given what the resource knows of its client.
        """
        for connection in self.connections():
            if ends(connection.known):
                connection.end_soon()

    def abort_connections(self) -> None:
        """Cut all open connections."""
        for connection in self.connections():
            connection.abort()
