"""CompleteMultipartUpload: makes an object of the parts of an upload, without a copy.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import attrs
import msgspec

from splitd.errors import PreconditionFailed, UploadUnknown
from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.conditions import write_condition
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import etag_of
from splitd.frontends.s3.keys import as_key
from splitd.frontends.s3.multipart.notes import Kind, Part, checksum_of_parts, etag_of_parts, parse_kind
from splitd.frontends.s3.payload.checksums import ALGORITHMS, BY_FIELD, Checksum, keep_with_parts, parse_kept
from splitd.frontends.s3.target import path_of
from splitd.frontends.s3.xml import document, malformed, only_text, parse, refuse_others, text
from splitd.model.manifest import Manifest
from splitd.model.segments import MAX_SEGMENTS

LEAST_PART = 5 * 1024 * 1024
"""The least bytes of each part but the last one."""

_PAGE = 1000
_OF_PART = frozenset({"ETag", "PartNumber", *(each.element for each in ALGORITHMS.values()), "LastModified", "Size"})
"""The last two are those of ListParts, which MinIO's clients for Java and Go may send along.  They change nothing."""


@attrs.frozen
class _Named:
    """A part as the client names it.

    :param checksums: its checksums by the names of their elements.
    """

    number: int
    etag: str
    checksums: dict[str, str]


async def complete_upload(request: S3Request) -> None:
    """Make the object.  It may be asked again, if the answer was lost."""
    named = await request.understand(await request.read_body(), _read_list)
    if not named or len(named) > MAX_SEGMENTS:
        raise malformed()
    numbers = [each.number for each in named]
    if sorted(set(numbers)) != numbers:
        raise S3Error(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
        )
    try:
        manifest = await _complete(request, named)
    except UploadUnknown:
        manifest = await _completed(request, named)
    checksum = parse_kept(manifest.media.checksum)
    told = (
        []
        if checksum is None
        else [text(checksum.algorithm.element, checksum.value), text("ChecksumType", checksum.type)]
    )
    body = document(
        "CompleteMultipartUploadResult",
        text("Location", request.location(request.key)),
        text("Bucket", request.bucket),
        text("Key", request.key),
        text("ETag", etag_of(manifest)),
        *told,
    )
    answer(request.http, 200, body)


def _read_list(body: bytes) -> list[_Named]:
    root = parse(body, "CompleteMultipartUpload")
    refuse_others(root, {"Part"})
    return [_read(each) for each in root]


def _read(part: Element) -> _Named:
    number = only_text(part, "PartNumber").strip()
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise malformed()
    refuse_others(part, _OF_PART)
    checksums = {each.element: only_text(part, each.element, "") for each in ALGORITHMS.values()}
    return _Named(int(number), only_text(part, "ETag").strip().strip('"'), {k: v for k, v in checksums.items() if v})


async def _complete(request: S3Request, named: Sequence[_Named]) -> Manifest:
    path, upload = path_of(request.bucket, request.key), request.query.get("uploadId")
    begun = await request.keys.parts.find(path, upload)
    kind = parse_kind(begun.media.checksum)
    stored = await _stored(request, path, upload)
    parts = [_find(stored, each) for each in named]
    for part in parts[:-1]:
        if part.segment.size < LEAST_PART:
            raise S3Error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                PartNumber=str(part.segment.number),
                ETag=part.etag,
                MinSizeAllowed=str(LEAST_PART),
                ProposedSize=str(part.segment.size),
            )
    _check_size(request, sum(part.segment.size for part in parts))
    checksum = checksum_of_parts(kind, parts)
    _check_checksum(request, kind, checksum)
    media = msgspec.structs.replace(
        begun.media,
        etag=etag_of_parts([part.etag for part in parts]),
        checksum="" if checksum is None else keep_with_parts(checksum, _checksums(parts)),
    )
    chosen = [(part.segment.number, part.segment.upload) for part in parts]
    condition = write_condition(request.http)
    try:
        manifest, _ = await request.keys.parts.complete(path, upload, chosen, as_key(condition), media)
    except PreconditionFailed:
        await request.keys.refuse_missing(request.bucket, request.key, condition)
        raise
    return manifest


def _checksums(parts: Sequence[Part]) -> list[str]:
    return [part.note.checksum.value for part in parts if part.note.checksum is not None]


async def _stored(request: S3Request, path: str, upload: str) -> dict[int, Part]:
    found: dict[int, Part] = {}
    after = 0
    while True:
        page = await request.keys.parts.list_segments(path, upload, after, _PAGE)
        found.update((segment.number, Part.of(segment)) for segment in page)
        if len(page) < _PAGE:
            return found
        after = page[-1].number


def _find(stored: dict[int, Part], named: _Named) -> Part:
    part = stored.get(named.number)
    if part is not None and part.etag == named.etag:
        checksum = part.note.checksum
        known = {} if checksum is None else {checksum.algorithm.element: checksum.value}
        if all(known.get(name, value) == value for name, value in named.checksums.items()):
            return part
    raise S3Error(
        "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag.",
        PartNumber=str(named.number),
        ETag=named.etag[:100],
    )


def _check_size(request: S3Request, size: int) -> None:
    stated = request.header("x-amz-mp-object-size")
    if stated and stated != str(size):
        raise S3Error("InvalidRequest", f"x-amz-mp-object-size is {stated[:20]}, and the parts have {size} bytes")


def _check_checksum(request: S3Request, kind: Kind, found: Checksum | None) -> None:
    asked = request.header("x-amz-checksum-type").upper()
    if asked and kind.algorithm is not None and asked != kind.type:
        raise S3Error("InvalidRequest", f"the upload was begun with the checksum type {kind.type}")
    for field, algorithm in BY_FIELD.items():
        stated = request.header(field)
        if not stated:
            continue
        if found is None or found.algorithm is not algorithm:
            raise S3Error("InvalidRequest", f"the upload was not begun with the checksum algorithm {algorithm.name}")
        if stated not in {found.value, found.value.partition("-")[0]}:
            raise S3Error("BadDigest", f"The {algorithm.name} you specified did not match the calculated checksum.")


async def _completed(request: S3Request, named: Sequence[_Named]) -> Manifest:
    """Return the object if it was made of these parts already.

    :raise S3Error: it was not.
    """
    found = await request.keys.find(request.bucket, request.key)
    upload = request.query.get("uploadId")
    if found is not None and found.upload == upload:
        try:
            if found.media.etag == etag_of_parts([each.etag for each in named]):
                return found
        except ValueError:  # they are no tags of parts
            pass
    raise no_such_upload(upload)


def no_such_upload(upload: str) -> S3Error:
    """Return the refusal of an upload that is not under way."""
    return S3Error(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
        UploadId=upload[:100],
    )
