"""Endpoints that connect to nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from storaged.http.gets import Gets, Reusing
from storaged.http.greeting import GREETING_S, Greeting, GreetingEndpoint
from storaged.http.reading import read_to_measure
from storaged.http.site import BUFFER_SIZE
from storaged.http.transports import TLSClientEndpoint, bound_buffers, set_buffer_size
from storaged.http.trust import NodeTrust
from storaged.system.descriptors import Shortage, shortage_of

_NEXT_ADDRESS_S = 0.05
"""After how many seconds the next address of a name is tried, too.  A refusal by all of them is told no earlier."""


class _NameEndpoint(HostnameEndpoint):
    """Connects to a host by its name.  Names of containers may have underscores, which IDNA does not allow."""

    @staticmethod
    def _hostAsBytesAndText(host: bytes | str) -> tuple[bool, bytes, str]:
        name = host if isinstance(host, str) else host.decode("ascii")
        return False, name.encode("ascii"), name


class NodeEndpoints:
    """Connects to nodes, and sets the sizes of the connections' buffers."""

    def __init__(self, reactor: Any, connect_timeout_s: float, trust: NodeTrust) -> None:
        self._reactor = reactor
        self._trust = trust
        self._timeout_s = connect_timeout_s
        self._buffer_size = BUFFER_SIZE
        # The reactor holds a transport for as long as it is connected.
        self._transports: WeakSet[Any] = WeakSet()

    def greeted(self, uri: URI, greet: Greeting | None) -> _SizedEndpoint:
        """Return an endpoint for a node.

        :param greet: what its connections begin with; None for no greeting.
        """
        host = uri.host.decode("ascii")
        endpoint: IStreamClientEndpoint
        if isIPv6Address(host):
            # A HostnameEndpoint drops the scope of an address.
            endpoint = TCP6ClientEndpoint(self._reactor, host, uri.port, timeout=self._timeout_s)
        elif isIPAddress(host):
            # A HostnameEndpoint looks up addresses too, in a thread, and tells a refusal late: by then it may be wrong.
            endpoint = TCP4ClientEndpoint(self._reactor, host, uri.port, timeout=self._timeout_s)
        else:
            endpoint = _NameEndpoint(
                self._reactor, host, uri.port, timeout=self._timeout_s, attemptDelay=_NEXT_ADDRESS_S
            )
        if uri.scheme == b"https":
            endpoint = TLSClientEndpoint(self._trust.options(host), endpoint, self._reactor)
        if greet is not None:
            # The host does not count: a node answers to every name.
            timeout_s = max(GREETING_S, self._timeout_s)
            endpoint = GreetingEndpoint(endpoint, "node", greet, self._reactor, timeout_s)
        return _SizedEndpoint(endpoint, self._size)

    def _size(self, protocol: IProtocol) -> IProtocol:
        transport: Any = protocol.transport  # type: ignore[attr-defined]
        set_buffer_size(transport, self._buffer_size)
        read_to_measure(transport)
        bound_buffers(transport)
        self._transports.add(transport)
        return protocol

    def limit_buffers(self, size: int) -> None:
        """Make every connection read at most `size` bytes at once, and buffer as many before it pauses its producer."""
        self._buffer_size = size
        for transport in self._transports:
            set_buffer_size(transport, size)


@implementer(IAgentEndpointFactory)
class GreetedEndpoints:
    """The endpoints of one client's agent, which use the idle connections of its GET requests first."""

    def __init__(self, endpoints: NodeEndpoints, greet: Greeting | None, gets: Gets) -> None:
        self._endpoints = endpoints
        self._greet = greet
        self._gets = gets

    def endpointForURI(self, uri: URI) -> Reusing:
        """Return an endpoint for a node; see `IAgentEndpointFactory`."""
        return Reusing(self._gets, self._endpoints.greeted(uri, self._greet))


@implementer(IStreamClientEndpoint)
class _SizedEndpoint:
    """Connects; fails with `Shortage` if this process lacks file descriptors or memory for it."""

    def __init__(self, endpoint: IStreamClientEndpoint, size: Callable[[IProtocol], IProtocol]) -> None:
        self._endpoint = endpoint
        self._size = size

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        factory.noisy = False  # log lines for each connection are of no use
        return self._endpoint.connect(factory).addCallbacks(self._size, _explain)


def _explain(failure: Failure) -> Failure:
    lack = shortage_of(failure.value)
    if lack:
        raise Shortage(lack) from failure.value
    return failure
