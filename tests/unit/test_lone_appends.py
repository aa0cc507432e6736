"""A lone append to a journal's copy is answered by the thread that has synced it, and nothing is forgotten for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from storaged.journals.link import JournalLinkServer
from storaged.parts import journals
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.frames import frame
from storaged.parts.journals import Append

Then = Callable[[int | StoragedError], object]


class HeldJournals:
    """A copy whose thread works when the test says so."""

    def __init__(self) -> None:
        self.lone: list[Then] = []
        self.told: list[Callable[[], object]] = []
        self.together: list[int] = []

    def append_then(self, _: object, __: Append, then: Then) -> None:
        self.lone.append(then)

    def append(self, _: object, requests: Sequence[Append]) -> Deferred[int]:
        self.together.append(len(requests))
        done: Deferred[int] = Deferred()
        done.callback(requests[-1].first + 1)
        return done

    def tell(self, call: Callable[[], object]) -> None:
        self.told.append(call)

    def run_told(self) -> None:
        while self.told:
            self.told.pop(0)()


class Sender:
    """Sends for the thread.

    :ivar full: whether the kernel takes nothing.
    """

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.full = False
        self.closed = False

    def is_ready(self) -> bool:
        return True

    def send(self, pieces: Sequence[bytes]) -> Sequence[bytes]:
        if self.full:
            return pieces
        self.sent += pieces
        return ()

    def close(self) -> None:
        self.closed = True


class Node:
    def __init__(self) -> None:
        self.journals, self.sender, self.transport = HeldJournals(), Sender(), StringTransport()
        make: Any = lambda _: self.sender  # noqa: E731 - it stands for a class
        self.link = JournalLinkServer(self.journals, make)  # type: ignore[arg-type]
        self.link.makeConnection(self.transport)

    def receive(self, *firsts: int) -> None:
        appends = [journals.encode(Append(first, 1, first, 1, b"line\n")) for first in firsts]
        self.link.dataReceived(b"".join(piece for append in appends for piece in frame(append)))

    def answers(self) -> list[tuple[int, int, str]]:
        """What was sent by the reactor."""
        found = []
        data = self.transport.value()
        while data:
            size = int.from_bytes(data[:4], "big")
            answer = journals.decode_answer(data[4 : 4 + size])
            found.append((answer.number, answer.next, answer.problem))
            data = data[4 + size :]
        return found


@pytest.fixture
def node() -> Node:
    return Node()


def test_one_append_after_the_other_wakes_the_reactor_for_none(node: Node) -> None:
    for first in (1, 2, 3):
        node.receive(first)
        node.journals.lone.pop()(first + 1)
    assert node.journals.told == []
    assert len(node.sender.sent) == 3 * 2
    assert node.transport.value() == b""


def test_appends_that_come_together_are_done_together(node: Node) -> None:
    node.receive(1, 2, 3)
    assert node.journals.together == [3]
    assert node.answers() == [(3, 4, "")]


def test_what_comes_meanwhile_is_done_afterwards(node: Node) -> None:
    node.receive(1)
    node.receive(2)
    node.receive(3)
    assert node.journals.together == []
    node.journals.lone.pop()(2)
    node.journals.run_told()
    assert node.journals.together == [2]
    assert node.answers() == [(3, 4, "")]


def test_a_request_that_sees_the_end_of_a_lone_append_is_begun_once(node: Node) -> None:
    node.receive(1)
    node.receive(2)  # from now on the end is told
    node.journals.lone.pop()(2)
    node.receive(3)  # sees the end before it is told
    node.journals.run_told()
    assert node.journals.together == [2]
    assert node.answers() == [(3, 4, "")]


def test_bytes_that_the_kernel_does_not_take_are_sent_by_the_reactor(node: Node) -> None:
    node.sender.full = True
    node.receive(1)
    node.journals.lone.pop()(2)
    node.journals.run_told()
    assert node.answers() == [(1, 2, "")]
    node.receive(2)
    assert len(node.journals.lone) == 1


def test_an_error_is_sent_by_the_reactor(node: Node) -> None:
    node.receive(1)
    node.journals.lone.pop()(NodeUnavailable("the disk is on fire"))
    node.journals.run_told()
    assert node.answers() == [(1, 0, "NodeUnavailable: the disk is on fire")]


@pytest.mark.parametrize("is_done", [False, True])
def test_a_drain_waits_for_a_lone_append_and_no_longer(node: Node, is_done: bool) -> None:
    node.receive(1)
    if is_done:
        node.journals.lone.pop()(2)
    node.link.drain()
    if not is_done:
        assert not node.transport.disconnecting
        node.journals.lone.pop()(2)
        node.journals.run_told()
    assert node.transport.disconnecting


def test_the_end_of_the_connection_is_the_end_of_answers(node: Node) -> None:
    node.receive(1)
    node.link.connectionLost(None)  # type: ignore[arg-type]
    assert node.sender.closed
