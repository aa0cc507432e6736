"""The tags of a bucket: GetBucketTagging, PutBucketTagging and DeleteBucketTagging.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.kept import drop_note, find_note
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.objects.tagging import read_tags, write_tags
from splitd.model.buckets import TAGS

MOST_BUCKET_TAGS = 50


async def get_bucket_tagging(request: S3Request) -> None:
    """Tell the tags."""
    tags = await find_note(request, attrgetter("tags"), "NoSuchTagSet", "The TagSet does not exist")
    answer(request.http, 200, write_tags(tags))


async def put_bucket_tagging(request: S3Request) -> None:
    """Give a bucket other tags."""
    tags = await request.understand(await request.read_xml(), partial(read_tags, most=MOST_BUCKET_TAGS))
    await request.keys.buckets.note(request.bucket, TAGS, tags)
    answer(request.http, 204)


async def delete_bucket_tagging(request: S3Request) -> None:
    """Take the tags of a bucket away."""
    await drop_note(request, TAGS)
