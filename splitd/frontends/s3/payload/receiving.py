"""Leads the bytes of a body into an upload, and computes their checksums on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.payload.checksums import Checksum, IHash, encode
from splitd.frontends.s3.payload.expected import Expected
from splitd.frontends.s3.payload.hashing import ThreadedMD5
from splitd.interfaces.store import IUpload
from storaged.http import IRequest, reason_of, receive_body
from storaged.system.once import Once
from storaged.system.parallel import compute_at_once


@attrs.frozen
class Received:
    """What was found of a body whose checksums are right.

    :param md5: its MD5 in hexadecimal digits; empty if it was not computed.
    :param checksum: its checksum of S3; None if it came without one.
    """

    md5: str
    checksum: Checksum | None


class _Sums:
    """The SHA-256 that was signed, and the checksum, of one body, as far as it came with them."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._sha256: IHash | None = hashlib.sha256() if expected.sha256 else None
        algorithm = expected.algorithm or expected.computed
        self._hash = None if algorithm is None else algorithm.new()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._sha256 is not None:
            self._sha256.update(data)
        if self._hash is not None:
            self._hash.update(data)

    def check(self) -> Checksum | None:
        """Check both after the last byte; return the checksum.

        :raise S3Error: one is not what the request said.
        """
        if self._sha256 is not None and self._sha256.digest().hex() != self._expected.sha256:
            raise S3Error(
                "XAmzContentSHA256Mismatch", "the body does not have the SHA-256 that x-amz-content-sha256 says"
            )
        return self._check_checksum()

    def _check_checksum(self) -> Checksum | None:
        expected, algorithm = self._expected, self._expected.algorithm
        trailer = {} if expected.decoder is None else expected.decoder.trailer
        for name in trailer:
            if algorithm is None or name != algorithm.field:
                raise S3Error("MalformedTrailerError", f"{name[:80]} is in the trailer, and x-amz-trailer lacks it")
        if self._hash is None:
            return None
        if algorithm is None:
            return None if expected.computed is None else Checksum(expected.computed, encode(self._hash.digest()))
        stated = expected.checksum
        if not stated:
            if algorithm.field not in trailer:
                raise S3Error("MalformedTrailerError", f"the trailer lacks {algorithm.field}, which was announced")
            stated = algorithm.check(trailer[algorithm.field])
        found = encode(self._hash.digest())
        if found != stated:
            raise S3Error(
                "BadDigest", f"The {algorithm.name} you specified did not match the calculated checksum: {found}"
            )
        return Checksum(algorithm, found)


def _received(expected: Expected, md5: bytes | None, checksum: Checksum | None) -> Received:
    """Return what was found of a body, if its MD5 is right, too.

    :param md5: its MD5; None if it was not computed.
    :raise S3Error: it is not what the request said.
    """
    if expected.md5 is not None and md5 != expected.md5:
        raise S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.")
    return Received("" if md5 is None else md5.hex(), checksum)


def check_whole(data: bytes, expected: Expected, *, wants_md5: bool) -> Received:
    """Check a short body that is in memory.

    :param data: its bytes, without its framing.
    :param wants_md5: whether the MD5 is wanted; if one was stated, it is computed in any case.
    :raise S3Error: it is not what the request said.
    """
    sums = _Sums(expected)
    sums.update(data)
    checksum = sums.check()
    has_md5 = wants_md5 or expected.md5 is not None
    return _received(expected, hashlib.md5(data, usedforsecurity=False).digest() if has_md5 else None, checksum)


