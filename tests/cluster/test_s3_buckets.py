"""Buckets by the S3 door, and the lists of their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.s3 import KEY, S3, code_of, texts


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster."""
    cluster = make_cluster(s3_domain=("s3.example",))
    cluster.s3_key = KEY
    await cluster.start()
    yield S3(cluster)


@pytest_twisted.ensureDeferred
async def test_buckets_are_made_found_and_deleted(s3: S3) -> None:
    for name in ("one", "two.three-4"):
        assert (await s3.put(f"/{name}", b"")).code == 200
        assert (await s3.put(f"/{name}", b"")).code == 200, "it is there already, and ours"
        assert (await s3.ask("HEAD", f"/{name}")).code == 200
    assert texts(await s3.get("/"), "Buckets/Bucket/Name") == ["one", "two.three-4"]
    assert texts(await s3.get("/?prefix=t"), "Buckets/Bucket/Name") == ["two.three-4"]
    await s3.put("/one/x", b"1")
    assert code_of(await s3.ask("DELETE", "/one")) == (409, "BucketNotEmpty")
    await s3.ask("DELETE", "/one/x")
    assert (await s3.ask("DELETE", "/one")).code == 204
    assert (await s3.ask("HEAD", "/one")).code == 404
    for method, path in (
        ("GET", "/one"),
        ("GET", "/one/x"),
        ("PUT", "/one/x"),
        ("DELETE", "/one"),
        ("DELETE", "/one/x"),
    ):
        assert code_of(await s3.ask(method, path)) == (404, "NoSuchBucket"), (method, path)


@pytest_twisted.ensureDeferred
async def test_a_bucket_is_a_collection_whose_name_a_bucket_can_have(s3: S3) -> None:
    cluster = s3.cluster
    for path in ("/good", "/Bad", "/a_b"):
        assert (await cluster.ask("MKCOL", path)).code == 201
    await cluster.put("/file", b"1")
    assert texts(await s3.get("/"), "Buckets/Bucket/Name") == ["good"]
    for name in ("Bad", "a_b", "ab", "a" * 64, "1.2.3.4", "a..b", "-ab", "ab-"):
        assert code_of(await s3.put(f"/{name}", b"")) == (400, "InvalidBucketName"), name
        assert code_of(await s3.get(f"/{name}")) == (404, "NoSuchBucket"), name
    assert code_of(await s3.put("/file", b"")) == (409, "BucketAlreadyExists")
    await cluster.put("/Bad/x", b"1")
    await s3.put("/good/y", b"2")
    for method in ("GET", "HEAD", "DELETE"):
        answer = await s3.ask(method, "/Bad/x")
        assert (answer.code, method == "HEAD" or code_of(answer)[1]) == (404, method == "HEAD" or "NoSuchBucket"), (
            method
        )
    assert code_of(await s3.put("/good/x", b"", x_amz_copy_source="/Bad/x")) == (404, "NoSuchBucket")
    assert (await cluster.ask("GET", "/Bad/x")).body == b"1"


@pytest_twisted.ensureDeferred
async def test_a_list_of_buckets_has_a_limit_that_is_a_number(s3: S3) -> None:
    await s3.put("/bucket", b"")
    for wrong in ("0", "x", "10001", "1" * 5000):
        assert code_of(await s3.get(f"/?max-buckets={wrong}")) == (400, "InvalidArgument"), wrong[:9]
    assert texts(await s3.get("/?max-buckets=1"), "Buckets/Bucket/Name") == ["bucket"]
    for region, names in (("us-east-1", ["bucket"]), ("eu-west-1", [])):
        told = await s3.get(f"/?bucket-region={region}&prefix=b")
        assert (texts(told, "Buckets/Bucket/Name"), texts(told, "Prefix")) == (names, ["b"])


@pytest_twisted.ensureDeferred
async def test_a_bucket_may_stand_in_the_name_of_the_host(s3: S3) -> None:
    await s3.put("/bucket", b"")
    assert (await s3.put("/a/b", b"1", Host="bucket.s3.example")).code == 200
    assert (await s3.get("/bucket/a/b")).body == b"1"
    assert texts(await s3.get("/", Host="bucket.s3.example:8082"), "Contents/Key") == ["a/b"]
    assert texts(await s3.get("/", Host="s3.example"), "Buckets/Bucket/Name") == ["bucket"]


