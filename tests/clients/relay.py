"""A network between a client and a server that can be cut."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock, Thread

from tests.ports import free_ports

_PIECE = 64 * 1024


class Relay:
    """Passes on whatever comes to its port, until it is cut, and again when it is mended.

    :param server: the port of the server, on this machine.
    :ivar port: its own port.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._lock = Lock()
        self._sockets: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = free_ports([0])

    def mend(self) -> None:
        """Pass on from now on."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Break all connections, and take no more."""
        listener, self._listener = self._listener, None
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in [*sockets, *([listener] if listener else [])]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._server))
                with self._lock:
                    self._sockets |= {client, server}
                for source, target in ((client, server), (server, client)):
                    Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
