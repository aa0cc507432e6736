"""Whether ACLs count in a bucket: GetBucketOwnershipControls, PutBucketOwnershipControls and
DeleteBucketOwnershipControls.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
"""

from __future__ import annotations

from operator import attrgetter

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.kept import drop_note, find_note
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.xml import document, element, malformed, only_child, only_text, parse, refuse_others, text
from splitd.model.buckets import ENFORCED, OWNERSHIP, PREFERRED


async def get_bucket_ownership(request: S3Request) -> None:
    """Tell what was said of it."""
    missing = "OwnershipControlsNotFoundError", "The bucket ownership controls were not found"
    ownership = await find_note(request, attrgetter("ownership"), *missing)
    answer(request.http, 200, document("OwnershipControls", element("Rule", text("ObjectOwnership", ownership))))


async def put_bucket_ownership(request: S3Request) -> None:
    """Let ACLs count, or not."""
    ownership = await request.understand(await request.read_xml(), _read_controls)
    refuse_published(ownership, (await request.door.buckets.notes(request.bucket)).acl)
    await request.keys.buckets.note(request.bucket, OWNERSHIP, ownership)
    answer(request.http, 200)


async def delete_bucket_ownership(request: S3Request) -> None:
    """Let ACLs count, as in a bucket of which nobody has said it."""
    await drop_note(request, OWNERSHIP)


def _read_controls(body: bytes) -> str:
    root = parse(body, "OwnershipControls")
    refuse_others(root, {"Rule"})
    rule = only_child(root, "Rule")
    if rule is None:
        raise malformed()
    refuse_others(rule, {"ObjectOwnership"})
    return read_ownership(only_text(rule, "ObjectOwnership").strip())


def read_ownership(value: str) -> str:
    """Read who owns what is in a bucket.

    :raise S3Error: it is not known, or objects would belong to those who store them.
    """
    if value in {ENFORCED, PREFERRED}:
        return value
    if value == "ObjectWriter":
        raise S3Error("NotImplemented", "ObjectWriter is not supported: all that is in a bucket is its owner's")
    raise malformed()


def refuse_published(ownership: str, acl: str) -> None:
    """Refuse to let ACLs not count in a bucket whose own ACL publishes it.

    :raise S3Error: it does.
    """
    if ownership == ENFORCED and acl:
        raise S3Error(
            "InvalidBucketAclWithObjectOwnership",
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        )
