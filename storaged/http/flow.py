"""The flow of an answer: whether its client takes what is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Flow:
    """The producer of a connection's transport, whatever answer is on its way.

    :param resumed: called when the client has taken what was written, after it took less.
    :ivar is_full: whether the transport has enough bytes to write.
    """

    __slots__ = ("_producer", "_resumed", "is_full")

    def __init__(self, resumed: Callable[[], object]) -> None:
        self._resumed = resumed
        self._producer: Any = None
        self.is_full = False

    def set_producer(self, producer: Any) -> None:
        """Let a push producer of the answer know when the client takes no more; None for no producer."""
        self._producer = producer
        if producer is not None and self.is_full:
            producer.pauseProducing()

    def pauseProducing(self) -> None:
        """Take note that the client does not take as much as is written."""
        self.is_full = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Take note that the client has taken what was written."""
        self.is_full = False
        if self._producer is not None:
            self._producer.resumeProducing()
        self._resumed()

    def stopProducing(self) -> None:
        """Take note that the connection has ended; `Protocol.connectionLost` tells the request."""
