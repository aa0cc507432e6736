r"""Decodes `aws-chunked`, the framing that S3's clients put around a body: each chunk has its size, and may have a
signature; after the last one a trailer may follow.  Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html

    10000;chunk-signature=HEX\r\n  BYTES \r\n  0;chunk-signature=HEX\r\n  NAME:VALUE\r\n ... \r\n

Memory holds no more than one line.  Bytes of a chunk are passed on before its signature could be checked: they count
only when `finish` has returned.
"""

from __future__ import annotations

import hashlib
import re
from enum import Enum, auto

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.signing.canonical import ChunkSigner

_LONGEST_LINE = 1024
_MOST_TRAILER = 8 * 1024
_HEAD = re.compile(rb"\A([0-9A-Fa-f]{1,16})[ \t]*(?:;[ \t]*chunk-signature=([0-9a-f]{64}))?[ \t]*\Z")
_TRAILER_SIGNATURE = "x-amz-trailer-signature"


class _State(Enum):
    HEAD = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkedDecoder:
    """Decodes one body.

    :param length: how many bytes the body has without its framing.
    :param signer: checks the signatures; None if chunks have none.
    :param has_trailer: whether a trailer may follow.
    :ivar trailer: the fields of the trailer by their names in lower case.
    """

    def __init__(self, length: int, signer: ChunkSigner | None, *, has_trailer: bool) -> None:
        self._length = length
        self._signer = signer
        self._has_trailer = has_trailer
        self._state = _State.HEAD
        self._line = bytearray()
        self._left = 0
        self._signature = ""
        self._digest = hashlib.sha256()
        self._is_last = False
        self._ended = False
        self._trailer_size = 0
        self._trailer_lines: list[bytes] = []
        self._trailer_signature: str | None = None
        self._position = 0
        self.trailer: dict[str, str] = {}

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the body; return the file's bytes among them.

        :raise S3Error: the framing is broken, a signature is wrong, or there are more bytes than announced.
        """
        found: list[bytes] = []
        position = 0
        while position < len(data):
            if self._state is _State.DATA:
                piece = data[position : position + self._left]
                position += len(piece)
                found.append(piece)
                self._take(piece)
            else:
                position = self._read_line(data, position)
        return found

    def _take(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._signer is not None:
            self._digest.update(piece)
        if not self._left:
            self._state = _State.DATA_END

    def _read_line(self, data: bytes, position: int) -> int:
        """Take bytes up to the end of a line, or of the data; return the position after them."""
        end = data.find(b"\n", position)
        stop = len(data) if end < 0 else end + 1
        limit = _MOST_TRAILER if self._state is _State.TRAILER else _LONGEST_LINE
        if len(self._line) + stop - position > limit:
            raise _broken(f"a line has more than {limit} bytes")
        self._line += data[position:stop]
        if end >= 0:
            line, self._line = bytes(self._line), bytearray()
            self._take_line(line)
        return stop

    def _take_line(self, line: bytes) -> None:
        if self._state is _State.HEAD:
            self._take_head(line)
        elif self._state is _State.DATA_END:
            if line != b"\r\n":
                raise _broken("a chunk has more bytes than its size says")
            self._end_chunk()
        else:
            self._take_trailer(line.rstrip(b"\r\n"))

    def _take_head(self, line: bytes) -> None:
        match = _HEAD.match(line[:-2]) if line.endswith(b"\r\n") else None
        if match is None:
            raise _broken(f"{line[:80]!r} is not the head of a chunk")
        size = int(match[1], 16)
        if self._signer is not None and match[2] is None:
            raise _broken("a chunk has no signature")
        self._signature = "" if match[2] is None else match[2].decode()
        self._position += size
        if self._position > self._length:
            raise S3Error("IncompleteBody", f"the body has more than the {self._length} bytes that were announced")
        self._left = size
        self._is_last = not size
        if size:
            self._state = _State.DATA
        else:
            self._end_chunk()

    def _end_chunk(self) -> None:
        if self._signer is not None:
            if not self._signer.is_next(self._digest.hexdigest(), self._signature):
                raise S3Error(
                    "SignatureDoesNotMatch", f"the signature of the chunk before byte {self._position} is wrong"
                )
            self._digest = hashlib.sha256()
        self._state = _State.TRAILER if self._is_last else _State.HEAD

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_size += len(line) + 2
        if self._trailer_size > _MOST_TRAILER:
            raise _broken(f"the trailer has more than {_MOST_TRAILER} bytes")
        if not line:
            self._ended = True
            return
        # Clients write one empty line too many: some of minio before the trailer's signature, which is the end then.
        if self._ended and not self._is_late_signature(line):
            raise _broken("there are bytes behind its end")
        name, colon, value = line.decode("ascii", "replace").partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not name:
            raise S3Error("MalformedTrailerError", f"{name[:80]!r} is no field of a trailer")
        if not self._has_trailer:
            raise S3Error("MalformedTrailerError", "there is a trailer, and none was announced")
        if name == _TRAILER_SIGNATURE:
            self._trailer_signature = value
            return
        if name in self.trailer:
            raise S3Error("MalformedTrailerError", f"{name[:80]} stands in the trailer twice")
        self.trailer[name] = value
        self._trailer_lines.append(f"{name}:{value}\n".encode())

    def _is_late_signature(self, line: bytes) -> bool:
        expected = self._signer is not None and self._has_trailer and self._trailer_signature is None
        return expected and line.lower().startswith(_TRAILER_SIGNATURE.encode() + b":")

    def finish(self) -> None:
        """Check the end of the body.

        :raise S3Error: it is not whole, has fewer bytes than announced, or the trailer's signature is wrong.
        """
        if not (self._is_last and self._ended and not self._line) or self._position != self._length:
            raise S3Error(
                "IncompleteBody",
                f"the body ended before its last chunk, or has {self._position} bytes instead of the {self._length} "
                "that were announced",
            )
        if self._signer is None or not self._has_trailer:
            return
        if self._trailer_signature is None:
            raise S3Error("MalformedTrailerError", "the trailer has no signature")
        digest = hashlib.sha256(b"".join(self._trailer_lines)).hexdigest()
        if not self._signer.is_trailer(digest, self._trailer_signature):
            raise S3Error("SignatureDoesNotMatch", "the signature of the trailer is wrong")


def _broken(why: str) -> S3Error:
    return S3Error("IncompleteBody", f"the aws-chunked body cannot be read: {why}")
