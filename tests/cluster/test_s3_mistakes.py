"""Mistakes that servers of S3 have made, tried one by one."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import pytest_twisted
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpchecksum import CrtCrc64NvmeChecksum
from twisted.internet.defer import Deferred, gatherResults

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.s3 import KEY, S3, code_of, texts
from tests.s3 import AwsChunkedWrapper

MIB = 1024 * 1024
DATA = os.urandom(5 * MIB)


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the bucket `bucket`, behind a proxy."""
    cluster = make_cluster(unit=64 * 1024, small_part=Size(10_000), trusted_proxies=("127.0.0.1",))
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    assert (await door.put("/bucket", b"")).code == 200
    yield door


class Trailed(S3SigV4Auth):
    """Signs a request whose body is framed and has a trailer."""

    def payload(self, _: Any) -> str:
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


async def put_framed(s3: S3, path: str, data: bytes, **headers: str) -> Answer:
    """Send bytes as the SDKs do over TLS: in aws-chunked, with a CRC64NVME in the trailer."""
    framed = AwsChunkedWrapper(
        io.BytesIO(data), checksum_cls=CrtCrc64NvmeChecksum, checksum_name="x-amz-checksum-crc64nvme"
    ).read()
    named = {
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(data)),
        "x-amz-trailer": "x-amz-checksum-crc64nvme",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    request: Any = AWSRequest(method="PUT", url=s3.cluster.s3_url + path, headers=named, data=framed)
    Trailed(Credentials(*KEY), "s3", "us-east-1").add_auth(request)
    sent = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    return await s3.cluster.ask("PUT", s3.cluster.s3_url + path, framed, **sent)


def crc64(data: bytes) -> str:
    return str(CrtCrc64NvmeChecksum().handle(data))


@pytest_twisted.ensureDeferred
async def test_no_framing_is_stored_and_none_is_told(s3: S3) -> None:
    for data in (b"", b"small", DATA):
        for encoding, told in (("aws-chunked", None), ("aws-chunked,zstd", "zstd"), ("zstd, aws-chunked", "zstd")):
            stored = await put_framed(s3, "/bucket/x", data, Content_Encoding=encoding)
            assert (stored.code, stored.header("x-amz-checksum-crc64nvme")) == (200, crc64(data))
            got = await s3.get("/bucket/x")
            # Twisted's client makes a header without a value of one that did not come.
            assert (got.body, got.header("Content-Encoding") or None) == (data, told)
            assert texts(await s3.get("/bucket"), "Contents/Size") == [str(len(data))]
            assert (await s3.cluster.get("/bucket/x")).body == data


@pytest_twisted.ensureDeferred
async def test_no_framing_is_stored_because_the_url_is_what_is_signed(s3: S3) -> None:
    framed = b"5\r\nsmall\r\n0\r\n\r\n"
    signed = s3.presigned("PUT", "/bucket/x").removeprefix(s3.cluster.s3_url)
    nobody = S3(s3.cluster, None)
    sent = {"Content_Encoding": "aws-chunked", "x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    assert code_of(await nobody.put(signed, framed, **sent)) == (411, "MissingContentLength")
    assert code_of(await s3.put("/bucket/x", framed, x_amz_decoded_content_length="5")) == (400, "InvalidRequest")
    assert code_of(await nobody.put(signed, framed, x_amz_content_sha256="0" * 64)) == (
        400,
        "XAmzContentSHA256Mismatch",
    )
    assert code_of(await s3.get("/bucket/x")) == (404, "NoSuchKey")


@pytest_twisted.ensureDeferred
async def test_each_part_may_have_a_checksum_in_its_trailer(s3: S3) -> None:
    for kind in ({}, {"x_amz_checksum_algorithm": "CRC64NVME", "x_amz_checksum_type": "FULL_OBJECT"}):
        upload = texts(await s3.ask("POST", "/bucket/k?uploads", **kind), "UploadId")[0]
        named = ""
        for number, data in enumerate((DATA, b"end"), 1):
            part = await put_framed(s3, f"/bucket/k?partNumber={number}&uploadId={upload}", data)
            assert (part.code, part.header("x-amz-checksum-crc64nvme")) == (200, crc64(data))
            checksum = f"<ChecksumCRC64NVME>{crc64(data)}</ChecksumCRC64NVME>"
            named += f"<Part><PartNumber>{number}</PartNumber><ETag>{part.header('ETag')}</ETag>{checksum}</Part>"
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        done = await s3.ask("POST", f"/bucket/k?uploadId={upload}", body)
        assert done.code == 200, done.text
        if kind:
            assert texts(done, "ChecksumCRC64NVME") == [crc64(DATA + b"end")]
        assert (await s3.get("/bucket/k")).body == DATA + b"end"


@pytest_twisted.ensureDeferred
async def test_parts_may_be_sent_at_once_and_the_same_one_too(s3: S3) -> None:
    upload = texts(await s3.ask("POST", "/bucket/k?uploads"), "UploadId")[0]
    numbers = [1, 2, 3, 1, 2, 1, 1, 3]
    contents = [DATA[number:] + bytes([number]) * (number + place) for place, number in enumerate(numbers)]
    sent = [
        Deferred.fromCoroutine(s3.put(f"/bucket/k?partNumber={number}&uploadId={upload}", data))
        for number, data in zip(numbers, contents, strict=True)
    ]
    answers = await gatherResults(sent)
    assert {answer.code for answer in answers} == {200}
    found = texts(await s3.get(f"/bucket/k?uploadId={upload}"), "Part/ETag")
    named = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in enumerate(found, 1))
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    assert (await s3.ask("POST", f"/bucket/k?uploadId={upload}", body)).code == 200
    by_tag = {answer.header("ETag"): data for answer, data in zip(answers, contents, strict=True)}
    assert (await s3.get("/bucket/k")).body == b"".join(by_tag[tag] for tag in found), "one of those that were sent"
    assert (await s3.ask("DELETE", "/bucket/k")).code == 204
    await s3.cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert s3.cluster.nothing_stored(), "no part of those that were replaced stays"


