"""Messages on a connection, each after its length in four bytes, big endian."""

from __future__ import annotations

import struct

from twisted.internet.protocol import Protocol

from storaged.parts.pieces import Pieces

_LENGTH = struct.Struct(">I")


def frame(message: bytes) -> list[bytes]:
    """Frame a message, as pieces to be written to a connection."""
    return [_LENGTH.pack(len(message)), message]


class FrameReceiver(Protocol):
    """Receives messages, and keeps the beginning of an incomplete one.

    Twisted's `Int32StringReceiver` does the same, but joins all that it has at each read.  It copied a message of 4 MiB
    eight times, in blocks of ever new sizes that leave the heap full of gaps.  Here a message is joined once.
    """

    MAX_LENGTH = 0
    """The size of the longest message in bytes; a subclass sets it."""

    _frame_pieces: Pieces | None = None
    _frame_length: int | None = None
    _frame_refused = False

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._frame_refused:
            return
        if self._frame_pieces is None:
            self._frame_pieces = Pieces()
        pieces = self._frame_pieces
        pieces.add(data)
        while True:
            if self._frame_length is None:
                if pieces.available < _LENGTH.size:
                    return
                (length,) = _LENGTH.unpack(pieces.take(_LENGTH.size))
                if length > self.MAX_LENGTH:
                    self._frame_refused = True
                    self._frame_pieces = None
                    self.lengthLimitExceeded(length)
                    return
                self._frame_length = length
            if pieces.available < self._frame_length:
                return
            length, self._frame_length = self._frame_length, None
            self.stringReceived(pieces.take(length))

    def stringReceived(self, string: bytes) -> None:
        """Handle a message."""
        raise NotImplementedError

    def lengthLimitExceeded(self, length: int) -> None:
        """Handle a message that is too long; nothing is received after it."""
        raise NotImplementedError
