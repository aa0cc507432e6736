"""The writer of a part to a node: what is sent together, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web._newclient import LengthEnforcingConsumer

from storaged.http import SharedWindow
from storaged.parts.client.patience import Patience
from storaged.parts.client.writer import RemotePartWriter

PART = "3f" + "0" * 30 + ".2"
WINDOW = 1024 * 1024
TOGETHER = WINDOW // 2
GATHER_S = 0.02


class Connection:
    """Keeps each write by itself."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.aborted = False

    def writeSequence(self, pieces: Sequence[bytes]) -> None:
        self.writes.append(b"".join(pieces))

    def abortConnection(self) -> None:
        self.aborted = True


class Setting:
    def __init__(self, size: int) -> None:
        self.clock = Clock()
        self.window = SharedWindow(16 * WINDOW, WINDOW, lambda _: None)
        patience = Patience(self.clock, 60)
        self.writer = RemotePartWriter("n1", PART, size, patience=patience, window=self.window)
        self.request: Deferred[Any] = Deferred()
        self.writer.answered(self.request)
        self.connection = Connection()
        ended: Deferred[None] = Deferred()
        consumer: Any = LengthEnforcingConsumer(self.writer, self.connection, ended)
        self.body_sent = self.writer.startProducing(consumer)

    def sizes(self) -> list[int]:
        return [len(data) for data in self.connection.writes]


def test_bytes_are_sent_when_half_a_window_of_them_has_come() -> None:
    setting = Setting(10 * WINDOW)
    for _ in range(8):
        setting.writer.write(bytes(TOGETHER // 4))
    assert setting.sizes() == [TOGETHER, TOGETHER]


def test_pieces_keep_their_order() -> None:
    setting = Setting(10)
    setting.writer.writeSequence([b"ab", b"c"])
    setting.writer.writeSequence([memoryview(b"xde")[1:]])
    setting.writer.write(b"fghij")
    setting.writer.finish()
    assert setting.connection.writes == [b"abcdefghij"]


def test_bytes_wait_for_others_for_a_moment_only() -> None:
    setting = Setting(WINDOW)
    setting.writer.write(b"a")
    setting.clock.advance(GATHER_S / 2)
    setting.writer.write(b"b")
    assert setting.connection.writes == []
    setting.clock.advance(GATHER_S / 2)
    assert setting.connection.writes == [b"ab"]
    setting.clock.advance(1)
    setting.writer.write(b"c")
    setting.clock.advance(GATHER_S)
    assert setting.connection.writes == [b"ab", b"c"]


def test_the_end_waits_for_nothing() -> None:
    setting = Setting(3)
    setting.writer.write(b"abc")
    setting.writer.finish()
    assert setting.connection.writes == [b"abc"]
    assert setting.body_sent.called


@pytest.mark.parametrize("transfers", [16, 64, 1024])
def test_with_many_transfers_each_gathers_less(transfers: int) -> None:
    setting = Setting(10 * WINDOW)
    for _ in range(transfers):
        setting.window.enter()
    setting.writer.write(bytes(setting.window.size // 2 - 1))
    assert setting.connection.writes == []
    setting.writer.write(b"a")
    assert setting.sizes() == [setting.window.size // 2]


def test_nothing_is_sent_and_nothing_scheduled_after_a_part_was_aborted() -> None:
    setting = Setting(WINDOW)
    setting.writer.write(b"abc")
    setting.writer.abort()
    assert setting.connection.aborted
    setting.request.errback(ConnectionError())
    assert setting.connection.writes == []
    assert not setting.clock.getDelayedCalls()


def test_nothing_is_scheduled_after_the_node_has_failed() -> None:
    setting = Setting(WINDOW)
    setting.writer.write(b"abc")
    setting.request.errback(ConnectionError())
    assert not setting.clock.getDelayedCalls()
    setting.writer.write(b"def")
    assert not setting.clock.getDelayedCalls()
    assert setting.connection.writes == []
