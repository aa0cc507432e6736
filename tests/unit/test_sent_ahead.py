"""What a client sends before it has its answer is kept up to a limit, however it is divided."""

from __future__ import annotations

import pytest
from twisted.internet.address import UNIXAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from storaged.http import IRequest, StreamingSite

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Unanswered:
    """Lets all requests wait."""

    def __init__(self) -> None:
        self.requests: list[IRequest] = []

    def render(self, request: IRequest) -> None:
        """Keep the request."""
        self.requests.append(request)


@pytest.mark.parametrize(("size", "count"), [(1, 300), (20, 300), (1000, 20)])
def test_reading_is_paused_when_much_memory_is_taken(size: int, count: int) -> None:
    clock, resource = Clock(), Unanswered()
    site = StreamingSite(resource, clock, idle_timeout_s=5, body_timeout_s=5)
    transport = StringTransport(peerAddress=UNIXAddress("client"))
    connection = site.buildProtocol(None)
    connection.makeConnection(transport)
    connection.dataReceived(REQUEST)
    for _ in range(count):
        connection.dataReceived(b"\r\n".ljust(size)[:size])
    assert transport.producerState == "paused"
    resource.requests[0].finish()
    clock.advance(0)
    assert transport.producerState == "producing"


def test_what_was_sent_ahead_is_read_as_it_came() -> None:
    clock, resource = Clock(), Unanswered()
    site = StreamingSite(resource, clock, idle_timeout_s=5, body_timeout_s=5)
    transport = StringTransport(peerAddress=UNIXAddress("client"))
    connection = site.buildProtocol(None)
    connection.makeConnection(transport)
    for byte in REQUEST * 20:
        connection.dataReceived(bytes([byte]))
    for number in range(20):
        assert len(resource.requests) == number + 1
        resource.requests[number].finish()
        clock.advance(0)
    assert transport.value().count(b"HTTP/1.1 200 OK\r\n") == 20
