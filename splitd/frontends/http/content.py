"""Sends the bytes of a file: all of them, a range, or several ranges (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from twisted.internet.defer import Deferred

from splitd.errors import SplitdError
from splitd.frontends.http.answers import describe
from splitd.frontends.http.media import media_headers, part_headers
from splitd.frontends.http.times import format_time
from splitd.interfaces.store import IDownload, Opened
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from storaged.http import IRequest, encode_header, send_body
from storaged.system.buffers import Piece
from storaged.system.ranges import Span, format_content_range

_PDF = re.compile(r"\A\s*application/pdf\s*(?:;[^,]*)?\Z", re.IGNORECASE)
"""The type that is shown without a sandbox: browsers show it in a viewer of their own, which has another origin, and
refuse to show it in a sandbox.  A value with a comma is two types to them, of which the last one counts (Fetch
standard, "extract a MIME type").
"""


def describe_content(request: IRequest, manifest: Manifest, spans: Sequence[Span]) -> None:
    """Set the headers of an answer with a file's bytes, and its status if that is not 200.

    :param spans: the ranges that are sent; none for the whole file.
    """
    describe(request, manifest)
    for name, value in _headers_of(manifest.said):
        request.setHeader(name, value)
    if not spans:
        request.setHeader("Content-Length", str(manifest.size))
        return
    request.setResponseCode(206)  # for all of the file, too: a player learns by it that it can seek
    if len(spans) == 1:
        request.setHeader("Content-Length", str(len(spans[0])))
        request.setHeader("Content-Range", format_content_range(spans[0], manifest.size))
    else:
        size = sum(len(_head(manifest, span)) + len(span) for span in spans) + len(_end(manifest))
        request.setHeader("Content-Length", str(size))
        request.setHeader("Content-Type", f"multipart/byteranges; boundary={manifest.upload}")
        # The ranges have this encoding, and each of them says so; the multipart body around them has none.
        request.remove_header("Content-Encoding")


def _lines_of_whole(manifest: Manifest) -> bytes:
    """Return the headers of an answer with all bytes of a file, those that `describe_content` sets, encoded."""
    modified = format_time(manifest.created_ms).encode("ascii")
    own = encode_header("ETag", manifest.etag), modified, manifest.size, _lines_of(manifest.said)
    return b"%bLast-Modified: %b\r\nContent-Length: %d\r\n%b" % own


@lru_cache(256)
def _headers_of(said: str | Media) -> tuple[tuple[bytes, bytes], ...]:
    """Return (name, value) of the headers that come with the bytes of all files of which clients said the same."""
    content_type = said if isinstance(said, str) else said.type
    # Run as part of this site, a stored script could change and delete whatever its reader may.
    safe = () if _PDF.match(content_type) else ((b"Content-Security-Policy", b"sandbox"),)
    # A browser that guesses types must not run stored files as part of this site.
    return (b"X-Content-Type-Options", b"nosniff"), (b"Accept-Ranges", b"bytes"), *media_headers(said), *safe


@lru_cache(256)
def _lines_of(said: str | Media) -> bytes:
    return b"".join(encode_header(name, value) for name, value in _headers_of(said))


def _head(manifest: Manifest, span: Span) -> bytes:
    # The boundary cannot occur in the bytes: the client did not know the upload's random id when it sent them.
    content_range = format_content_range(span, manifest.size).encode()
    return b"\r\n--%b\r\n%bContent-Range: %b\r\n\r\n" % (
        manifest.upload.encode(),
        part_headers(manifest),
        content_range,
    )


def _end(manifest: Manifest) -> bytes:
    return f"\r\n--{manifest.upload}--\r\n".encode()


def send_whole(request: IRequest, manifest: Manifest, data: bytes) -> None:
    """Answer with all bytes of a file, which are not so many that its client should have to pause them.

    :param data: the bytes; none if only the head of the answer was asked for.
    """
    request.describe(_lines_of_whole(manifest))
    request.write(data)
    request.finish()


async def send_content(request: IRequest, opened: Opened, spans: Sequence[Span]) -> None:
    """Answer with a file's bytes.

    :param opened: the file, opened at the first of the ranges, or at its start if there are none.
    :param spans: the ranges to send; none for the whole file.
    """
    # The status is sent with the first verified bytes, not before: until then an error can still get an answer of its
    # own.
    first = await opened.download.read()
    describe_content(request, opened.manifest, spans)
    if len(spans) > 1:
        request.write_pieces([_head(opened.manifest, spans[0]), *first])
        ranges = _Ranges(opened, spans)
        try:
            await _send_rest(request, ranges.read)
        finally:
            ranges.close()
    else:
        request.write_pieces(first)
        if sum(map(len, first)) < (len(spans[0]) if spans else opened.manifest.size):
            await _send_rest(request, opened.download.read)
    request.finish()


async def _send_rest(request: IRequest, read: Callable[[], Deferred[Sequence[Piece]]]) -> None:
    try:
        await send_body(request, read)
    except SplitdError:
        # Only a cut connection tells the client that the rest will not come.
        request.abort()
        raise


class _Ranges:
    """The rest of a multipart body, after the first bytes of the first range: the ranges and the lines between them.

    The download of the first range stays open to the end, because it pins the version.
    """

    def __init__(self, opened: Opened, spans: Sequence[Span]) -> None:
        self._opened = opened
        self._download: IDownload | None = opened.download
        self._waiting = list(spans[1:])
        self._ended = False

    def read(self) -> Deferred[Sequence[Piece]]:
        """Read on.

        :return: a Deferred that fires with the next pieces; an empty sequence at the end.
        """
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[Piece]:
        if self._ended:
            return []
        manifest = self._opened.manifest
        if self._download is not None:
            pieces = await self._download.read()
            if pieces:
                return pieces
            self.close()
        if not self._waiting:
            self._ended = True
            return [_end(manifest)]
        span = self._waiting.pop(0)
        self._download = await self._opened.another(span)
        return [_head(manifest, span)]

    def close(self) -> None:
        """Close the range that is open.  The first one is left open: the caller closes it."""
        download, self._download = self._download, None
        if download is not None and download is not self._opened.download:
            download.close()
