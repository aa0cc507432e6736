"""Consumers and producers between the body of a request and the segments of an upload."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from storaged.system.once import Once


class TooMuch(Exception):
    """More bytes have come than the file has."""


@implementer(IConsumer)
class Keeper:
    """Keeps the bytes of a small body."""

    def __init__(self) -> None:
        self.data = bytearray()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Accept the producer.  It is never paused, because the body is small."""

    def unregisterProducer(self) -> None:
        """Do nothing: the producer was not kept."""

    def write(self, data: bytes) -> None:
        """Keep the next bytes."""
        self.data += data


@implementer(IConsumer)
class Bounded:
    """Passes on so many bytes; with one more, `broken` fires."""

    def __init__(self, consumer: IConsumer, most: int, broken: Once[Exception]) -> None:
        self._consumer = consumer
        self._left = most
        self._most = most
        self._broken = broken

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pass the producer on to the consumer."""
        self._consumer.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Unregister the producer from the consumer."""
        self._consumer.unregisterProducer()

    def write(self, data: bytes) -> None:
        """Pass the next bytes on."""
        self._left -= len(data)
        if self._left < 0:
            self._broken.fire(TooMuch(f"more than the {self._most} bytes that the file lacks have come"))
        else:
            self._consumer.write(data)


@implementer(IPushProducer)
class Ready:
    """What has produced all bytes already."""

    def pauseProducing(self) -> None:
        """Do nothing: the bytes are in memory, and few."""

    def resumeProducing(self) -> None:
        """Do nothing."""

    def stopProducing(self) -> None:
        """Do nothing."""
