"""What stands in the URL of a request to the S3 door, and by which name it was called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.s3 import KEY, S3
from tests.s3 import presign


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the buckets `bucket` and `photos`, behind a proxy."""
    cluster = make_cluster(s3_domain=("s3.example",), trusted_proxies=("127.0.0.1",))
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    for name in ("bucket", "photos"):
        assert (await door.put(f"/{name}", b"")).code == 200
    yield door


@pytest_twisted.ensureDeferred
async def test_a_bucket_may_stand_in_the_name_that_a_proxy_was_called_by(s3: S3) -> None:
    for key, data in (("bucket/photos/x", b"right"), ("photos/x", b"another bucket's")):
        assert (await s3.put(f"/{key}", data)).code == 200
    url = s3.cluster.s3_url + presign("GET", "http://bucket.s3.example/photos/x", {}).uri.decode()
    for called, host, code in (
        ("bucket.s3.example", "inside:1", 200),
        ("bucket.s3.example", "bucket.s3.example", 200),
        ("bucket.s3.example", "s3.example", 200),
        ("bucket.s3.example", "photos.s3.example", 403),
        ("other.s3.example", "inside:1", 403),
        ("", "inside:1", 403),
    ):
        headers = {"Host": host, **({"X-Forwarded-Host": called} if called else {})}
        answer = await s3.cluster.ask("GET", url, **headers)
        assert answer.code == code, headers
        assert code != 200 or answer.body == b"right", headers
