"""CreateMultipartUpload, AbortMultipartUpload and ListMultipartUploads.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
"""

from __future__ import annotations

import msgspec

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.listing import encoder_of, owner_element, read_limit, told_owner
from splitd.frontends.s3.buckets.notes import owner_of
from splitd.frontends.s3.conditions import write_condition
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.headers import read_media
from splitd.frontends.s3.multipart.notes import make_kind, parse_kind
from splitd.frontends.s3.payload.checksums import find_algorithm
from splitd.frontends.s3.target import path_of
from splitd.frontends.s3.xml import document, element, format_time, text
from splitd.interfaces.continued import ContinuedUpload

_LAST = "\U0010ffff"
"""A character behind all others."""


async def create_upload(request: S3Request) -> None:
    """Begin an upload in parts.

    A condition must hold now.  It is not kept for the completion, which has one of its own.
    """
    stated = request.header("x-amz-checksum-algorithm")
    kind = make_kind(find_algorithm(stated) if stated else None, request.header("x-amz-checksum-type"))
    media = msgspec.structs.replace(read_media(request.http), checksum=kind.kept())
    begun = await request.keys.begin_parts(request.bucket, request.key, media, write_condition(request.http))
    if kind.algorithm is not None:
        request.http.setHeader("x-amz-checksum-algorithm", kind.algorithm.name)
        request.http.setHeader("x-amz-checksum-type", kind.type)
    body = document(
        "InitiateMultipartUploadResult",
        text("Bucket", request.bucket),
        text("Key", request.key),
        text("UploadId", begun.upload),
    )
    answer(request.http, 200, body)


async def abort_upload(request: S3Request) -> None:
    """End an upload; its parts are deleted."""
    path = path_of(request.bucket, request.key)
    await request.keys.parts.abort(path, request.query.get("uploadId"), "its client ended it")
    answer(request.http, 204)


async def list_uploads(request: S3Request) -> None:
    """Answer with a page of the uploads under way."""
    query, encode = request.query, encoder_of(request)
    await request.keys.buckets.reach(request.bucket)
    prefix, delimiter = query.get("prefix"), query.get("delimiter")
    marker, upload_marker = query.get("key-marker"), query.get("upload-id-marker")
    limit = read_limit(request, "max-uploads")
    uploads, prefixes, last = await _collect(request, (marker, upload_marker), limit)
    told = [
        text("Bucket", request.bucket),
        text("KeyMarker", encode(marker)),
        text("UploadIdMarker", upload_marker),
        text("Prefix", encode(prefix)),
        text("Delimiter", encode(delimiter)) if delimiter else "",
        text("EncodingType", query.get("encoding-type")) if query.get("encoding-type") else "",
        text("MaxUploads", limit),
        text("IsTruncated", "true" if last else "false"),
    ]
    if last is not None:
        told += [text("NextKeyMarker", encode(last[0])), text("NextUploadIdMarker", last[1])]
    whose = owner_element(owner_of(request.proof.principal.name), "Initiator") + await told_owner(request)
    told += [_upload(each, encode(_key(request, each)), whose) for each in uploads]
    told += [element("CommonPrefixes", text("Prefix", encode(each))) for each in prefixes]
    answer(request.http, 200, document("ListMultipartUploadsResult", *told))


async def _collect(
    request: S3Request, marker: tuple[str, str], limit: int
) -> tuple[list[ContinuedUpload], list[str], tuple[str, str] | None]:
    """Return the uploads and the common prefixes of a page, and key and id of its last one if there are more."""
    prefix, delimiter = request.query.get("prefix"), request.query.get("delimiter")
    uploads: list[ContinuedUpload] = []
    prefixes: list[str] = []
    last = ("", "")
    after = _after(request, *marker) if marker[0] else ("", "")
    if delimiter and marker[0].endswith(delimiter) and marker[0].startswith(prefix) and marker[0] != prefix:
        after = _behind(path_of(request.bucket, marker[0]))  # it is a common prefix that was told
    while limit:
        wanted = limit + 1 - len(uploads) - len(prefixes)
        page = await request.keys.parts.list_uploads(path_of(request.bucket, prefix), after, wanted)
        for each in page:
            if len(uploads) + len(prefixes) == limit:
                return uploads, prefixes, last
            key = _key(request, each)
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end >= 0:
                prefixes.append(key[: end + len(delimiter)])
                last, after = (prefixes[-1], ""), _behind(path_of(request.bucket, prefixes[-1]))
                break
            uploads.append(each)
            last, after = (key, each.upload), (each.path, each.upload)
        else:
            if len(page) < wanted:
                break
    return uploads, prefixes, None


def _after(request: S3Request, key: str, upload: str) -> tuple[str, str]:
    # Without an upload, all of the key's are left out.
    return path_of(request.bucket, key), upload or _LAST


def _behind(prefix: str) -> tuple[str, str]:
    """Return what all uploads come before whose paths begin with a prefix, which begins with a slash, and no others."""
    rest = prefix.rstrip(_LAST)
    following = ord(rest[-1]) + 1
    # No text has surrogates.
    return rest[:-1] + chr(0xE000 if following == 0xD800 else following), ""


def _key(request: S3Request, upload: ContinuedUpload) -> str:
    return upload.path.removeprefix(path_of(request.bucket, ""))


def _upload(upload: ContinuedUpload, key: str, whose: str) -> str:
    kind = parse_kind(upload.media.checksum)
    checksum = (
        ""
        if kind.algorithm is None
        else text("ChecksumAlgorithm", kind.algorithm.name) + text("ChecksumType", kind.type)
    )
    return element(
        "Upload",
        text("Key", key),
        text("UploadId", upload.upload),
        whose,
        text("StorageClass", "STANDARD"),
        text("Initiated", format_time(upload.began_ms)),
        checksum,
    )
