"""A link that was cut takes no request, though its connection has not ended yet."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from storaged.parts import messages
from storaged.parts.client.link import Link, LinkClient
from storaged.parts.client.patience import Patience
from storaged.parts.errors import NodeUnavailable
from storaged.parts.frames import frame
from storaged.parts.values import PartInfo

PARTS = [(f"{number:032x}.0", b"data") for number in (1, 2)]


class Connections:
    """Connections in memory, whose end a link learns of when the test decides, as of those of the reactor."""

    def __init__(self) -> None:
        self.clients: list[LinkClient] = []

    def connect(self, client: LinkClient) -> Deferred[Any]:
        self.clients.append(client)
        client.makeConnection(StringTransport())
        return succeed(None)


def test_what_is_asked_before_the_end_of_a_cut_connection_goes_to_the_next_one() -> None:
    clock, connections, outcomes = Clock(), Connections(), dict[str, Any]()
    link = Link(connections.connect, clock, Patience(clock, 60))
    link.put_all([PARTS[0]]).addCallback(lambda got: outcomes.update(first=got))
    clock.advance(0)
    clock.advance(60)  # the node has not answered in time
    [cut] = connections.clients
    sent = len(cut.transport.value())
    link.put_all([PARTS[1]]).addCallback(lambda got: outcomes.update(second=got))
    link.get_all([PARTS[0][0]]).addCallback(lambda got: outcomes.update(read=got))
    clock.advance(0)
    assert len(cut.transport.value()) == sent

    cut.connectionLost(Failure(ConnectionAborted()))
    assert isinstance(outcomes.pop("first")[0], NodeUnavailable)
    assert outcomes == {}
    _, client = connections.clients
    for number, result in ((2, (4, 7)), (3, b"data")):
        client.dataReceived(b"".join(frame(messages.encode(messages.Answer(number, [result], {})))))
    assert outcomes == {"second": [PartInfo(PARTS[1][0], 4, 7)], "read": [b"data"]}
