"""How many messages of a link are pending at the same time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from storaged.parts import messages
from storaged.parts.client.link import Link, LinkClient
from storaged.parts.client.patience import Patience
from storaged.parts.frames import FrameReceiver, frame


class Node(FrameReceiver):
    """A node that keeps the requests of a link until the test lets it answer."""

    MAX_LENGTH = messages.MAX_MESSAGE

    def __init__(self) -> None:
        self.requests: list[messages.Request] = []

    def connect(self, client: LinkClient) -> Deferred[Any]:
        self.client = client
        client.makeConnection(StringTransport())
        return succeed(None)

    def stringReceived(self, string: bytes) -> None:
        self.requests.append(messages.decode_request(string))

    def sizes(self) -> list[int]:
        """Take what has arrived, and return how many parts each pending request is for."""
        transport = self.client.transport
        self.dataReceived(transport.value())
        transport.clear()
        return [len(request.parts) for request in self.requests]

    def answer(self) -> None:
        """Answer the oldest request."""
        request = self.requests.pop(0)
        answer = messages.Answer(request.number, [b"data"] * len(request.parts), {})
        self.client.dataReceived(b"".join(frame(messages.encode(answer))))


def test_a_message_that_can_take_no_more_does_not_wait_for_the_answer_to_another() -> None:
    clock, node, got = Clock(), Node(), list[Any]()
    link = Link(node.connect, clock, Patience(clock, 60))

    def ask(count: int) -> None:
        for number in range(count):
            link.get_all([f"{number:032x}.0"]).addCallback(got.extend)
        clock.advance(0)

    ask(3)
    assert node.sizes() == [3]
    ask(messages.MAX_GET - 1)
    assert node.sizes() == [3]  # more may come along with these
    ask(3)
    assert node.sizes() == [3, messages.MAX_GET]
    node.answer()
    node.answer()
    assert node.sizes() == [2]
    node.answer()
    ask(9 * messages.MAX_GET)
    assert node.sizes() == [messages.MAX_GET] * 3
    while node.sizes():
        node.answer()
    assert got == [b"data"] * (3 + 2 + 10 * messages.MAX_GET)
