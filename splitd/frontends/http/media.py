"""Headers that come with a file's bytes, are kept with them, and are answered with them."""

from __future__ import annotations

from splitd.frontends.http.opaque import encode_opaque, parse_opaque
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA, Media
from storaged.http import IRequest

DEFAULT_TYPE = "application/octet-stream"
"""Of a file that came without a type."""

REVALIDATE = "no-cache"
"""What caches are told of what may change at any time: ask before each use (RFC 9111 section 5.2.2.4)."""

_RARE = (b"Content-Encoding", b"Content-Language", b"Content-Disposition", b"Cache-Control")


def parse_media(request: IRequest) -> Media:
    """Read the headers of a request that describe its body.

    :raise Refused: one of them has control characters, or is longer than `opaque.LIMIT`.
    """
    kind = parse_opaque(request, "Content-Type")
    if not any(map(request.has_header, _RARE)):  # it spares a small PUT some microseconds
        return Media(kind)
    cache_control = parse_opaque(request, "Cache-Control", is_list=True)
    return Media(
        kind,
        parse_opaque(request, "Content-Encoding", is_list=True),
        parse_opaque(request, "Content-Language", is_list=True),
        parse_opaque(request, "Content-Disposition"),
        "" if cache_control == REVALIDATE else cache_control,
    )


def describe_caching(request: IRequest, manifest: Manifest) -> None:
    """Set the header that tells caches what they may do with a file."""
    cache_control = manifest.media.cache_control
    request.setHeader(b"Cache-Control", encode_opaque(cache_control or REVALIDATE))


def describe_media(request: IRequest, manifest: Manifest) -> None:
    """Set the headers that came with a file."""
    describe_caching(request, manifest)
    media = NO_MEDIA if isinstance(manifest.said, str) else manifest.said
    request.setHeader(b"Content-Type", encode_opaque(manifest.content_type or DEFAULT_TYPE))
    for name, value in (
        (b"Content-Encoding", media.encoding),
        (b"Content-Language", media.language),
        (b"Content-Disposition", media.disposition),
    ):
        if value:
            request.setHeader(name, encode_opaque(value))


def part_headers(manifest: Manifest) -> bytes:
    """The headers that came with a file, for one of several ranges (RFC 9110 section 14.6); each line with its end."""
    lines = b"Content-Type: %b\r\n" % encode_opaque(manifest.content_type or DEFAULT_TYPE)
    encoding = manifest.media.encoding
    return lines + b"Content-Encoding: %b\r\n" % encode_opaque(encoding) if encoding else lines
