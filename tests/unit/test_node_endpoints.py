"""Connections to nodes: a refusal is told at once, because requests that come meanwhile wait for the same answer."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web.client import URI

from storaged.http.node_endpoints import NodeEndpoints
from storaged.http.trust import NodeTrust


@pytest.mark.parametrize("url", [b"http://127.0.0.1:8001", b"http://[::1]:8001"])
def test_a_refusal_by_an_address_is_told_without_any_wait(url: bytes) -> None:
    reactor = MemoryReactorClock()
    endpoint = NodeEndpoints(reactor, 5.0, NodeTrust()).greeted(URI.fromBytes(url), None)
    connecting: Deferred[IProtocol] = endpoint.connect(Factory.forProtocol(Protocol))
    [(_host, port, factory, timeout_s, _source)] = reactor.tcpClients
    assert (port, timeout_s) == (8001, 5.0)
    factory.clientConnectionFailed(reactor.connectors[0], Failure(Refused()))
    failures: list[Failure] = []
    connecting.addErrback(failures.append)
    assert [failure.type for failure in failures] == [Refused]
