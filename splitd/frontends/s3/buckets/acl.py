"""The ACLs of buckets and objects: GetBucketAcl, PutBucketAcl, GetObjectAcl and PutObjectAcl.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html
"""

from __future__ import annotations

from functools import partial

from splitd.frontends.s3.acls import read_acl, read_policy, write_policy
from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.objects.get import refuse_version
from splitd.model.buckets import ACL
from splitd.model.media import Labels


async def get_bucket_acl(request: S3Request) -> None:
    """Tell who may list the keys of a bucket, besides those with a grant."""
    await request.keys.buckets.find(request.bucket)
    _refuse_anonymous(request)
    notes = await request.door.buckets.notes(request.bucket)
    answer(request.http, 200, write_policy(await request.owner(), notes.acl if notes.takes_acls else ""))


async def put_bucket_acl(request: S3Request) -> None:
    """Publish the keys of a bucket, or end that."""
    await request.keys.buckets.note(request.bucket, ACL, await _asked(request))
    answer(request.http, 200)


async def get_object_acl(request: S3Request) -> None:
    """Tell who may read an object, besides those with a grant."""
    refuse_version(request)
    manifest = await request.keys.stat_granted(request.bucket, request.key)
    _refuse_anonymous(request)
    notes = await request.door.buckets.notes(request.bucket)
    answer(request.http, 200, write_policy(await request.owner(), manifest.media.acl if notes.takes_acls else ""))


async def put_object_acl(request: S3Request) -> None:
    """Publish an object, or end that."""
    refuse_version(request)
    await request.keys.relabel(request.bucket, request.key, Labels(acl=await _asked(request)))
    answer(request.http, 200)


async def _asked(request: S3Request) -> str:
    canned, body = request.http.getHeader("x-amz-acl"), await request.read_xml()
    if canned is not None:
        if body:
            raise S3Error("InvalidRequest", "an ACL stands in the header or in the body, not in both")
        return read_acl(canned)
    if not body:
        raise S3Error("MissingSecurityHeader", "Your request was missing a required header: x-amz-acl")
    return await request.understand(body, partial(read_policy, owner=await request.owner()))


def _refuse_anonymous(request: S3Request) -> None:
    if request.proof.is_anonymous:
        raise S3Error("AccessDenied", "Access Denied")
