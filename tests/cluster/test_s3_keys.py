"""Keys that a tree of folders cannot hold, copies, tags and attributes by the S3 door."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.s3 import KEY, S3, code_of, texts

DATA = os.urandom(50_000)
MD5 = hashlib.md5(DATA).hexdigest()


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the buckets `bucket` and `other`."""
    cluster = make_cluster()
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    for name in ("bucket", "other"):
        assert (await door.put(f"/{name}", b"")).code == 200
    yield door


@pytest_twisted.ensureDeferred
async def test_every_key_is_a_key_of_its_own(s3: S3) -> None:
    keys = ["a", "a/", "a/b", "a//b", "/a", "//", "a-b", "./x", "../y", "a/.", "\x01\x7f", "ä\U0001f600", "k" * 1024]
    for number, key in enumerate(keys):
        assert (await s3.put(f"/bucket/{quote(key)}", str(number).encode())).code == 200, key
    for number, key in enumerate(keys):
        assert (await s3.get(f"/bucket/{quote(key)}")).body == str(number).encode(), key
    listed = texts(await s3.get("/bucket?encoding-type=url"), "Contents/Key")
    assert listed == [quote(key, safe="/*-._") for key in sorted(keys, key=str.encode)]
    for key in keys:
        assert (await s3.ask("DELETE", f"/bucket/{quote(key)}")).code == 204
        assert code_of(await s3.get(f"/bucket/{quote(key)}")) == (404, "NoSuchKey"), key
    assert texts(await s3.get("/bucket"), "Contents/Key") == []
    assert (await s3.ask("DELETE", "/bucket")).code == 204, "nothing of what the keys implied is left"