@implementer(IConsumer, IPushProducer)
class Receiver:
    """Passes the bytes of one body on.  It is a consumer for the body, and a producer for the upload.

    :param consumer: where the bytes go.
    :param make_md5: makes the computation of the MD5, given what is called when it cannot take more; None if the MD5 is
        not wanted.
    """

    def __init__(
        self,
        consumer: IConsumer,
        expected: Expected,
        make_md5: Callable[[Callable[[bool], None]], ThreadedMD5] | None,
    ) -> None:
        self._consumer = consumer
        self._expected = expected
        self._sums = _Sums(expected)
        self._full: set[str] = set()
        self._producer: Any = None
        self._md5 = None if make_md5 is None else make_md5(lambda full: self._set_full("md5", full))
        self._broken: Once[Exception] = Once()
        self._is_broken = False
        self._size = 0

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a fault of the body.

        :return: a Deferred that fires with the reason, as its result.
        """
        return self._broken.wait()

    def break_off(self, problem: Exception) -> None:
        """Take nothing more."""
        if not self._is_broken:
            self._is_broken = True
            self._broken.fire(problem)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the body."""
        self._producer = producer
        self._consumer.registerProducer(self, streaming)

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""
        self._producer = None
        self._consumer.unregisterProducer()

    def pauseProducing(self) -> None:
        """Pause the client: the upload cannot take more."""
        self._set_full("upload", True)

    def resumeProducing(self) -> None:
        """Let the client go on, unless the checksum cannot take more."""
        self._set_full("upload", False)

    def stopProducing(self) -> None:
        """Pause the client for good."""
        self.pauseProducing()

    def _set_full(self, who: str, full: bool) -> None:
        before = bool(self._full)
        if full:
            self._full.add(who)
        else:
            self._full.discard(who)
        if self._producer is not None and bool(self._full) != before:
            if self._full:
                self._producer.pauseProducing()
            else:
                self._producer.resumeProducing()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._is_broken:
            return
        try:
            pieces = [data] if self._expected.decoder is None else self._expected.decoder.feed(data)
        except S3Error as problem:
            self.break_off(problem)
            return
        for piece in pieces:
            self._size += len(piece)
            self._sums.update(piece)
            if self._md5 is not None:
                self._md5.update(piece)
            self._consumer.write(piece)

    async def finish(self) -> Received:
        """Check the body after its last byte.

        :raise S3Error: it is not what the request said.
        """
        expected = self._expected
        if expected.decoder is not None:
            expected.decoder.finish()
        checksum = self._sums.check()
        return _received(expected, None if self._md5 is None else await self._md5.digest(), checksum)


async def receive(
    request: IRequest,
    upload: IUpload,
    expected: Expected,
    make_md5: Callable[[Callable[[bool], None]], ThreadedMD5] | None,
) -> Received:
    """Lead the body of a request into an upload, and check it.

    :raise S3Error: the body is not what the request said.  After any error the upload is aborted.
    :raise SplitdError: the upload failed.
    :raise BodyBroken: the client left.
    """
    try:
        receiver = Receiver(IConsumer(upload), expected, make_md5)
        upload.when_broken().addCallback(receiver.break_off)
        await receive_body(request, receiver, receiver.when_broken())
        return await receiver.finish()
    except BaseException as problem:
        await upload.abort(reason_of(problem))
        raise


async def collect(request: IRequest, expected: Expected, limit: int) -> bytes:
    """Return a short body, and check it.

    :param limit: the most bytes that it may have.
    :raise S3Error: it has more, or is not what the request said.
    :raise BodyBroken: the client left.
    """
    too_long = S3Error("MaxMessageLengthExceeded", f"Your request was too big: more than {limit} bytes")
    if (expected.length or 0) > limit:
        raise too_long
    kept = _Kept(limit)
    receiver = Receiver(kept, expected, lambda set_full: ThreadedMD5(compute_at_once, set_full))
    kept.overflow = lambda: receiver.break_off(too_long)
    await receive_body(request, receiver, receiver.when_broken())
    await receiver.finish()
    return bytes(kept.data)


@implementer(IConsumer)
class _Kept:
    """Keeps the bytes of a short body.

    :ivar overflow: called when there are too many.
    """

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.overflow: Callable[[], object] = lambda: None
        self._limit = limit

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Accept the producer.  It is never paused, because the body is short."""

    def unregisterProducer(self) -> None:
        """Do nothing: the producer was not kept."""

    def write(self, data: bytes) -> None:
        """Keep the next bytes."""
        if len(self.data) + len(data) > self._limit:
            self.overflow()
        else:
            self.data += data
