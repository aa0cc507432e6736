"""Reads bodies that are sent in chunks (RFC 9112 section 7.1).  Pure."""

from __future__ import annotations

import re

_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*")
_USUAL_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_USUAL_END = re.compile(rb"\r\n([0-9A-Fa-f]{1,15})\r\n")
"""The end of a chunk, and the line before the next one."""

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

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take the next bytes.

        :return: the bytes of the body in them, and the bytes that come after the body.
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
                position = self._take_usual_line(data, position) or self._take_line(data, position)
        # The consumer has some work for each piece, and a client may send chunks of one byte.
        return b"".join(pieces), data[position:]

    def _take_usual_line(self, data: bytes, position: int) -> int:
        """Take the line before a chunk if it is whole and has only the size.

        :return: the position behind it; 0 if it is a different line.
        """
        if self._line or self._in_trailers:
            return 0
        match = (_USUAL_END if self._wants_end else _USUAL_LINE).match(data, position)
        if match is None:
            return 0
        self._wants_end = False
        self._begin_chunk(match[1])
        return match.end()

    def _begin_chunk(self, size: bytes) -> None:
        self._left = int(size, 16)
        self._in_trailers = not self._left

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
            self._begin_chunk(match[1])


def take_body(left: int | ChunkDecoder, data: bytes) -> tuple[int | ChunkDecoder, bytes, bytes]:
    """Take the next bytes of a body of either kind.

    :param left: how many bytes are still to come, or the decoder of the chunks.
    :return: what is left afterwards, 0 when the body has ended; the bytes of the body; and what comes behind it.
    :raise BrokenChunks: see `ChunkDecoder.feed`.
    """
    if isinstance(left, int):
        if len(data) <= left:
            return left - len(data), data, b""
        return 0, data[:left], data[left:]
    data, rest = left.feed(data)
    return 0 if left.ended else left, data, rest
