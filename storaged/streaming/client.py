"""Connections to nodes."""

from __future__ import annotations

from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IConsumer, IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from storaged.streaming.request import BUFFER_SIZE


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Connects to nodes, and gives each connection large buffers."""

    def __init__(self, reactor: Any, connect_timeout_s: float) -> None:
        self._reactor = reactor
        self._timeout_s = connect_timeout_s

    def endpointForURI(self, uri: URI) -> _LargeBufferEndpoint:
        host = uri.host.decode("ascii")
        endpoint: IStreamClientEndpoint = HostnameEndpoint(self._reactor, host, uri.port, timeout=self._timeout_s)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
        return _LargeBufferEndpoint(endpoint)


class _LargeBufferEndpoint:
    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, factory: Factory) -> Deferred[IProtocol]:
        factory.noisy = False  # a line for each connection made and lost says nothing
        return self._endpoint.connect(factory).addCallback(self._enlarge)

    @staticmethod
    def _enlarge(protocol: IProtocol) -> IProtocol:
        protocol.transport.bufferSize = BUFFER_SIZE  # type: ignore[attr-defined]
        return protocol


def make_client(
    reactor: Any, *, connect_timeout_s: float, idle_timeout_s: int
) -> tuple[HTTPClient, HTTPConnectionPool]:
    """A treq client for the part protocol, and its pool of connections (to be closed by the caller).

    :param idle_timeout_s: how long an idle connection is kept; less than the server keeps it, or a request could be
        sent into a connection that is just being closed.
    """
    pool = HTTPConnectionPool(reactor, persistent=True)
    pool.maxPersistentPerHost = 64
    pool.cachedConnectionTimeout = idle_timeout_s
    agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, connect_timeout_s), pool)
    return HTTPClient(agent, data_to_body_producer=IBodyProducer), pool


def abort_body(consumer: IConsumer) -> None:
    """Cut the connection on which a request's body is being sent.

    :param consumer: what the Agent gave to the body's `startProducing`.
    """
    # LengthEnforcingConsumer keeps the transport as _consumer, ChunkedEncoder as transport (web._newclient).
    transport = consumer._consumer if hasattr(consumer, "_consumer") else consumer.transport  # type: ignore[attr-defined]
    transport.abortConnection()
