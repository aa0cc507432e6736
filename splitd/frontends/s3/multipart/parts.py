"""UploadPart, UploadPartCopy and ListParts.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
"""

from __future__ import annotations

import re

import attrs

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.listing import owner_element, read_limit, told_owner
from splitd.frontends.s3.buckets.notes import owner_of
from splitd.frontends.s3.conditions import check_source
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.multipart.notes import Kind, Part, PartNote, parse_kind
from splitd.frontends.s3.objects.copy import find_source, read_source
from splitd.frontends.s3.objects.get import part_number
from splitd.frontends.s3.payload.expected import refuse_no_length
from splitd.frontends.s3.payload.pumping import pump
from splitd.frontends.s3.payload.receiving import receive
from splitd.frontends.s3.target import path_of
from splitd.frontends.s3.xml import document, element, format_time, text
from splitd.model.manifest import Manifest
from storaged.system.ranges import Span

_RANGE = re.compile(r"\Abytes=([0-9]{1,18})-([0-9]{1,18})\Z", re.ASCII)


async def upload_part(request: S3Request) -> None:
    """Store the body as a part.  A part of the same number before it is replaced."""
    refuse_no_length(request.http)
    number, expected = part_number(request), request.expected()
    kind = await _kind(request)
    if expected.algorithm is None and kind.algorithm is not None:
        expected = attrs.evolve(expected, computed=kind.algorithm)
    elif kind.algorithm not in {None, expected.algorithm}:
        assert expected.algorithm is not None
        assert kind.algorithm is not None
        raise S3Error(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {kind.algorithm.name.lower()}, actual checksum "
            f"Type: {expected.algorithm.name.lower()}",
        )
    path, upload = path_of(request.bucket, request.key), request.query.get("uploadId")
    segment = await request.keys.parts.put_segment(path, upload, number, expected.length)
    wants_md5 = request.door.settings.md5 or expected.md5 is not None
    received = await receive(request.http, segment, expected, request.make_md5 if wants_md5 else None)
    note = PartNote(received.md5, received.checksum)
    manifest, _ = await segment.finish(note.kept())
    request.http.setHeader("ETag", f'"{note.md5 or manifest.upload}"')
    if note.checksum is not None:
        request.http.setHeader(note.checksum.algorithm.field, note.checksum.value)
    answer(request.http, 200)


async def _kind(request: S3Request) -> Kind:
    path = path_of(request.bucket, request.key)
    found = await request.keys.parts.find(path, request.query.get("uploadId"))
    return parse_kind(found.media.checksum)


async def upload_part_copy(request: S3Request) -> None:
    """Store a range of an object as a part."""
    number, source = part_number(request), read_source(request)
    kind = await _kind(request)
    found = await find_source(request, source)
    span = _span(request, found)
    path, upload = path_of(request.bucket, request.key), request.query.get("uploadId")
    segment = await request.keys.parts.put_segment(path, upload, number, len(span))

    def span_of(manifest: Manifest) -> Span:
        if manifest.upload != found.upload:  # it was replaced meanwhile
            check_source(source.condition, manifest)
            if _span(request, manifest) != span:
                raise S3Error("SlowDown", "the source of the copy was replaced meanwhile, try again")
        return span

    note = await pump(
        lambda: request.keys.open(source.bucket, source.key, span_of),
        segment,
        request.make_md5 if request.door.settings.md5 else None,
        kind.algorithm,
    )
    kept = PartNote(note.md5, note.checksum)
    manifest, _ = await segment.finish(kept.kept())
    told = [] if kept.checksum is None else [text(kept.checksum.algorithm.element, kept.checksum.value)]
    body = document(
        "CopyPartResult",
        text("LastModified", format_time(manifest.created_ms)),
        text("ETag", f'"{kept.md5 or manifest.upload}"'),
        *told,
    )
    answer(request.http, 200, body)


def _span(request: S3Request, source: Manifest) -> Span:
    asked = request.header("x-amz-copy-source-range")
    if not asked:
        return Span(0, source.size)
    match = _RANGE.match(asked)
    if match is None or int(match[1]) > int(match[2]):
        raise S3Error(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
        )
    if int(match[2]) >= source.size:
        raise S3Error("InvalidRange", "The requested range is not satisfiable", ActualObjectSize=str(source.size))
    return Span(int(match[1]), int(match[2]) + 1)


async def list_parts(request: S3Request) -> None:
    """Answer with a page of the parts of an upload."""
    path, upload = path_of(request.bucket, request.key), request.query.get("uploadId")
    marker = request.query.get("part-number-marker") or "0"
    if not (marker.isascii() and marker.isdigit() and len(marker) < 10):
        raise S3Error("InvalidArgument", "part-number-marker should be a number", ArgumentName="part-number-marker")
    limit = read_limit(request, "max-parts")
    begun = await request.keys.parts.find(path, upload)
    found = await request.keys.parts.list_segments(path, upload, int(marker), limit + 1)
    parts = [Part.of(segment) for segment in found[:limit]]
    kind = parse_kind(begun.media.checksum)
    checksum = (
        []
        if kind.algorithm is None
        else [text("ChecksumAlgorithm", kind.algorithm.name), text("ChecksumType", kind.type)]
    )
    body = document(
        "ListPartsResult",
        text("Bucket", request.bucket),
        text("Key", request.key),
        text("UploadId", upload),
        owner_element(owner_of(request.proof.principal.name), "Initiator"),
        await told_owner(request),
        text("StorageClass", "STANDARD"),
        text("PartNumberMarker", marker),
        text("NextPartNumberMarker", parts[-1].segment.number if parts else 0),
        text("MaxParts", limit),
        text("IsTruncated", "true" if 0 < limit < len(found) else "false"),
        *checksum,
        *map(_part, parts),
    )
    answer(request.http, 200, body)


def _part(part: Part) -> str:
    checksum = part.note.checksum
    return element(
        "Part",
        text("PartNumber", part.segment.number),
        text("LastModified", format_time(part.segment.committed_ms)),
        text("ETag", f'"{part.etag}"'),
        text("Size", part.segment.size),
        "" if checksum is None else text(checksum.algorithm.element, checksum.value),
    )
