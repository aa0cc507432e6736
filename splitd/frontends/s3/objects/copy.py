"""CopyObject: gives an object another key, or other headers.  The copy shares the parts, so no byte is moved.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

import attrs

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.notes import owner_of_bucket
from splitd.frontends.s3.conditions import check_source, read_condition, write_condition
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import etag_of, read_media
from splitd.frontends.s3.keys import unchanged_since
from splitd.frontends.s3.payload.checksums import find_algorithm, parse_kept
from splitd.frontends.s3.target import check_key, decode_key, path_of
from splitd.frontends.s3.xml import document, format_time, text
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Labels

_COPY, _REPLACE = "COPY", "REPLACE"


@attrs.frozen
class Source:
    """The object that is copied.

    :param condition: what must hold for it.
    """

    bucket: str
    key: str
    condition: Condition


def read_source(request: S3Request) -> Source:
    """Read `x-amz-copy-source` and its conditions.

    :raise S3Error: it names no object, or a version that there is not.
    """
    raw, _, version = request.header("x-amz-copy-source").partition("?versionId=")
    bucket, slash, key = decode_key(raw.encode("utf-8", "surrogateescape")).removeprefix("/").partition("/")
    if not slash or not key:
        raise S3Error("InvalidArgument", "Invalid copy source object key", ArgumentName="x-amz-copy-source")
    if version not in {"", "null"}:
        raise S3Error("NoSuchVersion", "The specified version does not exist.", VersionId=version[:100])
    return Source(bucket, check_key(key), read_condition(request.http, "x-amz-copy-source-"))


async def find_source(request: S3Request, source: Source) -> Manifest:
    """Return the object that is copied.

    :raise S3Error: there is none, a condition for it does not hold, or its bucket is not whose the request says.
    """
    expected = request.header("x-amz-source-expected-bucket-owner")
    if expected:
        notes = await request.door.buckets.notes(source.bucket)
        if owner_of_bucket(notes, request.proof.principal)[0] != expected:
            raise S3Error("AccessDenied", "Access Denied")
    manifest = await request.keys.stat(source.bucket, source.key)
    check_source(source.condition, manifest)
    return manifest


async def copy_object(request: S3Request) -> None:
    """Copy an object, with its headers or with those of the request."""
    source = read_source(request)
    found = await find_source(request, source)
    replaces = _directive(request, "x-amz-metadata-directive") == _REPLACE
    retags = _directive(request, "x-amz-tagging-directive") == _REPLACE
    is_same = path_of(source.bucket, source.key) == path_of(request.bucket, request.key)
    # As at Amazon, the storage class that an object has already counts as another one.
    if is_same and not replaces and not retags and not request.header("x-amz-storage-class"):
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes.",
        )
    stated = request.header("x-amz-checksum-algorithm")
    _refuse_other_checksum(found, stated)
    asked = read_media(request.http)
    # A copy is private unless it is published itself.
    labels = Labels(asked if replaces else None, asked.tags if retags else None, asked.acl)
    # If anything of the source was judged, that must be what is copied.
    only = ALWAYS if source.condition is ALWAYS and not stated else unchanged_since(found)
    manifest = await request.keys.copy(
        (source.bucket, source.key), (request.bucket, request.key), labels, only, write_condition(request.http)
    )
    checksum = parse_kept(manifest.media.checksum)
    told = (
        []
        if checksum is None
        else [text(checksum.algorithm.element, checksum.value), text("ChecksumType", checksum.type)]
    )
    body = document(
        "CopyObjectResult",
        text("LastModified", format_time(manifest.created_ms)),
        text("ETag", etag_of(manifest)),
        *told,
    )
    answer(request.http, 200, body)


def _directive(request: S3Request, name: str) -> str:
    value = request.header(name) or _COPY
    if value not in {_COPY, _REPLACE}:
        raise S3Error("InvalidArgument", f"Unknown {name}: {value[:40]}", ArgumentName=name)
    return value


def _refuse_other_checksum(found: Manifest, stated: str) -> None:
    kept = parse_kept(found.media.checksum)
    if stated and (kept is None or kept.algorithm is not find_algorithm(stated)):
        raise S3Error("NotImplemented", "a copy has the checksum of its source; others would need all of its bytes")
