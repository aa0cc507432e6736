"""GetObject and HeadObject: sends an object, or a range of it.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

import msgspec

from splitd.errors import SplitdError
from splitd.frontends.http.conditions import CONDITIONS
from splitd.frontends.s3.conditions import check_read, read_condition
from splitd.frontends.s3.door import OWNER, S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import (
    describe_checksum,
    describe_freshness,
    describe_object,
    describe_version,
    etag_of,
    has_control,
    lines_of_whole,
)
from splitd.frontends.s3.payload.checksums import parse_kept, parse_parts
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.segments import MAX_SEGMENTS
from storaged.http import send_body
from storaged.system.ranges import Span, Unsatisfiable, format_content_range, parse_ranges

_OVERRIDES = {
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-content-language": "Content-Language",
    "response-content-type": "Content-Type",
    "response-expires": "Expires",
}


DECIDING = CONDITIONS | {b"expect", b"if-range", b"origin", b"range", b"x-amz-checksum-mode", OWNER}
"""The headers that decide what the answer to a GET without a query is, in lower case; without them it is the object."""


async def head_object(request: S3Request) -> None:
    """Tell all of an object but its bytes."""
    refuse_version(request)
    _refuse_overrides(request)
    manifest = await request.keys.stat(request.bucket, request.key)
    _check(request, manifest)
    _describe(request, manifest, _span(request, manifest))
    request.http.finish()


async def get_object(request: S3Request) -> None:
    """Send an object, or a range of it."""
    refuse_version(request)
    _refuse_overrides(request)
    asked: list[Span | None] = []

    def span_of(manifest: Manifest) -> Span:
        _check(request, manifest)
        asked.append(_span(request, manifest))
        return asked[-1] or Span(0, manifest.size)

    opened = await request.keys.open(request.bucket, request.key, span_of)
    if isinstance(opened, Manifest):
        _describe(request, opened, asked[-1])
        request.http.finish()
        return
    http, manifest, span = request.http, opened.manifest, asked[-1]
    try:
        # The status is sent with the first verified bytes, so that an error before them gets an answer of its own.
        first = await opened.download.read()
        _describe(request, manifest, span)
        http.write_pieces(first)
        if sum(map(len, first)) < (manifest.size if span is None else len(span)):
            try:
                await send_body(http, opened.download.read)
            except SplitdError:
                http.abort()  # only that tells the client that the rest will not come
                raise
        http.finish()
    finally:
        opened.download.close()


def send_kept(request: S3Request, manifest: Manifest, data: bytes) -> None:
    """Send a small object that is in memory, if nothing in the request decides about the answer; see `DECIDING`.

    :param data: its bytes; none if only its head was asked for.
    """
    http = request.http
    http.describe(b"x-amz-request-id: %b\r\n%b" % (http.id.encode(), lines_of_whole(manifest)))
    http.write(data)
    http.finish()


def refuse_version(request: S3Request) -> None:
    """Refuse to look for a version of its own: each object has only one, which is called null.

    :raise S3Error: the request names another one.
    """
    version = request.query.get("versionId", "null")
    if version not in {"null", ""}:
        raise S3Error("NoSuchVersion", "The specified version does not exist.", VersionId=version[:100])


def _refuse_overrides(request: S3Request) -> None:
    """Refuse to say of an object what nobody with a key has signed, or what no header can hold."""
    if not request.query:
        return
    for name in _OVERRIDES:
        if name in request.query:
            if request.proof.is_anonymous:
                raise S3Error("InvalidRequest", "Request specific response headers cannot be used for anonymous GET")
            if has_control(request.query.get(name)):
                raise S3Error("InvalidArgument", f"{name} has control characters", ArgumentName=name)


def _check(request: S3Request, manifest: Manifest) -> None:
    try:
        check_read(read_condition(request.http), manifest)
    except S3Error as problem:
        if problem.status == 304:
            describe_version(request.http, manifest)
            describe_freshness(request.http, manifest.media)
        raise


def _span(request: S3Request, manifest: Manifest) -> Span | None:
    """Return the range that is wanted; None for the whole object."""
    asked = request.http.getHeader("Range")
    if "partNumber" in request.query:
        if asked is not None:
            raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
        return _part_span(request, manifest)
    only_of = request.http.getHeader("If-Range")
    # A time never matches: two versions may be of the same second, and a browser would put their bytes together.
    if asked is None or (only_of is not None and only_of != etag_of(manifest)):
        return None
    try:
        spans = parse_ranges(asked, manifest.size, 1)
    except Unsatisfiable:
        raise S3Error(
            "InvalidRange",
            "The requested range is not satisfiable",
            RangeRequested=asked[:200],
            ActualObjectSize=str(manifest.size),
        ) from None
    return spans[0] if spans else None


def _part_span(request: S3Request, manifest: Manifest) -> Span:
    number = part_number(request)
    if not manifest.packed_segments and number == 1:
        return Span(0, manifest.size)
    start = 0
    for segment in manifest.segments:
        if segment.number == number:
            return Span(start, start + segment.size)
        start += segment.size
    raise S3Error("InvalidPart", "The requested partnumber is not satisfiable", PartNumberRequested=str(number))


def part_number(request: S3Request) -> int:
    """Return the number of a part.

    :raise S3Error: it is none.
    """
    value = request.query.get("partNumber")
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= MAX_SEGMENTS):
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {MAX_SEGMENTS}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=value[:20],
        )
    return int(value)


def _describe(request: S3Request, manifest: Manifest, span: Span | None) -> None:
    http = request.http
    describe_version(http, manifest)
    describe_object(http, _told(request, manifest.media))
    http.setHeader("Accept-Ranges", "bytes")
    if span is None:
        http.setHeader("Content-Length", str(manifest.size))
    else:
        http.setResponseCode(206)
        if "partNumber" in request.query and manifest.packed_segments:
            http.setHeader("x-amz-mp-parts-count", str(len(manifest.segments)))
        http.setHeader("Content-Length", str(len(span)))
        if manifest.size:
            http.setHeader("Content-Range", format_content_range(span, manifest.size))
    if "partNumber" in request.query and manifest.packed_segments:
        _describe_part(request, manifest)
    elif request.header("x-amz-checksum-mode").upper() == "ENABLED" and (span is None or len(span) == manifest.size):
        describe_checksum(http, manifest)
    for parameter, name in _OVERRIDES.items() if request.query else ():
        if parameter in request.query:
            http.setHeader(name, request.query.get(parameter))


def _told(request: S3Request, media: Media) -> Media:
    """Return what is told of an object in headers: how many tags it has only to those who may read them."""
    if media.tags and not request.keys.is_granted(request.bucket, request.key):
        return msgspec.structs.replace(media, tags=())
    return media


def _describe_part(request: S3Request, manifest: Manifest) -> None:
    """Set the header with the checksum of the part that is sent, if it has one."""
    checksum, parts = parse_kept(manifest.media.checksum), parse_parts(manifest.media.checksum)
    number = part_number(request)
    for value, segment in zip(parts, manifest.segments, strict=False):
        if segment.number == number and checksum is not None:
            request.http.setHeader(checksum.algorithm.field, value)
            request.http.setHeader("x-amz-checksum-type", checksum.type)
