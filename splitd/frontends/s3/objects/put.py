"""PutObject: stores the body of a request as an object.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.conditions import write_condition
from splitd.frontends.s3.door import OWNER, S3Request
from splitd.frontends.s3.headers import describe_checksum, etag_of, read_media
from splitd.frontends.s3.payload.expected import Expected, refuse_no_length
from splitd.frontends.s3.payload.hashing import INLINE
from splitd.frontends.s3.payload.receiving import Received, check_whole, receive, without_framing
from splitd.interfaces.store import IUpload
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from storaged.http import IRequest, reason_of

DECIDING = frozenset({b"origin", b"x-amz-copy-source", OWNER})
"""The headers that decide whether a PUT without a query stores its body, and how it is answered, in lower case, but for
those that `put_soon` reads.
"""


async def put_object(request: S3Request) -> None:
    """Store the body under a key.  Whatever can be refused is refused before a byte of the body is read."""
    refuse_no_length(request.http)
    expected, media = request.expected(), read_media(request.http)
    upload = await request.keys.create(
        request.bucket, request.key, expected.length, media, write_condition(request.http)
    )
    answer_stored(request.http, await store(request, upload, expected, media))


def put_soon(request: S3Request, data: bytes) -> Deferred[tuple[Manifest, bool]] | None:
    """Store a body that has arrived under a key, if nothing has to be waited for; none of `DECIDING` may have come.

    :param data: the body, with its framing, if it has one.
    :return: a Deferred as that of `IUpload.finish`, which also fails with an S3Error if the body is not what the
        request said; None if nothing was begun, because only `put_object` can store the body, or tell why it cannot be
        stored.
    :raise S3Error: the request is refused, and nothing was begun.
    """
    if len(data) > INLINE:
        return None
    expected = request.expected()
    if not expected.length:
        return None
    media, condition = read_media(request.http), write_condition(request.http)
    upload = request.keys.create_soon(request.bucket, request.key, expected.length, media, condition)
    if upload is None:
        return None
    try:
        data = without_framing(data, expected)
        upload.write(data)
        received = check_whole(data, expected, wants_md5=request.door.settings.md5)
    except Exception as problem:
        return _given_up(upload, problem)
    return upload.finish(found_media(media, received).compact())


def _given_up(upload: IUpload, problem: Exception) -> Deferred[tuple[Manifest, bool]]:
    """Abort an upload; return a Deferred that fails with the reason."""
    failure = Failure(problem)  # not made in a frame of its own traceback, which would be a cycle with the body in it
    return upload.abort(reason_of(problem)).addCallback(lambda _: failure)


def answer_stored(request: IRequest, manifest: Manifest) -> None:
    """Answer that an object is stored."""
    request.setHeader("ETag", etag_of(manifest))
    describe_checksum(request, manifest)
    answer(request, 200)


async def store(request: S3Request, upload: IUpload, expected: Expected, media: Media) -> Manifest:
    """Lead the body of a request into an upload, and commit it; return what was stored."""
    wants_md5 = request.door.settings.md5 or expected.md5 is not None
    received = await receive(request.http, upload, expected, request.make_md5 if wants_md5 else None)
    manifest, _ = await upload.finish(found_media(media, received).compact())
    return manifest


def found_media(media: Media, received: Received) -> Media:
    """Return what an object says of itself, with what was found of its bytes."""
    if not received.md5 and received.checksum is None:
        return media
    checksum = "" if received.checksum is None else received.checksum.kept()
    return msgspec.structs.replace(media, etag=received.md5, checksum=checksum)