@pytest_twisted.ensureDeferred
async def test_what_was_deleted_can_be_made_anew_under_a_condition(s3: S3) -> None:
    for _ in range(3):
        assert (await s3.put("/bucket/lock", b"1", If_None_Match="*")).code == 200
        assert code_of(await s3.put("/bucket/lock", b"2", If_None_Match="*")) == (412, "PreconditionFailed")
        assert (await s3.ask("DELETE", "/bucket/lock")).code == 204
        assert code_of(await s3.put("/bucket/lock", b"1", If_Match='"x"')) == (404, "NoSuchKey")


@pytest_twisted.ensureDeferred
async def test_pages_count_prefixes_and_tell_each_once_by_any_delimiter(s3: S3) -> None:
    keys = ["a|1", "a|2", "a||3", "b", "b|", "c--d", "c--e", "c-f", "d"]
    for key in keys:
        assert (await s3.put(f"/bucket/{quote(key)}", b"1")).code == 200
    for delimiter in ("|", "--", "||", "1", "zz"):
        grouped = sorted({_grouped(key, delimiter) for key in keys})
        for size in range(1, len(keys) + 1):
            found: list[str] = []
            more, truncated = "", True
            while truncated:
                page = await s3.get(f"/bucket?{more}delimiter={quote(delimiter)}&list-type=2&max-keys={size}")
                shown = texts(page, "Contents/Key") + texts(page, "CommonPrefixes/Prefix")
                assert len(shown) <= size
                assert texts(page, "KeyCount") == [str(len(shown))]
                found += sorted(shown)
                truncated = texts(page, "IsTruncated") == ["true"]
                assert len(shown) == size or not truncated
                if truncated:
                    [token] = texts(page, "NextContinuationToken")
                    assert token not in keys, "it is opaque"
                    more = f"continuation-token={quote(token)}&"
            assert found == grouped, (delimiter, size)


def _grouped(key: str, delimiter: str) -> str:
    end = key.find(delimiter)
    return key if end < 0 else key[: end + len(delimiter)]


@pytest_twisted.ensureDeferred
async def test_folders_are_no_objects_unless_they_were_made(s3: S3) -> None:
    assert (await s3.put("/bucket/a/b/c", b"1")).code == 200
    for query in ("", "?list-type=2", "?versions"):
        entry = "Version" if "versions" in query else "Contents"
        assert texts(await s3.get(f"/bucket{query}"), f"{entry}/Key") == ["a/b/c"]
    for key in ("a", "a/", "a/b", "a/b/"):
        assert (await s3.ask("HEAD", f"/bucket/{key}")).code == 404
        assert code_of(await s3.get(f"/bucket/{key}")) == (404, "NoSuchKey")
    assert (await s3.ask("DELETE", "/bucket/a/b/c")).code == 204
    assert (await s3.ask("DELETE", "/bucket")).code == 204, "nothing is left that hinders it"


