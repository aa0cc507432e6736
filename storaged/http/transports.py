"""Transports with TLS, and what differs between them and plain ones."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer


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
