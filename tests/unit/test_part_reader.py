"""What a download keeps of a part."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.python.failure import Failure

from storaged.http import ResponseDone, SharedWindow
from storaged.parts.client.patience import Patience
from storaged.parts.client.reader import RemotePartReader
from tests.fired import fired

KIB = 1024
WINDOW = 1024 * KIB
"""As in production, while few transfers are in progress."""


class Body:
    """The transport of a body.

    :ivar is_paused: whether nothing more of it is to be delivered.
    """

    is_paused = False

    def pauseProducing(self) -> None:
        """Deliver nothing more for now."""
        self.is_paused = True

    def resumeProducing(self) -> None:
        """Continue to deliver."""
        self.is_paused = False


def reader_of(size: int) -> tuple[RemotePartReader, Body]:
    """Return a reader of a part of `size` bytes, and its transport."""
    window = SharedWindow(16 * WINDOW, WINDOW, lambda _: None)
    window.enter()
    reader = RemotePartReader("n1", "p", size, size, patience=Patience(Clock(), 60), window=window)
    body = Body()
    reader.makeConnection(body)  # type: ignore[arg-type]  # as much of a transport as a reader needs
    return reader, body


def test_before_anybody_reads_the_first_bytes_are_enough() -> None:
    reader, body = reader_of(4 * WINDOW)
    reader.dataReceived(bytes(64 * KIB))
    assert not body.is_paused
    reader.dataReceived(bytes(64 * KIB))
    assert body.is_paused
    assert len(fired(reader.read())) == 64 * KIB
    assert not body.is_paused


def test_from_the_first_read_on_a_window_is_kept() -> None:
    reader, body = reader_of(4 * WINDOW)
    reader.dataReceived(bytes(200 * KIB))
    assert body.is_paused
    fired(reader.read())
    reader.dataReceived(bytes(1000 * KIB))
    assert not body.is_paused
    reader.dataReceived(bytes(24 * KIB))
    assert body.is_paused


def test_a_body_that_ends_before_it_is_read_is_read_whole() -> None:
    reader, _ = reader_of(300 * KIB)
    reader.dataReceived(bytes(300 * KIB))
    reader.connectionLost(Failure(ResponseDone()))
    assert len(fired(reader.read())) == 300 * KIB
    assert fired(reader.read()) == b""
