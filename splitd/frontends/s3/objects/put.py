"""PutObject: stores the body of a request as an object.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.conditions import write_condition
from splitd.frontends.s3.door import OWNER, S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import describe_checksum, etag_of, read_media
from splitd.frontends.s3.payload.expected import Expected, refuse_no_length
from splitd.frontends.s3.payload.hashing import INLINE
from splitd.frontends.s3.payload.receiving import Received, check_whole, receive
from splitd.interfaces.store import IUpload
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from storaged.http import IRequest, reason_of

DECIDING = frozenset({b"origin", b"x-amz-copy-source", OWNER})
"""The headers that decide whether a PUT without a query stores its body, and how it is answered, in lower case, but for
those that `begin_soon` reads.
"""


async def put_object(request: S3Request) -> None:
    """Store the body under a key.  Whatever can be refused is refused before a byte of the body is read."""
    refuse_no_length(request.http)
    expected, media = request.expected(), read_media(request.http)
    upload = await request.keys.create(
        request.bucket, request.key, expected.length, media, write_condition(request.http)
    )
    answer_stored(request.http, await store(request, upload, expected, media))


def begin_soon(request: S3Request) -> SmallObject | None:
    """Begin to store a body under a key, if nothing has to be waited for; none of `DECIDING` may have come.

    :return: what takes the body; None if nothing was begun, because only `put_object` can store the body, or tell why
        it cannot be stored.
    :raise S3Error: the request is refused, and nothing was begun.
    """
    body = request.http.body
    if not body.length or body.length > INLINE:
        return None
    expected = request.expected()
    if not expected.length:
        return None
    media, condition = read_media(request.http), write_condition(request.http)
    upload = request.keys.create_soon(
        request.bucket, request.key, expected.length, media, condition, assumes=body.complete
    )
    return None if upload is None else SmallObject(upload, expected, media, wants_md5=request.door.settings.md5)


@implementer(IConsumer)
class SmallObject:
    """Takes the body of a small object, with its framing, if it has one, and stores it.

    :param wants_md5: see `check_whole`.
    """

    def __init__(self, upload: IUpload, expected: Expected, media: Media, *, wants_md5: bool) -> None:
        self._upload = upload
        self._expected = expected
        self._media = media
        self._wants_md5 = wants_md5
        self._pieces: list[bytes] = []  # without their framing, which no upload counts
        self._problem: S3Error | None = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the body, which is never paused: the object is small."""

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        decoder = self._expected.decoder
        if decoder is None:
            self._pieces.append(data)
        elif self._problem is None:
            try:
                self._pieces += decoder.feed(data)
            except S3Error as problem:
                self._problem = problem

    def finish(self) -> Deferred[tuple[Manifest, bool]]:
        """Store the object after the last byte of its body.

        :return: a Deferred as that of `IUpload.finish`, which also fails with an S3Error if the body is not what the
            request said.
        """
        upload, expected, problem = self._upload, self._expected, self._problem
        data, self._pieces, self._problem = b"".join(self._pieces), [], None
        if problem is not None:
            return _given_up(upload, problem)
        try:
            if expected.decoder is not None:
                expected.decoder.finish()
            upload.write(data)
            received = check_whole(data, expected, wants_md5=self._wants_md5)
        except Exception as fault:
            return _given_up(upload, fault)
        return upload.finish(found_media(self._media, received).compact())

    def abort(self, reason: str) -> Deferred[None]:
        """Store nothing; see `IUpload.abort`."""
        self._pieces, self._problem = [], None
        return self._upload.abort(reason)


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
