"""Transports with TLS, and what differs between them and plain ones."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

RECEIVE_BUFFER = 512 * 1024
SEND_BUFFER = 1024 * 1024
"""`SO_RCVBUF` and `SO_SNDBUF` (socket(7)) of the connections between front and nodes, in bytes.

The kernel keeps up to twice as much for a side that does not read, and for one that has sent.  Without these bounds it
would be the maxima of `tcp_rmem` and `tcp_wmem` (tcp(7), often 6 and 4 MiB), six times for each client that stopped.
"""


class TLSTransport(BufferingTLSTransport):
    """A transport with TLS that can be aborted at any moment."""

    def abortConnection(self) -> None:
        """Cut the connection; do nothing if it has ended."""
        # The base class fails then: it has no TLS connection (_tlsConnection) any more.
        if self._tlsConnection is not None:
            super().abortConnection()


class TLSFactory(TLSMemoryBIOFactory):
    """Puts TLS around the protocols of another factory."""

    protocol = TLSTransport


@implementer(IStreamClientEndpoint)
class TLSClientEndpoint:
    """Connects with TLS.

    :param creator: how to connect.
    :param endpoint: where to connect.
    :param clock: schedules the writes.
    """

    def __init__(self, creator: Any, endpoint: IStreamClientEndpoint, clock: Any) -> None:
        self._creator = creator
        self._endpoint = endpoint
        self._clock = clock

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; see `IStreamClientEndpoint`.  The handshake may still be in progress then."""
        connecting: Deferred[Any] = self._endpoint.connect(TLSFactory(self._creator, True, factory, self._clock))
        return connecting.addCallback(lambda transport: transport.wrappedProtocol)


def is_tls(transport: Any) -> bool:
    """Return whether a transport encrypts what it sends."""
    return isinstance(transport, TLSMemoryBIOProtocol) or bool(getattr(transport, "TLS", False))


def set_buffer_size(transport: Any, size: int) -> None:
    """Set the size of a read, which is also the high-water mark of writes (abstract.FileDescriptor)."""
    # An attribute that is set on the transport of TLS does not reach the one below it.
    below: Any = transport.transport if isinstance(transport, TLSMemoryBIOProtocol) else transport
    below.bufferSize = size


def bound_buffers(transport: Any) -> None:
    """Bound what the kernel keeps of a connection between front and node, or of each that a port will accept.

    :param transport: of a stream socket, with or without TLS, or a port of one.
    """
    below: Any = transport.transport if isinstance(transport, TLSMemoryBIOProtocol) else transport
    below.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    below.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
