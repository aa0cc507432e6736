"""What stands in the URL of a request to the S3 door: headers, and by which name it was called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_twisted
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from splitd.frontends.s3.subresources import SUBRESOURCES
from tests.cluster.cluster import Cluster
from tests.cluster.raw import connect
from tests.cluster.s3 import KEY, S3, code_of, texts
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


def version4(s3: S3, method: str, path: str, headers: dict[str, str]) -> str:
    """Return a signed URL with headers in it, as the SDKs for JavaScript make it."""
    return s3.presigned(method, f"{path}?{urlencode(headers)}")


def version2(s3: S3, method: str, path: str, headers: dict[str, str]) -> str:
    """Return a signed URL of version 2, as boto3 makes it."""
    request: Any = AWSRequest(method=method, url=s3.cluster.s3_url + path, headers=headers)
    HmacV1QueryAuth(Credentials(*KEY), 60).add_auth(request)
    return str(request.url)


Signer = Callable[[S3, str, str, dict[str, str]], str]
signers = pytest.mark.parametrize("sign", [version4, version2])


@signers
@pytest_twisted.ensureDeferred
async def test_headers_in_a_url_are_those_of_the_request(s3: S3, sign: Signer) -> None:
    headers = {
        "x-amz-meta-Colour": "sky blue",
        "x-amz-meta-b": "\u00e4",
        "x-amz-tagging": "k=v%20w",
        "x-amz-acl": "public-read",
        "x-amz-storage-class": "STANDARD",
        "x-amz-user-agent": "a page",
    }
    url = sign(s3, "PUT", "/bucket/x", headers)
    assert (await s3.cluster.ask("PUT", url, b"abc")).code == 200
    got = await S3(s3.cluster, None).get("/bucket/x")
    assert (got.body, got.header("x-amz-meta-colour"), got.header("x-amz-meta-b")) == (b"abc", "sky blue", "\u00e4")
    assert texts(await s3.get("/bucket/x?tagging"), "TagSet/Tag/Value") == ["v w"]
    same = await s3.cluster.ask(
        "PUT", sign(s3, "PUT", "/bucket/y", {"x-amz-meta-a": "1"}), b"", **{"x-amz-meta-a": "1"}
    )
    assert same.code == (403 if sign is version4 else 200), "version 4 says which headers of the request are signed"
    copied = await s3.cluster.ask("PUT", sign(s3, "PUT", "/bucket/z", {"x-amz-copy-source": "bucket/x"}))
    assert copied.code == 200
    assert (await s3.get("/bucket/z")).body == b"abc", "not an empty object"


@signers
@pytest_twisted.ensureDeferred
async def test_who_has_a_url_makes_no_other_operation_of_it(s3: S3, sign: Signer) -> None:
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    assert (await s3.put("/bucket/x", b"abc", x_amz_tagging="k=v")).code == 200
    assert (await s3.put("/bucket?tagging", tags)).code == 204
    for method, path in (("GET", "/bucket/x"), ("PUT", "/bucket/x"), ("GET", "/bucket")):
        url = sign(s3, method, path, {})
        for name in SUBRESOURCES:
            for added in (f"&{name}", f"&%{ord(name[0]):02x}{name[1:]}=1"):
                answer = await s3.cluster.ask(method, url + added, tags if method == "PUT" else b"")
                # Not signed either, as at Amazon: it lists the same keys in another form.
                if not (sign is version2 and name == "list-type"):
                    assert answer.code == 403, (method, path, added)
    got = await s3.get("/bucket/x")
    assert (got.body, got.header("x-amz-tagging-count")) == (b"abc", "1")


@pytest_twisted.ensureDeferred
async def test_a_url_of_version_2_says_what_it_cannot_sign(s3: S3) -> None:
    for path in ("/bucket/x?attributes", "/bucket?ownershipControls", "/bucket?encryption&acl"):
        answer = await s3.cluster.ask("GET", version2(s3, "GET", path, {}))
        assert code_of(answer) == (403, "AccessDenied"), path
        assert b"version 4" in answer.body, path
    for path in ("/bucket?acl", "/bucket?location", "/bucket?list-type=2&prefix=a", "/bucket?uploads"):
        assert (await s3.cluster.ask("GET", version2(s3, "GET", path, {}))).code == 200, path


@signers
@pytest_twisted.ensureDeferred
async def test_headers_in_a_url_are_refused_as_those_of_a_request(s3: S3, sign: Signer) -> None:
    for name, value, expected in (
        ("x-amz-server-side-encryption", "AES256", (501, "NotImplemented")),
        ("x-amz-something-new", "1", (501, "NotImplemented")),
        ("x-amz-grant-read", "id=1", (501, "NotImplemented")),
        ("x-amz-storage-class", "GLACIER", (400, "InvalidStorageClass")),
        ("x-amz-meta-a", "a\r\nb: c", (400, "InvalidArgument")),
        ("x-amz-meta-a", "a" * 2048, (400, "MetadataTooLarge")),
        ("x-amz-security-token", "1", (400, "InvalidToken")),
        ("x-amz-meta-\u00e4", "1", (400, "InvalidArgument")),
        ("x-amz-meta-a b", "1", (400, "InvalidArgument")),
    ):
        if sign is version2 and ("\n" in value or not name.isascii()):
            continue  # botocore does not sign it
        answer = await s3.cluster.ask("PUT", sign(s3, "PUT", "/bucket/x", {name: value}), b"abc")
        assert code_of(answer) == expected, name
    for method, path in (("PUT", "/bucket/x"), ("POST", "/bucket/x?uploads")):
        unsigned = s3.presigned(method, path) + "&x-amz-acl=public-read"
        assert code_of(await s3.cluster.ask(method, unsigned, b"abc")) == (403, "SignatureDoesNotMatch")
    older = version2(s3, "PUT", "/bucket/x", {}) + "&x-amz-acl=public-read"
    assert code_of(await s3.cluster.ask("PUT", older, b"abc")) == (403, "SignatureDoesNotMatch")
    private = version2(s3, "PUT", "/bucket/x", {"x-amz-acl": "private"})
    for url, headers, expected in (  # a header that has the signed value must not let the URL have another one
        (private.replace("=private", "=public-read"), {"x-amz-acl": "private"}, (400, "InvalidArgument")),
        (private.replace("x-amz-acl", "x-amz-acl=public-read&x-amz-acl"), {}, (403, "SignatureDoesNotMatch")),
        (private + "&X-Amz-Acl=public-read", {}, (403, "SignatureDoesNotMatch")),
    ):
        assert code_of(await s3.cluster.ask("PUT", url, b"abc", **headers)) == expected, url
    assert (await s3.get("/bucket/x")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_checksum_in_a_url_does_not_count(s3: S3) -> None:
    """SDKs compute it of the body that they have when they sign: none."""
    headers = {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "CRC32"}
    assert (await s3.cluster.ask("PUT", version4(s3, "PUT", "/bucket/x", headers), b"abc")).code == 200
    got = await s3.get("/bucket/x", x_amz_checksum_mode="ENABLED")
    assert (got.body, got.header("x-amz-checksum-crc32")) == (b"abc", None)
    upload = texts(await s3.ask("POST", "/bucket/x?uploads", x_amz_checksum_algorithm="CRC32"), "UploadId")[0]
    path = f"/bucket/x?{urlencode({'partNumber': 1, 'uploadId': upload, **headers})}"
    part = await s3.cluster.ask("PUT", s3.presigned("PUT", path), b"abc")
    assert (part.code, part.header("x-amz-checksum-crc32")) == (200, "NSRBwg==")


@pytest_twisted.ensureDeferred
async def test_headers_in_a_url_are_of_one_request_only(s3: S3) -> None:
    host = s3.cluster.s3_url.removeprefix("http://")
    client = await connect(int(host.rpartition(":")[2]))
    try:
        for key, headers in (("x", {"x-amz-meta-a": "1"}), ("y", {}), ("z", {"x-amz-meta-b": "2"})):
            url = version4(s3, "PUT", f"/bucket/{key}", headers).removeprefix(s3.cluster.s3_url)
            client.send(f"PUT {url} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\n1".encode())
            assert (await client.answer()).code == 200
    finally:
        client.reset()
    told = [await s3.ask("HEAD", f"/bucket/{key}") for key in "xyz"]
    assert [each.header("x-amz-meta-a") for each in told] == ["1", None, None]
    assert [each.header("x-amz-meta-b") for each in told] == [None, None, "2"]


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


@pytest_twisted.ensureDeferred
async def test_a_put_says_whether_it_has_a_body(s3: S3) -> None:
    host = s3.cluster.s3_url.removeprefix("http://")
    upload = texts(await s3.ask("POST", "/bucket/k?uploads"), "UploadId")[0]
    client = await connect(int(host.rpartition(":")[2]))
    try:
        for path in ("/bucket/k", f"/bucket/k?partNumber=1&uploadId={upload}"):
            for more, code in (("", 411), ("Content-Length: 0\r\n", 200)):
                url = s3.presigned("PUT", path).removeprefix(s3.cluster.s3_url)
                client.send(f"PUT {url} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
                answer = await client.answer()
                assert (answer.code, b"MissingContentLength" in answer.body) == (code, code == 411), path
    finally:
        client.reset()
