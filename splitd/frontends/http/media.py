"""The headers that describe a file: they come with its bytes, are kept with them, and are sent in answers."""

from __future__ import annotations

from functools import lru_cache

from splitd.frontends.http.opaque import encode_opaque, parse_opaque
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from storaged.http import IRequest

DEFAULT_TYPE = "application/octet-stream"
"""The type of a file that came without one."""

REVALIDATE = "no-cache"
"""What caches are told about content that may change at any time: ask before each use (RFC 9111 section 5.2.2.4)."""

_RARE = (b"Content-Encoding", b"Content-Language", b"Content-Disposition", b"Cache-Control")


def parse_media(request: IRequest) -> Media:
    """Read the headers of a request that describe its body.

    :raise Refused: one of them has control characters, or is longer than `opaque.LIMIT`.
    """
    kind = parse_opaque(request, "Content-Type")
    if not any(map(request.has_header, _RARE)):  # this saves a small PUT some microseconds
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
    """Set `Cache-Control`, which says what caches may do with a file."""
    request.setHeader(b"Cache-Control", _caching(manifest.media))


def _caching(media: Media) -> bytes:
    return encode_opaque(media.cache_control or REVALIDATE)


@lru_cache(256)
def media_headers(said: str | Media) -> tuple[tuple[bytes, bytes], ...]:
    """Return (name, value) of the headers that came with a file.

    :param said: as `Manifest.said`.
    """
    media = Media(said) if isinstance(said, str) else said
    optional = (
        (b"Content-Encoding", media.encoding),
        (b"Content-Language", media.language),
        (b"Content-Disposition", media.disposition),
    )
    return (
        (b"Cache-Control", _caching(media)),
        (b"Content-Type", encode_opaque(media.type or DEFAULT_TYPE)),
        *((name, encode_opaque(value)) for name, value in optional if value),
    )


def part_headers(manifest: Manifest) -> bytes:
    """Return the headers that came with a file as they stand before one of several ranges (RFC 9110 section 14.6), each
    with its line end.
    """
    lines = b"Content-Type: %b\r\n" % encode_opaque(manifest.content_type or DEFAULT_TYPE)
    encoding = manifest.media.encoding
    return lines + b"Content-Encoding: %b\r\n" % encode_opaque(encoding) if encoding else lines