@pytest_twisted.ensureDeferred
async def test_signed_urls_go_through_a_proxy_that_changes_the_host(s3: S3) -> None:
    cluster = s3.cluster
    assert (await s3.put("/bucket/x", b"1")).code == 200
    url = s3.presigned("GET", "/bucket/x")
    port = cluster.s3_url.rpartition(":")[2]
    for headers, code in (
        ({"Host": "inside:1", "X-Forwarded-Host": f"127.0.0.1:{port}"}, 200),
        ({"Host": "inside:1"}, 403),
        ({"Host": "inside:1", "X-Forwarded-Host": "other.example"}, 403),
    ):
        assert (await cluster.ask("GET", url, **headers)).code == code, headers


@pytest_twisted.ensureDeferred
async def test_what_is_missing_is_told_404(s3: S3) -> None:
    for method, path, code in (
        ("GET", "/bucket/none", "NoSuchKey"),
        ("GET", "/bucket/none?tagging", "NoSuchKey"),
        ("GET", "/bucket/none?acl", "NoSuchKey"),
        ("PUT", "/bucket/none?acl", "NoSuchKey"),
        ("GET", "/bucket/none?attributes", "NoSuchKey"),
        ("GET", "/bucket/x?versionId=1", "NoSuchVersion"),
        ("GET", "/none/x", "NoSuchBucket"),
        ("GET", "/none?uploads", "NoSuchBucket"),
        ("POST", "/none/x?uploads", "NoSuchBucket"),
        ("GET", "/bucket/x?uploadId=1", "NoSuchUpload"),
        ("PUT", "/bucket/x?uploadId=1&partNumber=1", "NoSuchUpload"),
        ("PUT", f"/bucket/x?uploadId={'0' * 32}&partNumber=1", "NoSuchUpload"),
        ("DELETE", "/bucket/x?uploadId=1", "NoSuchUpload"),
    ):
        more = {"x_amz_object_attributes": "ETag"} if "attributes" in path else {}
        more |= {"x_amz_acl": "private"} if method == "PUT" and path.endswith("acl") else {}
        assert code_of(await s3.ask(method, path, **more)) == (404, code), (method, path)
    for source, code in (("bucket/none", "NoSuchKey"), ("none/x", "NoSuchBucket")):
        assert code_of(await s3.put("/bucket/y", b"", x_amz_copy_source=source)) == (404, code)
    body = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"
    assert code_of(await s3.ask("POST", "/bucket/x?uploadId=1", body)) == (404, "NoSuchUpload")
    head = await s3.ask("HEAD", "/bucket/none")
    assert (head.code, head.body) == (404, b"")


def test_the_checksum_is_that_of_the_sdks() -> None:
    assert base64.b64decode(crc64(b"123456789")).hex() == "ae8b14860a799888"


@pytest_twisted.ensureDeferred
async def test_nobody_gives_tags_whose_keys_are_amazons_own(s3: S3) -> None:
    def tags(key: str) -> str:
        return f"<TagSet><Tag><Key>{key}</Key><Value>aws:v</Value></Tag></TagSet>"

    def new(key: str) -> bytes:
        tag = f"<Tag><Key>{key}</Key><Value>v</Value></Tag>"
        return f"<CreateBucketConfiguration><Tags>{tag}</Tags></CreateBucketConfiguration>".encode()

    copied = {"x_amz_copy_source": "bucket/x", "x_amz_tagging_directive": "REPLACE"}
    assert (await s3.put("/bucket/x", b"1")).code == 200
    for key, code in (("aws:a", 400), ("aws", 200), ("awsa:", 200)):
        document = f"<Tagging>{tags(key)}</Tagging>".encode()
        answers = [
            await s3.put("/bucket/x?tagging", document),
            await s3.put("/bucket?tagging", document),
            await s3.put(f"/new-{code}-{len(key)}", new(key)),
            await s3.put("/bucket/y", b"1", x_amz_tagging=quote(f"{key}=v", safe="=")),
            await s3.put("/bucket/z", b"", x_amz_tagging=f"{key}=v", **copied),
            await s3.ask("POST", "/bucket/y?uploads", x_amz_tagging=f"{key}=v"),
            await s3.cluster.ask(
                "PUT", s3.presigned("PUT", f"/bucket/y?x-amz-tagging={quote(f'{key}=v', safe='')}"), b"1"
            ),
        ]
        told = [(200, "") if each.code in {200, 204} else code_of(each) for each in answers]
        assert told == [(code, "InvalidTag" if code == 400 else "")] * 7, key
