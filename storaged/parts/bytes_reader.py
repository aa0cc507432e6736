"""Reads a part that is in memory."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from zope.interface import implementer

from storaged.parts.interfaces import IPartReader
from storaged.system.ranges import Span

_READ_SIZE = 256 * 1024


@implementer(IPartReader)
class BytesReader:
    """Reads a span of bytes, piece by piece."""

    def __init__(self, data: bytes, span: Span) -> None:
        self._data = data
        self.stored_size = len(data)
        self._position = span.start
        self._stop = span.stop
        self._closed = False

    def read(self) -> Deferred[bytes]:
        """Read the next bytes; see `IPartReader.read`."""
        if self._closed:
            return fail(CancelledError("reading was given up"))
        data = self._data[self._position : min(self._position + _READ_SIZE, self._stop)]
        self._position += len(data)
        return succeed(data)

    def descriptor(self) -> None:
        """Return None, because there is no file; see `IPartReader.descriptor`."""

    def close(self) -> None:
        """Stop reading; see `IPartReader.close`."""
        self._closed = True
