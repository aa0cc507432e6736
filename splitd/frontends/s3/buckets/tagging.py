"""The tags of a bucket: GetBucketTagging, PutBucketTagging and DeleteBucketTagging.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
"""

from __future__ import annotations

from functools import partial

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.objects.tagging import read_tags, write_tags
from splitd.model.buckets import TAGS

_MOST_TAGS = 50


async def get_bucket_tagging(request: S3Request) -> None:
    """Tell the tags."""
    await request.keys.bucket(request.bucket)
    tags = (await request.door.buckets.notes(request.bucket)).tags
    if not tags:
        raise S3Error("NoSuchTagSet", "The TagSet does not exist", BucketName=request.bucket)
    answer(request.http, 200, write_tags(tags))


async def put_bucket_tagging(request: S3Request) -> None:
    """Give a bucket other tags."""
    tags = await request.understand(await request.read_xml(), partial(read_tags, most=_MOST_TAGS))
    await request.keys.note(request.bucket, TAGS, tags)
    answer(request.http, 204)


async def delete_bucket_tagging(request: S3Request) -> None:
    """Take the tags of a bucket away."""
    await request.keys.note(request.bucket, TAGS, ())
    answer(request.http, 204)
