"""ListBuckets, and making, finding and deleting a bucket."""

from __future__ import annotations

from splitd.errors import NameTaken
from splitd.frontends.s3.acls import read_acl
from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.listing import owner_element
from splitd.frontends.s3.buckets.notes import owner_of
from splitd.frontends.s3.buckets.ownership import read_ownership, refuse_published
from splitd.frontends.s3.buckets.tagging import MOST_BUCKET_TAGS
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import check_tags
from splitd.frontends.s3.objects.tagging import Tags, read_tag_set
from splitd.frontends.s3.target import is_bucket_name
from splitd.frontends.s3.xml import document, element, format_time, only_text, parse, refuse_others, text
from splitd.model.buckets import ACL, OWNER, OWNERSHIP, TAGS, BucketNotes

DEFAULT_REGION = "us-east-1"


async def list_buckets(request: S3Request) -> None:
    """Answer with all buckets that the user may read, a page of them if that is asked for."""
    query = request.query
    limit = query.get("max-buckets")
    if limit and not (limit.isascii() and limit.isdigit() and len(limit) < 10 and 1 <= int(limit) <= 10_000):
        raise S3Error("InvalidArgument", "max-buckets should be from 1 to 10000", ArgumentName="max-buckets")
    prefix, after = query.get("prefix"), query.get("continuation-token")
    region = request.door.settings.region
    is_here = query.get("bucket-region", region) == region
    buckets = await request.keys.buckets.all() if is_here else []
    found = [each for each in buckets if each[0].startswith(prefix) and each[0] > after]
    shown = found[: int(limit)] if limit else found
    told = [
        element("Bucket", text("Name", name), text("CreationDate", format_time(bucket.created_ms)))
        for name, bucket in shown
    ]
    more = [text("ContinuationToken", shown[-1][0])] if len(shown) < len(found) else []
    answer(
        request.http,
        200,
        document(
            "ListAllMyBucketsResult",
            owner_element(owner_of(request.proof.principal.name)),
            element("Buckets", *told),
            *more,
            text("Prefix", prefix) if prefix else "",
        ),
    )


async def create_bucket(request: S3Request) -> None:
    """Make a bucket: a collection right below the root."""
    name = request.bucket
    if not is_bucket_name(name):
        raise S3Error("InvalidBucketName", "The specified bucket is not valid.", BucketName=name[:100])
    locked = "x-amz-bucket-object-lock-enabled"
    if request.header(locked) not in {"", "false"}:
        raise S3Error("NotImplemented", f"{locked}: {request.header(locked)[:40]} is not supported", Header=locked)
    acl, stated = read_acl(request.http.getHeader("x-amz-acl")), request.http.getHeader("x-amz-object-ownership")
    ownership = "" if stated is None else read_ownership(stated)
    refuse_published(ownership, acl)
    region, body = request.door.settings.region, await request.read_xml()
    tags: Tags = ()
    if body:
        asked, tags = await request.understand(body, _read_configuration)
        if asked not in {"", region, "EU" if region == "eu-west-1" else region}:
            raise S3Error(
                "InvalidLocationConstraint", f"The specified location-constraint is not valid: this is {region}"
            )
    try:
        owner = request.proof.principal.name
        await request.keys.buckets.make(name, {OWNER: owner, OWNERSHIP: ownership, ACL: acl, TAGS: tags})
    except NameTaken:
        await _refuse_taken(request, BucketNotes(acl=acl, tags=tags, ownership=ownership))
    request.http.setHeader("Location", f"/{name}")
    answer(request.http, 200)


def _read_configuration(body: bytes) -> tuple[str, Tags]:
    """Return the region and the tags."""
    root = parse(body, "CreateBucketConfiguration")
    refuse_others(root, {"LocationConstraint", "Tags"})
    tags = [tag for each in root.findall("Tags") for tag in read_tag_set(each, MOST_BUCKET_TAGS)]
    return only_text(root, "LocationConstraint", ""), check_tags(tags, MOST_BUCKET_TAGS)


async def _refuse_taken(request: S3Request, asked: BucketNotes) -> None:
    """Refuse to make what is there; in the first of Amazon's regions that succeeds, as it does there.

    :param asked: the bucket that is asked for.
    """
    name = request.bucket
    try:
        await request.keys.buckets.find(name)
    except S3Error:
        raise S3Error("BucketAlreadyExists", "The requested bucket name is not available.", BucketName=name) from None
    if (await request.owner())[1] != owner_of(request.proof.principal.name)[1]:
        raise S3Error("BucketAlreadyExists", "The requested bucket name is not available.", BucketName=name)
    if request.door.settings.region != DEFAULT_REGION:
        raise S3Error(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
            BucketName=name,
        )
    found = await request.door.buckets.notes(name)
    is_other = asked.acl != found.acl or asked.ownership not in {"", found.ownership}
    if is_other or (asked.tags and sorted(asked.tags) != sorted(found.tags)):
        raise S3Error(
            "BucketAlreadyExists", "You own this bucket already, with another ACL, ownership or tags.", BucketName=name
        )


async def head_bucket(request: S3Request) -> None:
    """Tell whether there is a bucket."""
    await request.keys.buckets.reach(request.bucket)
    request.http.setHeader("x-amz-bucket-region", request.door.settings.region)
    answer(request.http, 200)


async def delete_bucket(request: S3Request) -> None:
    """Delete a bucket that is empty."""
    await request.keys.buckets.delete(request.bucket)
    answer(request.http, 204)