@pytest_twisted.ensureDeferred
async def test_the_url_of_a_new_object_has_the_bucket_once(s3: S3) -> None:
    await s3.put("/bucket", b"")
    host = s3.cluster.s3_url.partition("//")[2]
    for at, prefix, name in ((host, "/bucket", host), ("bucket.s3.example", "", "bucket.s3.example")):
        path = f"{prefix}/a%20b"
        upload = texts(await s3.ask("POST", f"{path}?uploads", Host=at), "UploadId")[0]
        part = await s3.put(f"{path}?partNumber=1&uploadId={upload}", b"1", Host=at)
        named = f"<Part><PartNumber>1</PartNumber><ETag>{part.header('ETag')}</ETag></Part>"
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        made = await s3.ask("POST", f"{path}?uploadId={upload}", body, Host=at)
        assert texts(made, "Location") == [f"http://{name}{path}"]


@pytest_twisted.ensureDeferred
async def test_a_bucket_tells_what_it_has_none_of(s3: S3) -> None:
    await s3.put("/bucket", b"")
    for name, code in {
        "policy": "NoSuchBucketPolicy",
        "cors": "NoSuchCORSConfiguration",
        "lifecycle": "NoSuchLifecycleConfiguration",
        "tagging": "NoSuchTagSet",
        "website": "NoSuchWebsiteConfiguration",
        "encryption": "ServerSideEncryptionConfigurationNotFoundError",
        "object-lock": "ObjectLockConfigurationNotFoundError",
        "replication": "ReplicationConfigurationNotFoundError",
        "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
        "ownershipControls": "OwnershipControlsNotFoundError",
    }.items():
        assert code_of(await s3.get(f"/bucket?{name}")) == (404, code)
        assert code_of(await s3.get(f"/none?{name}")) == (404, "NoSuchBucket")
        assert (await s3.ask("DELETE", f"/bucket?{name}")).code == 204
    for name in ("versioning", "location", "logging", "notification", "requestPayment", "accelerate", "acl"):
        assert (await s3.get(f"/bucket?{name}")).code == 200


@pytest_twisted.ensureDeferred
async def test_keys_are_listed_in_pages(s3: S3) -> None:
    await s3.put("/bucket", b"")
    keys = ["a/1", "a/2", "b", "c/d/e", "c/f", "z"]
    for key in keys:
        await s3.put(f"/bucket/{key}", b"1")
    assert texts(await s3.get("/bucket"), "Contents/Key") == keys
    assert code_of(await s3.get("/bucket?list-type=3")) == (400, "InvalidArgument")
    answer = await s3.get("/bucket?list-type=2&delimiter=%2F")
    assert texts(answer, "Contents/Key") == ["b", "z"]
    assert texts(answer, "CommonPrefixes/Prefix") == ["a/", "c/"]
    assert texts(answer, "KeyCount") == ["4"]
    assert texts(await s3.get("/bucket?prefix=c%2F&delimiter=%2F"), "CommonPrefixes/Prefix") == ["c/d/"]
    for delimiter in ("", "&delimiter=%2F", "&delimiter=d%2F"):
        whole = await s3.get(f"/bucket?list-type=2{delimiter}")
        expected = sorted(texts(whole, "Contents/Key") + texts(whole, "CommonPrefixes/Prefix"))
        for size in (1, 2, 3):
            found: list[str] = []
            more = ""
            for _ in range(10):
                page = await s3.get(f"/bucket?{more}{delimiter}&list-type=2&max-keys={size}".replace("?&", "?"))
                found += sorted(texts(page, "Contents/Key") + texts(page, "CommonPrefixes/Prefix"))
                if texts(page, "IsTruncated") == ["false"]:
                    break
                more = f"continuation-token={texts(page, 'NextContinuationToken')[0]}"
            assert found == expected, (delimiter, size)
    assert texts(await s3.get("/bucket?marker=b&max-keys=1"), "Contents/Key") == ["c/d/e"]
    assert texts(await s3.get("/bucket?list-type=2&start-after=b"), "Contents/Key") == ["c/d/e", "c/f", "z"]
    assert texts(await s3.get("/bucket?max-keys=0"), "IsTruncated") == ["false"]
    for wrong in ("max-keys=x", "max-keys=-1", "encoding-type=x", "list-type=2&continuation-token=x"):
        assert code_of(await s3.get(f"/bucket?{wrong}")) == (400, "InvalidArgument"), wrong
