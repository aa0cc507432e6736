"""The end of a bucket: what is judged before its uploads are read, and what becomes of those."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs

from splitd.access.grants import READ, WRITE, Grants
from splitd.errors import CatalogAway, UploadUnknown
from splitd.frontends.s3.buckets.user_buckets import UserBuckets
from splitd.frontends.s3.errors import S3Error
from splitd.interfaces.continued import ContinuedUpload
from splitd.interfaces.keys import Listing
from splitd.model.keys import Key
from splitd.model.media import NO_BYTES, NO_MEDIA
from splitd.model.tree import Collection
from tests.fired import failed, fired


class Bucket:
    """A bucket in place of the store, its keys, its uploads and the notes."""

    def __init__(self, *uploads: str, keys: int = 0) -> None:
        self.uploads = [ContinuedUpload(each, f"/bucket/{each}", NO_MEDIA, 0, 0, 0, 0, 0) for each in uploads]
        self.keys = [Key(str(number), "", 0, 0, NO_BYTES) for number in range(keys)]
        self.aborted: list[str] = []
        self.listed = 0
        self.is_there = True

    def stat(self, *_: Any) -> Deferred[Any]:
        return succeed(Collection(0, 0))

    def list_keys(self, *_: Any) -> Deferred[Listing]:
        return succeed(Listing(self.keys, (), None))

    def list_uploads(self, *_: Any, to_abort: bool) -> Deferred[list[ContinuedUpload]]:
        assert to_abort
        self.listed += 1
        return succeed(self.uploads)

    def delete_empty(self, *_: Any) -> Deferred[None]:
        self.is_there = False
        return succeed(None)

    def abort(self, *named: str) -> Deferred[None]:
        _, upload, _ = named
        problem = {"ended": UploadUnknown("ended"), "stuck": CatalogAway("no database")}.get(upload)
        self.aborted.append(upload)
        return fail(problem) if problem else succeed(None)


def delete(bucket: Any) -> Deferred[None]:
    grants = Grants([("/", frozenset({READ, WRITE}))])
    return Deferred.fromCoroutine(UserBuckets(bucket, bucket, bucket, bucket, grants, bucket).delete("bucket"))


def test_an_upload_that_cannot_be_ended_hinders_neither_the_others_nor_the_answer() -> None:
    bucket = Bucket("one", "ended", "stuck", "two")
    with capturedLogs() as events:
        assert fired(delete(bucket)) is None
    assert (bucket.aborted, bucket.is_there) == (["one", "ended", "stuck", "two"], False)
    assert [each["upload"] for each in events if each["log_level"].name in {"critical", "error"}] == ["stuck"]


def test_a_bucket_with_an_object_is_refused_before_its_uploads_are_read() -> None:
    bucket = Bucket("one", keys=1)
    problem = failed(delete(bucket))
    assert isinstance(problem, S3Error)
    assert (problem.code, bucket.listed, bucket.is_there) == ("BucketNotEmpty", 0, True)
