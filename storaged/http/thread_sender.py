"""Answers that a thread sends by itself, because to wake the reactor for them would take longer than the answer."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from storaged.http.eager import send_at_once, takes_at_once
from storaged.system.buffers import Piece


class ThreadSender:
    """Sends small pieces on a connection of the reactor, from another thread.

    It has its own descriptor of the connection's socket: the reactor may close its descriptor at any moment, and the
    number be that of another connection.

    :param transport: the connection's.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._lock = Lock()
        self._socket: Any = None
        self._closed = False

    def is_ready(self) -> bool:
        """Return whether a thread may call `send`: not over TLS, and not while other bytes wait to be sent.

        To be called in the reactor's thread, which then writes nothing to the connection until `send` has returned.
        """
        if self._closed or not takes_at_once(self._transport):
            return False
        if self._socket is None:
            try:
                self._socket = self._transport.socket.dup()
            except OSError:  # there are no more descriptors
                return False
        return True

    def send(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Send pieces, without waiting; return those that the kernel did not take.

        May be called in any thread.  After `close` it sends nothing, and returns nothing.
        """
        with self._lock:
            return () if self._closed else send_at_once(self._socket, pieces)

    def close(self) -> None:
        """Send nothing any more: the connection has ended.  May be called again."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                self._socket.close()
