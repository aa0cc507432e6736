"""A worker's connection to the catalog's process: when it ends because that does not answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport

from splitd.workers import methods
from splitd.workers.calls import Calls
from splitd.workers.link import Link
from splitd.workers.view import View
from splitd.workers.wire import DONE, Frames, encode_frame


class Catalog:
    """The other end of the connection of a worker."""

    def __init__(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.connected = list[View]()
        self._transport = StringTransport()
        self._frames = Frames()
        calls = Calls(self.reactor)
        calls.greeted = False
        self.link = Link(calls, "address", 0, self.connected.append, lambda: None, self.reactor)
        self.link.start()
        [(_, factory, *_)] = self.reactor.unixClients
        self._protocol = factory.buildProtocol(None)
        self._protocol.makeConnection(self._transport)
        self.pass_s(0)
        self.answer()

    def pass_s(self, *steps: float) -> None:
        """Let the time pass; what is due at a step is done, and late if the step is long."""
        for step in steps:
            self.reactor.advance(step)
            self.reactor.advance(0)  # what was called is sent

    def answer(self) -> None:
        """Answer all that was asked."""
        asked = [entry for entries in self._frames.feed(self._transport.value()) for entry in entries]
        self._transport.clear()
        for number, what, _ in asked:
            method = methods.METHODS[what]
            result = View("c", 1, 6, []) if method is methods.HELLO else None
            self._protocol.dataReceived(encode_frame([(number, DONE, method.encode_result(result))]))

    @property
    def is_left(self) -> bool:
        """Whether the worker has ended the connection."""
        return self._transport.disconnecting


def test_a_catalogs_process_that_does_not_answer_for_five_seconds_is_left() -> None:
    catalog = Catalog()
    for _ in range(20):
        catalog.pass_s(1)
        catalog.answer()
    assert not catalog.is_left
    catalog.pass_s(1, 1, 1, 1, 1)
    assert not catalog.is_left
    catalog.pass_s(1)
    assert catalog.is_left


def test_a_worker_that_stood_still_reads_what_was_answered_before_it_judges() -> None:
    catalog = Catalog()
    catalog.pass_s(1, 100)
    assert not catalog.is_left
    catalog.answer()
    catalog.pass_s(1, 1, 1, 1, 1)
    assert not catalog.is_left
