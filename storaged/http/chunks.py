"""Reads bodies that are sent in chunks (RFC 9112 section 7.1).  Pure."""

from __future__ import annotations

import re

_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*")
_MOST_LINE = 1024
"""The most bytes of the line before a chunk."""

_MOST_TRAILERS = 64 * 1024
"""The most bytes of all trailers, which are skipped."""


class BrokenChunks(Exception):
    """The bytes are not chunks; where the body ends is not known."""


class ChunkDecoder:
    """Takes the bytes of one body as they arrive.

    :ivar ended: whether the end of the body has come.
    """

    def __init__(self) -> None:
        self.ended = False
        self._line: bytes = b""  # of a line that has not ended
        self._left = 0  # of the chunk
        self._in_trailers = False
        self._wants_end = False
        self._trailers = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Take the next bytes.

        :return: the pieces of the body in them, and the bytes that come after the body.
        :raise BrokenChunks: the bytes are malformed, or a line or the trailers are too long.
        """
        pieces: list[bytes] = []
        position = 0
        while position < len(data) and not self.ended:
            if self._left:
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                self._wants_end = not self._left
            else:
                position = self._take_line(data, position)
        return pieces, data[position:]

    def _take_line(self, data: bytes, position: int) -> int:
        limit = _MOST_TRAILERS if self._in_trailers else _MOST_LINE
        end = data.find(b"\n", position)
        stop = len(data) if end < 0 else end + 1
        if len(self._line) + stop - position > limit:
            raise BrokenChunks("a line between chunks is too long")
        line = self._line + data[position:stop]
        if end < 0:
            # A CR must be followed by a LF, and what is no digit will not become one.
            self._line = line
            self._refuse_hopeless(line)
        elif not line.endswith(b"\r\n"):
            raise BrokenChunks("a line between chunks should end with CR and LF")
        else:
            self._line = b""
            self._read_line(line[:-2])
        return stop

    def _refuse_hopeless(self, line: bytes) -> None:
        """Refuse the beginning of a line that cannot become a right one, because its sender may wait for an answer."""
        whole = line.removesuffix(b"\r")
        if b"\r" in whole or (self._wants_end and whole):
            raise BrokenChunks("there is something after the bytes of a chunk")
        if not self._wants_end and not self._in_trailers and whole and not _LINE.fullmatch(whole):
            raise BrokenChunks("a chunk should begin with its size")

    def _read_line(self, line: bytes) -> None:
        if self._wants_end:
            if line:
                raise BrokenChunks("a chunk should end where its size says")
            self._wants_end = False
        elif self._in_trailers:
            self._trailers += len(line)
            if self._trailers > _MOST_TRAILERS:
                raise BrokenChunks("the trailers are too long")
            if line and not _TRAILER.fullmatch(line):
                raise BrokenChunks("a trailer should be a name, a colon and a value")
            self.ended = not line
        else:
            match = _LINE.fullmatch(line)
            if match is None:
                raise BrokenChunks("a chunk should begin with its size")
            self._left = int(match[1], 16)
            self._in_trailers = not self._left
