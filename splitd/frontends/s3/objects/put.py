"""PutObject: stores the body of a request as an object.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import msgspec

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.conditions import write_condition
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.headers import describe_checksum, etag_of, read_media
from splitd.frontends.s3.payload.expected import Expected, refuse_no_length
from splitd.frontends.s3.payload.receiving import Received, receive
from splitd.interfaces.store import IUpload
from splitd.model.manifest import Manifest
from splitd.model.media import Media


async def put_object(request: S3Request) -> None:
    """Store the body under a key.  Whatever can be refused is refused before a byte of the body is read."""
    refuse_no_length(request.http)
    expected, media = request.expected(), read_media(request.http)
    upload = await request.keys.create(
        request.bucket, request.key, expected.length, media, write_condition(request.http)
    )
    manifest = await store(request, upload, expected, media)
    request.http.setHeader("ETag", etag_of(manifest))
    describe_checksum(request.http, manifest)
    answer(request.http, 200)


async def store(request: S3Request, upload: IUpload, expected: Expected, media: Media) -> Manifest:
    """Lead the body of a request into an upload, and commit it; return what was stored."""
    wants_md5 = request.door.settings.md5 or expected.md5 is not None
    received = await receive(request.http, upload, expected, request.make_md5 if wants_md5 else None)
    manifest, _ = await upload.finish(found_media(media, received).compact())
    return manifest


def found_media(media: Media, received: Received) -> Media:
    """Return what an object says of itself, with what was found of its bytes."""
    checksum = "" if received.checksum is None else received.checksum.kept()
    return msgspec.structs.replace(media, etag=received.md5, checksum=checksum)
