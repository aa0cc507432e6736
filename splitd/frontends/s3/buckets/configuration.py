"""The configuration of a bucket: what is the same for all of them, and what there is none of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.service import DEFAULT_REGION
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.xml import document

Operation = Callable[[S3Request], Awaitable[None]]

NONE: Mapping[str, tuple[str, str]] = {
    "encryption": (
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
    "metadataConfiguration": ("MetadataConfigurationNotFound", "The bucket has no metadata configuration"),
    "metadataTable": ("MetadataConfigurationNotFound", "The bucket has no metadata table configuration"),
    "object-lock": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    "policy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "policyStatus": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "publicAccessBlock": (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
    "replication": ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    "website": ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
}
"""What a bucket has none of, with the code and the sentence that say so."""

LISTED: Mapping[str, str] = {
    "analytics": "ListBucketAnalyticsConfigurationResult",
    "intelligent-tiering": "ListBucketIntelligentTieringConfigurationsOutput",
    "inventory": "ListInventoryConfigurationsResult",
    "metrics": "ListMetricsConfigurationsResult",
}
"""What a bucket may have several of, each with an id, and has none of: the root of their list."""

SAME: Mapping[str, tuple[str, str]] = {
    "abac": ("AbacStatus", "<Status>Disabled</Status>"),
    "accelerate": ("AccelerateConfiguration", ""),
    "logging": ("BucketLoggingStatus", ""),
    "notification": ("NotificationConfiguration", ""),
    "requestPayment": ("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    "versioning": ("VersioningConfiguration", ""),
}
"""What is the same for all buckets: the root of the answer, and its content."""


async def get_location(request: S3Request) -> None:
    """Tell the region of a bucket; the first of Amazon's regions has no name here."""
    await request.keys.buckets.reach_granted(request.bucket)
    region = request.door.settings.region
    answer(request.http, 200, document("LocationConstraint", "" if region == DEFAULT_REGION else region))


def get_none(name: str) -> Operation:
    """Return the operation that tells that there is none of a configuration."""

    async def get(request: S3Request) -> None:
        await request.keys.buckets.reach_granted(request.bucket)
        code, message = NONE[name]
        raise S3Error(code, message, BucketName=request.bucket)

    return get


def get_same(name: str) -> Operation:
    """Return the operation that tells a configuration which all buckets have."""

    async def get(request: S3Request) -> None:
        await request.keys.buckets.reach_granted(request.bucket)
        answer(request.http, 200, document(*SAME[name]))

    return get


def get_listed(name: str) -> Operation:
    """Return the operation that tells that there is none of a kind of which there may be several."""

    async def get(request: S3Request) -> None:
        await request.keys.buckets.reach_granted(request.bucket)
        if "id" in request.query:
            raise S3Error("NoSuchConfiguration", "The specified configuration does not exist.")
        answer(request.http, 200, document(LISTED[name], "<IsTruncated>false</IsTruncated>"))

    return get


async def get_no_lock(request: S3Request) -> None:
    """Tell that no object is locked, as S3 does where no bucket can lock them."""
    await request.keys.stat_granted(request.bucket, request.key)
    raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")


async def delete_none(request: S3Request) -> None:
    """Delete a configuration that is not there, which is no error."""
    await request.keys.buckets.reach_to_change(request.bucket)
    answer(request.http, 204)
