"""A lone request to store parts is answered by the thread that has stored them, and nothing is forgotten for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from storaged.link import LinkServer
from storaged.parts import messages
from storaged.parts.errors import NodeUnavailable, StoragedError, TakenOver
from storaged.parts.frames import frame
from storaged.parts.interfaces import IPromptPuts
from storaged.parts.values import PartInfo
from tests.unit.test_lone_appends import Sender

PART = f"{1:032x}.0"
Then = Callable[[list[PartInfo | StoragedError]], object]


@implementer(IPromptPuts)
class HeldStore:
    """A store whose thread works when the test says so."""

    def __init__(self) -> None:
        self.lone: list[Then] = []
        self.told: list[Callable[[], object]] = []
        self.reads: list[Deferred[list[bytes]]] = []
        self.together: list[Deferred[list[PartInfo]]] = []
        self.problem: StoragedError | None = None

    def put_all_then(self, _: Sequence[tuple[str, bytes]], then: Then) -> None:
        if self.problem is not None:
            raise self.problem
        self.lone.append(then)

    def put_all(self, _: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo]]:
        self.together.append(Deferred())
        return self.together[-1]

    def get_all(self, _: Sequence[str]) -> Deferred[list[bytes]]:
        self.reads.append(Deferred())
        return self.reads[-1]

    def tell(self, call: Callable[[], object]) -> None:
        self.told.append(call)

    def run_told(self) -> None:
        while self.told:
            self.told.pop(0)()


class Node:
    def __init__(self, epoch: int = 0) -> None:
        self.store, self.sender, self.transport = HeldStore(), Sender(), StringTransport()
        self.epoch = epoch
        self.link = LinkServer(self.store, self.check_epoch, None, lambda _: self.sender)  # type: ignore[arg-type]
        self.link.makeConnection(self.transport)

    def check_epoch(self, epoch: int) -> None:
        if epoch < self.epoch:
            raise TakenOver("another front has taken over")

    def receive(self, request: messages.Request) -> None:
        self.link.dataReceived(b"".join(frame(messages.encode(request))))

    def put(self, number: int) -> None:
        self.receive(messages.Put(number, [(PART, b"data")]))

    def stored(self, problem: StoragedError | None = None) -> None:
        """Let the thread store the oldest lone part, or fail to."""
        self.store.lone.pop(0)([problem or PartInfo(PART, 4, 7)])

    def answers(self) -> list[messages.Answer]:
        """What the reactor has sent."""
        return answers(self.transport.value())

    def own_answers(self) -> list[messages.Answer]:
        """What the thread has sent."""
        return answers(b"".join(self.sender.sent))


def answers(data: bytes) -> list[messages.Answer]:
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(messages.decode_answer(data[4 : 4 + size]))
        data = data[4 + size :]
    return found


def stored(number: int) -> messages.Answer:
    return messages.Answer(number, [(4, 7)], {})


@pytest.fixture
def node() -> Node:
    return Node()


def test_one_request_after_the_other_wakes_the_reactor_for_none(node: Node) -> None:
    for number in (1, 2, 3):
        node.put(number)
        node.stored()
    assert node.store.told == []
    assert node.own_answers() == [stored(1), stored(2), stored(3)]
    assert node.answers() == []


def test_an_error_of_a_part_is_sent_as_well(node: Node) -> None:
    node.put(1)
    node.stored(NodeUnavailable("the disk is on fire"))
    [answer] = node.own_answers()
    assert answer == messages.Answer(1, [None], {0: "NodeUnavailable: the disk is on fire"})


def test_an_answer_that_is_ready_before_is_not_mixed_with_that_of_the_thread(node: Node) -> None:
    node.put(1)
    node.receive(messages.Get(2, [PART]))
    node.store.reads[0].callback([b"data"])
    node.stored()  # what it sent now could come into the middle of the other answer
    assert node.own_answers() == []
    node.store.run_told()
    assert node.answers() == [messages.Answer(2, [b"data"], {}), stored(1)]
    node.put(3)
    node.stored()
    assert node.own_answers() == [stored(3)]


def test_an_answer_that_is_ready_afterwards_is_sent_by_the_reactor(node: Node) -> None:
    node.put(1)
    node.receive(messages.Get(2, [PART]))
    node.stored()
    node.store.reads[0].callback([b"data"])
    assert (node.own_answers(), node.answers()) == ([stored(1)], [messages.Answer(2, [b"data"], {})])
    assert node.store.told == []


def test_what_comes_meanwhile_is_not_alone(node: Node) -> None:
    node.put(1)
    node.put(2)
    assert (len(node.store.lone), len(node.store.together)) == (1, 1)
    node.store.together[0].callback([PartInfo(PART, 4, 7)])
    node.stored()
    node.store.run_told()
    assert node.answers() == [stored(2), stored(1)]


def test_bytes_that_the_kernel_does_not_take_are_sent_by_the_reactor(node: Node) -> None:
    node.sender.full = True
    node.put(1)
    node.stored()
    node.store.run_told()
    assert node.answers() == [stored(1)]


def test_bytes_that_the_kernel_does_not_take_come_before_the_next_answer(node: Node) -> None:
    node.sender.full = True
    node.put(1)
    node.stored()
    node.receive(messages.Get(2, [PART]))
    node.store.reads[0].callback([b"data"])
    node.store.run_told()
    assert node.answers() == [stored(1), messages.Answer(2, [b"data"], {})]


def test_a_front_that_was_replaced_is_refused() -> None:
    node = Node(epoch=1)
    node.put(1)
    assert node.store.lone == []
    [answer] = node.answers()
    assert answer.problems[0].startswith("TakenOver")


def test_a_store_that_stops_refuses(node: Node) -> None:
    node.store.problem = NodeUnavailable("the node is stopping")
    node.put(1)
    assert node.answers() == [messages.Answer(1, [None], {0: "NodeUnavailable: the node is stopping"})]


@pytest.mark.parametrize("is_done", [False, True])
def test_a_drain_waits_for_a_lone_request_and_no_longer(node: Node, is_done: bool) -> None:
    node.put(1)
    if is_done:
        node.stored()
    node.link.drain()
    if not is_done:
        assert not node.transport.disconnecting
        node.stored()
        node.store.run_told()
        assert node.answers() == [stored(1)]
    assert node.transport.disconnecting


def test_the_end_of_the_connection_is_the_end_of_answers(node: Node) -> None:
    node.put(1)
    failure: Any = None
    node.link.connectionLost(failure)
    assert node.sender.closed
    node.stored()
    assert node.store.told == []