@pytest_twisted.ensureDeferred
async def test_a_collection_of_webdav_is_a_key_of_no_bytes(s3: S3) -> None:
    assert (await s3.cluster.ask("MKCOL", "/bucket/folder")).code == 201
    assert texts(await s3.get("/bucket"), "Contents/Key") == ["folder/"]
    got = await s3.get("/bucket/folder/")
    assert (got.code, got.body, got.header("ETag")) == (200, b"", f'"{hashlib.md5(b"").hexdigest()}"')
    assert (await s3.ask("HEAD", "/bucket/folder/")).header("Content-Length") == "0"
    assert code_of(await s3.get("/bucket/folder")) == (404, "NoSuchKey")
    assert (await s3.ask("DELETE", "/bucket/folder/")).code == 204
    assert (await s3.cluster.ask("PROPFIND", "/bucket/folder", Depth="0")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_copy_shares_the_parts(s3: S3) -> None:
    stored = {"Content_Type": "text/x", "x_amz_meta_a": "1", "x_amz_tagging": "k=v"}
    await s3.put("/bucket/x/1", DATA, **stored)
    before = s3.cluster.uploads_stored()
    copied = await s3.put("/other/y", b"", x_amz_copy_source="/bucket/x%2F1")
    assert texts(copied, "ETag") == [f'"{MD5}"']
    got = await s3.get("/other/y")
    assert (got.body, got.header("Content-Type"), got.header("x-amz-meta-a")) == (DATA, "text/x", "1")
    assert got.header("x-amz-tagging-count") == "1"
    new = {"x_amz_metadata_directive": "REPLACE", "x_amz_meta_b": "2", "Content_Type": "text/y"}
    assert (await s3.put("/bucket/x/1", b"", x_amz_copy_source="bucket/x/1", **new)).code == 200
    got = await s3.get("/bucket/x/1")
    assert (got.body, got.header("Content-Type"), got.header("ETag")) == (DATA, "text/y", f'"{MD5}"')
    assert (got.header("x-amz-meta-a"), got.header("x-amz-meta-b")) == (None, "2")
    assert s3.cluster.uploads_stored() == before
    told = await s3.put("/bucket/x/1", b"", x_amz_copy_source="bucket/x/1", x_amz_storage_class="STANDARD")
    assert texts(told, "ETag") == [f'"{MD5}"'], "as at Amazon, a class is something to change"
    assert (await s3.get("/bucket/x/1")).header("x-amz-meta-b") == "2"
    await s3.ask("DELETE", "/bucket/x/1")
    assert (await s3.get("/other/y")).body == DATA


@pytest_twisted.ensureDeferred
async def test_a_key_that_is_copied_onto_itself_is_as_a_new_one(s3: S3) -> None:
    """Its age counts for lifecycle rules, and some copy only to renew that."""
    for key in ("x", "x/"):
        assert (await s3.put(f"/bucket/{key}", b"", Content_Type="text/x")).code == 200
        for headers in (
            {"x_amz_storage_class": "STANDARD"},
            {"x_amz_metadata_directive": "REPLACE", "Content_Type": "text/x"},
            {"x_amz_tagging_directive": "REPLACE", "x_amz_tagging": "number={}"},
        ):
            before = texts(
                await s3.get(f"/bucket?delimiter=%2F&prefix={quote(key, safe='')}"), "Contents/LastModified"
            )[0]
            for number in range(1000):  # until the clock goes on
                sent = {name: text.format(number) for name, text in headers.items()}
                told = await s3.put(f"/bucket/{key}", b"", x_amz_copy_source=f"bucket/{key}", **sent)
                if texts(told, "LastModified") != [before]:
                    break
            else:
                raise AssertionError((key, headers))
            head = await s3.ask("HEAD", f"/bucket/{key}")
            assert (head.header("Content-Type"), head.header("ETag")) == ("text/x", f'"{hashlib.md5(b"").hexdigest()}"')


@pytest_twisted.ensureDeferred
async def test_copies_that_cannot_be(s3: S3) -> None:
    await s3.put("/bucket/x", DATA)
    for target, source, headers, expected in (
        ("/bucket/x", "bucket/x", {}, (400, "InvalidRequest")),
        ("/bucket/y", "bucket/none", {}, (404, "NoSuchKey")),
        ("/bucket/y", "none/x", {}, (404, "NoSuchBucket")),
        ("/none/y", "bucket/x", {}, (404, "NoSuchBucket")),
        ("/bucket/y", "bucket", {}, (400, "InvalidArgument")),
        ("/bucket/y", "bucket/x?versionId=1", {}, (404, "NoSuchVersion")),
        ("/bucket/y", "bucket/x", {"x_amz_metadata_directive": "MOVE"}, (400, "InvalidArgument")),
        ("/bucket/y", "bucket/x", {"x_amz_copy_source_if_match": '"other"'}, (412, "PreconditionFailed")),
        ("/bucket/y", "bucket/x", {"x_amz_copy_source_if_none_match": MD5}, (412, "PreconditionFailed")),
        (
            "/bucket/x",
            "bucket/x",
            {"x_amz_metadata_directive": "REPLACE", "If_None_Match": "*"},
            (412, "PreconditionFailed"),
        ),
    ):
        answer = await s3.put(target, b"", x_amz_copy_source=source, **headers)
        assert code_of(answer) == expected, (target, source, headers)
    assert (await s3.put("/bucket/y", b"", x_amz_copy_source="bucket/x", If_None_Match="*")).code == 200


@pytest_twisted.ensureDeferred
async def test_a_copy_may_say_whose_its_source_is(s3: S3) -> None:
    await s3.put("/bucket/x", DATA)
    owner = texts(await s3.get("/bucket?acl"), "Owner/ID")[0]
    upload = texts(await s3.ask("POST", "/bucket/big?uploads"), "UploadId")[0]
    for target in ("/bucket/y", f"/bucket/big?partNumber=1&uploadId={upload}"):
        for stated, code in (("0" * 64, 403), (owner, 200)):
            answer = await s3.put(target, b"", x_amz_copy_source="bucket/x", x_amz_source_expected_bucket_owner=stated)
            assert answer.code == code, (target, stated)


@pytest_twisted.ensureDeferred
async def test_tags(s3: S3) -> None:
    await s3.put("/bucket/x", DATA, x_amz_tagging="a=1&b%20=%2F")
    assert texts(await s3.get("/bucket/x?tagging"), "TagSet/Tag/Key") == ["a", "b "]
    tags = b"<Tagging><TagSet><Tag><Key>c</Key><Value>&lt;</Value></Tag></TagSet></Tagging>"
    assert (await s3.put("/bucket/x?tagging", tags)).code == 200
    told = await s3.get("/bucket/x?tagging")
    assert (texts(told, "TagSet/Tag/Key"), texts(told, "TagSet/Tag/Value")) == (["c"], ["<"])
    got = await s3.get("/bucket/x")
    assert (got.body, got.header("ETag"), got.header("x-amz-tagging-count")) == (DATA, f'"{MD5}"', "1")
    assert (await s3.ask("DELETE", "/bucket/x?tagging")).code == 204
    assert texts(await s3.get("/bucket/x?tagging"), "TagSet/Tag/Key") == []
    for wrong in ("&".join(f"{number}=1" for number in range(11)), "a=1&a=2", "k" * 129 + "=1", "a=" + "v" * 257):
        assert (await s3.put("/bucket/y", DATA, x_amz_tagging=wrong)).code == 400, wrong
    assert code_of(await s3.get("/bucket/y?tagging")) == (404, "NoSuchKey")


@pytest_twisted.ensureDeferred
async def test_attributes(s3: S3) -> None:
    await s3.put("/bucket/x", b"1", x_amz_checksum_crc32="g9zvtw==")
    told = await s3.get("/bucket/x?attributes", x_amz_object_attributes="ETag,ObjectSize,Checksum,StorageClass")
    assert texts(told, "ETag") == [hashlib.md5(b"1").hexdigest()]
    assert (texts(told, "ObjectSize"), texts(told, "Checksum/ChecksumCRC32")) == (["1"], ["g9zvtw=="])
    for wrong in ("", "Other"):
        assert code_of(await s3.get("/bucket/x?attributes", x_amz_object_attributes=wrong)) == (400, "InvalidArgument")


@pytest_twisted.ensureDeferred
async def test_versions_are_all_called_null(s3: S3) -> None:
    await s3.put("/bucket/x", b"1")
    told = await s3.get("/bucket?versions")
    assert (texts(told, "Version/Key"), texts(told, "Version/VersionId")) == (["x"], ["null"])
    assert (await s3.get("/bucket/x?versionId=null")).body == b"1"
    assert code_of(await s3.get("/bucket/x?versionId=1")) == (404, "NoSuchVersion")
    await s3.put("/bucket/%2541%26", b"1")  # the key %41&
    for query, shown in (("prefix=%2541&versions", "%41"), ("encoding-type=url&prefix=%2541&versions", "%2541")):
        told = await s3.get(f"/bucket?{query}")
        assert texts(told, "Prefix") == [shown], "clients decode it as the keys"
        assert texts(told, "Version/Key") == [f"{shown}{'%26' if 'url' in query else '&'}"]
