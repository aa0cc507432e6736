"""Objects by the S3 door: stored, read, described and deleted, and refused with S3's own codes."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.raw import connect
from tests.cluster.s3 import KEY, S3, code_of, parsed, texts

DATA = os.urandom(100_000)


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the bucket `bucket`."""
    cluster = make_cluster(small_part=Size(20_000))
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    assert (await door.put("/bucket", b"")).code == 200
    yield door


@pytest.mark.parametrize("data", [b"", b"small", DATA], ids=["empty", "small", "large"])
@pytest_twisted.ensureDeferred
async def test_an_object_comes_back_as_it_was(s3: S3, data: bytes) -> None:
    stored = await s3.put("/bucket/a/b%20%C3%A4", data, Content_Type="text/x", x_amz_meta_colour="blue")
    assert (stored.code, stored.header("ETag")) == (200, f'"{md5(data)}"')
    got = await s3.get("/bucket/a/b%20%C3%A4")
    assert (got.code, got.body, got.header("ETag")) == (200, data, f'"{md5(data)}"')
    assert (got.header("Content-Type"), got.header("x-amz-meta-colour")) == ("text/x", "blue")
    head = await s3.ask("HEAD", "/bucket/a/b%20%C3%A4")
    assert (head.code, head.header("Content-Length"), head.body) == (200, str(len(data)), b"")
    deleted = await s3.ask("DELETE", "/bucket/a/b%20%C3%A4")
    assert (deleted.code, deleted.body) == (204, b"")
    assert code_of(await s3.get("/bucket/a/b%20%C3%A4")) == (404, "NoSuchKey")
    assert (await s3.ask("DELETE", "/bucket/a/b%20%C3%A4")).code == 204


@pytest_twisted.ensureDeferred
async def test_what_one_door_stores_the_other_has_at_once(s3: S3) -> None:
    cluster = s3.cluster
    await s3.put("/bucket/x", DATA)
    webdav = await cluster.get("/bucket/x")
    assert (webdav.body, webdav.header("ETag")) == (DATA, f'"{md5(DATA)}"')
    await cluster.put("/bucket/y", DATA, Content_Type="text/y")
    got = await s3.get("/bucket/y")
    assert (got.body, got.header("Content-Type")) == (DATA, "text/y")
    etag = got.header("ETag")
    assert etag is not None
    assert etag.endswith('-1"'), "no client takes it for an MD5"
    assert (await s3.get("/bucket/y", If_None_Match=etag)).code == 304
    assert (await s3.get("/bucket/y", If_Match=etag)).code == 200
    assert (await s3.put("/bucket/y", b"new", If_Match=etag)).code == 200


@pytest_twisted.ensureDeferred
async def test_ranges(s3: S3) -> None:
    await s3.put("/bucket/x", DATA)
    for asked, expected in (
        ("bytes=0-0", DATA[:1]),
        ("bytes=5000-70000", DATA[5000:70001]),
        ("bytes=99999-", DATA[99999:]),
        ("bytes=-10", DATA[-10:]),
        ("bytes=0-999999", DATA),
    ):
        got = await s3.get("/bucket/x", Range=asked)
        assert (got.code, got.body) == (206, expected), asked
    assert code_of(await s3.get("/bucket/x", Range="bytes=100000-")) == (416, "InvalidRange")
    for whole in ("bytes=0-1,5-6", "lines=1-2", "bytes=2-1"):
        got = await s3.get("/bucket/x", Range=whole)
        assert (got.code, got.body) == (200, DATA), whole


@pytest_twisted.ensureDeferred
async def test_a_range_is_given_only_of_the_version_that_if_range_names(s3: S3) -> None:
    etag = str((await s3.put("/bucket/x", DATA)).header("ETag"))
    await s3.cluster.put("/bucket/dav", DATA)
    of_dav = str((await s3.ask("HEAD", "/bucket/dav")).header("ETag"))
    for path, tag in (("/bucket/x", etag), ("/bucket/dav", of_dav)):
        same = await s3.get(path, Range="bytes=3-9", If_Range=tag)
        assert (same.code, same.body) == (206, DATA[3:10]), path
        for other in ('"00"', f"W/{tag}", "Sun, 22 Nov 2026 00:00:00 GMT"):
            answer = await s3.get(path, Range="bytes=3-9", If_Range=other)
            assert (answer.code, answer.body) == (200, DATA), (path, other)


@pytest_twisted.ensureDeferred
async def test_conditions_of_reads(s3: S3) -> None:
    kept = {"Cache_Control": "max-age=60", "Expires": "Thu, 01 Jan 2037 00:00:00 GMT"}
    etag = (await s3.put("/bucket/x", b"1", **kept)).header("ETag") or ""
    modified = (await s3.get("/bucket/x")).header("Last-Modified") or ""
    long_ago = "Sat, 01 Jan 2000 00:00:00 GMT"
    for headers, code in (
        ({"If_Match": etag}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_None_Match": '"other"'}, 200),
        ({"If_None_Match": etag}, 304),
        ({"If_Modified_Since": long_ago}, 200),
        ({"If_Modified_Since": modified}, 304),
        ({"If_Unmodified_Since": modified}, 200),
        ({"If_Unmodified_Since": long_ago}, 412),
        ({"If_Match": etag, "If_Unmodified_Since": long_ago}, 200),
        ({"If_None_Match": etag, "If_Modified_Since": long_ago}, 304),
    ):
        assert (await s3.get("/bucket/x", **headers)).code == code, headers
    told = await s3.get("/bucket/x", If_None_Match=etag)
    assert (told.header("ETag"), told.body) == (etag, b"")
    assert [told.header(name.replace("_", "-")) for name in kept] == list(kept.values()), "a cache keeps it for longer"


@pytest_twisted.ensureDeferred
async def test_conditions_of_writes(s3: S3) -> None:
    assert code_of(await s3.put("/bucket/x", b"1", If_Match='"none"')) == (404, "NoSuchKey")
    assert (await s3.ask("DELETE", "/bucket/x", If_Match='"none"')).code == 204
    etag = (await s3.put("/bucket/x", b"1", If_None_Match="*")).header("ETag") or ""
    assert code_of(await s3.put("/bucket/x", b"2", If_None_Match="*")) == (412, "PreconditionFailed")
    assert code_of(await s3.put("/bucket/x", b"2", If_Match='"other"')) == (412, "PreconditionFailed")
    assert code_of(await s3.put("/bucket/x", b"2", If_None_Match=etag)) == (412, "PreconditionFailed")
    for path, expected in (("/bucket/y", (404, "NoSuchKey")), ("/bucket/x", (412, "PreconditionFailed"))):
        copied = await s3.put(
            path, b"", x_amz_copy_source="bucket/x", x_amz_storage_class="STANDARD", If_Match='"other"'
        )
        assert code_of(copied) == expected
    for wrong in ({"x_amz_if_match_size": "2"}, {"x_amz_if_match_last_modified_time": "Sat, 01 Jan 2000 00:00:00 GMT"}):
        assert code_of(await s3.ask("DELETE", "/bucket/x", **wrong)) == (412, "PreconditionFailed")
    assert (await s3.put("/bucket/x", b"2", If_Match=etag)).code == 200
    assert code_of(await s3.ask("DELETE", "/bucket/x", If_Match=etag)) == (412, "PreconditionFailed")
    assert (await s3.get("/bucket/x")).body == b"2"
    assert (await s3.ask("DELETE", "/bucket/x", If_Match=md5(b"2"))).code == 204  # quotes may be left out


@pytest_twisted.ensureDeferred
async def test_an_empty_condition_deletes_nothing(s3: S3) -> None:
    await s3.put("/bucket/x", b"1")
    assert code_of(await s3.ask("DELETE", "/bucket/x", If_Match="")) == (412, "PreconditionFailed")
    for name in ("x_amz_if_match_size", "x_amz_if_match_last_modified_time"):
        assert code_of(await s3.ask("DELETE", "/bucket/x", **{name: ""})) == (400, "InvalidArgument"), name
    answer = await s3.ask("POST", "/bucket?delete", b"<Delete><Object><Key>x</Key><ETag/></Object></Delete>")
    assert texts(answer, "Error/Code") == ["PreconditionFailed"]
    for name in ("Size", "LastModifiedTime"):
        body = f"<Delete><Object><Key>x</Key><{name}/></Object></Delete>"
        assert code_of(await s3.ask("POST", "/bucket?delete", body.encode())) == (400, "MalformedXML"), name
    assert (await s3.get("/bucket/x")).body == b"1"
    assert (await s3.ask("DELETE", "/bucket/x", If_Match=f'"other", {md5(b"1")}', x_amz_if_match_size="1")).code == 204


@pytest_twisted.ensureDeferred
async def test_checksums_are_checked_kept_and_told(s3: S3) -> None:
    good = {"x_amz_checksum_crc32": crc32(DATA)}
    stored = await s3.put("/bucket/x", DATA, **good)
    assert (stored.code, stored.header("x-amz-checksum-crc32")) == (200, crc32(DATA))
    assert (await s3.get("/bucket/x")).header("x-amz-checksum-crc32") is None
    got = await s3.get("/bucket/x", x_amz_checksum_mode="ENABLED")
    assert (got.header("x-amz-checksum-crc32"), got.header("x-amz-checksum-type")) == (crc32(DATA), "FULL_OBJECT")
    for headers, expected in (
        ({"x_amz_checksum_crc32": crc32(b"other")}, (400, "BadDigest")),
        ({"x_amz_checksum_crc32": "AAAA"}, (400, "BadDigest")),
        ({"x_amz_checksum_crc99": "AAAA"}, (400, "InvalidRequest")),
        ({**good, "x_amz_checksum_sha1": "AAAA"}, (400, "InvalidRequest")),
        ({"x_amz_sdk_checksum_algorithm": "CRC32"}, (400, "InvalidRequest")),
        ({**good, "x_amz_sdk_checksum_algorithm": "SHA1"}, (400, "InvalidRequest")),
        ({"Content_MD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}, (400, "BadDigest")),
        ({"Content_MD5": "AAAA"}, (400, "InvalidDigest")),
    ):
        assert code_of(await s3.put("/bucket/new", DATA, **headers)) == expected, headers
    other = await s3.ask("PUT", "/bucket/new", b"other", sent=DATA)
    assert code_of(other) == (400, "XAmzContentSHA256Mismatch")
    assert code_of(await s3.get("/bucket/new")) == (404, "NoSuchKey")
    rightly = base64.b64encode(hashlib.md5(DATA).digest()).decode()
    assert (await s3.put("/bucket/new", DATA, Content_MD5=rightly)).code == 200


@pytest_twisted.ensureDeferred
async def test_nothing_that_matters_is_ignored(s3: S3) -> None:
    for headers in (
        {"x_amz_server_side_encryption": "AES256"},
        {"x_amz_acl": "public-read-write"},
        {"x_amz_grant_read": "id=1"},
        {"x_amz_object_lock_mode": "GOVERNANCE"},
        {"x_amz_website_redirect_location": "/"},
        {"x_amz_something_new": "1"},
    ):
        assert code_of(await s3.put("/bucket/x", b"1", **headers)) == (501, "NotImplemented"), headers
    for path in ("/bucket/x?retention", "/bucket/x?legal-hold", "/bucket?versioning", "/bucket?policy"):
        assert code_of(await s3.put(path, b"<x/>"))[0] == 501, path
    assert code_of(await s3.ask("PATCH", "/bucket/x")) == (405, "MethodNotAllowed")
    assert code_of(await s3.put("/bucket/x", b"1", x_amz_meta_large="x" * 2048)) == (400, "MetadataTooLarge")
    assert code_of(await s3.put("/bucket/" + "k" * 1025, b"1")) == (400, "KeyTooLongError")
    assert code_of(await s3.get("/bucket/x")) == (404, "NoSuchKey")


@pytest_twisted.ensureDeferred
async def test_nothing_is_allowed_without_the_key(s3: S3) -> None:
    await s3.put("/bucket/x", b"1")
    cluster = s3.cluster
    for other, code in ((None, "AccessDenied"), (("OTHER", "x"), "InvalidAccessKeyId")):
        for method, path in (
            ("GET", "/"),
            ("GET", "/bucket"),
            ("GET", "/bucket/x"),
            ("PUT", "/bucket/y"),
            ("PUT", "/new"),
        ):
            assert code_of(await S3(cluster, other).ask(method, path)) == (403, code), (other, method, path)
    wrong = S3(cluster, (KEY[0], "wrong"))
    assert code_of(await wrong.get("/bucket/x")) == (403, "SignatureDoesNotMatch")
    assert (await cluster.ask("GET", s3.presigned("GET", "/bucket/x"))).body == b"1"
    assert (await cluster.ask("PUT", s3.presigned("PUT", "/bucket/z"), b"2")).code == 200
    assert (await s3.get("/bucket/z")).body == b"2"
    assert code_of(await cluster.ask("GET", s3.presigned("GET", "/bucket/x").replace("bucket/x", "bucket/z")))[0] == 403


@pytest_twisted.ensureDeferred
async def test_many_objects_are_deleted_by_one_request(s3: S3) -> None:
    for key in ("1", "2", "3"):
        await s3.put(f"/bucket/{key}", key.encode())
    body = b"<Delete><Object><Key>1</Key></Object><Object><Key>none</Key></Object>"
    body += b'<Object><Key>2</Key><ETag>"other"</ETag></Object></Delete>'
    answer = await s3.ask("POST", "/bucket?delete", body)
    assert texts(answer, "Deleted/Key") == ["1", "none"]
    assert (texts(answer, "Error/Key"), texts(answer, "Error/Code")) == (["2"], ["PreconditionFailed"])
    mixed = b"<Delete><Object><Key>%s</Key></Object><Object><Key/></Object><Object><Key>1</Key></Object></Delete>"
    answer = await s3.ask("POST", "/bucket?delete", mixed % (b"k" * 1025))
    assert (texts(answer, "Deleted/Key"), texts(answer, "Error/Code")) == (
        ["1"],
        ["KeyTooLongError", "InvalidArgument"],
    )
    longest = "".join(f"<Object><Key>{n:04}{'&amp;' * 510}{'k' * 510}</Key></Object>" for n in range(1000))
    answer = await s3.ask("POST", "/bucket?delete", f"<Delete>{longest}</Delete>".encode())
    assert len(texts(answer, "Deleted/Key")) == 1000
    for said, told in (("true", 0), ("1", 0), ("false", 1), ("0", 1)):
        body = f"<Delete><Quiet>{said}</Quiet><Object><Key>2</Key></Object></Delete>".encode()
        quiet = await s3.ask("POST", "/bucket?delete", body)
        assert (quiet.code, len(parsed(quiet))) == (200, told), said
    assert texts(await s3.get("/bucket"), "Contents/Key") == ["3"]
    for wrong in (
        b"<Object><Key>3</Key><Unless>x</Unless></Object>",
        b"<Object><Key>3<x/></Key></Object>",
        b"<Object><Key>3</Key></Object><Unless/>",
        b"<Object><Key>3</Key></Object><Quiet>perhaps</Quiet>",
        b"<Object><Key>3</Key></Object>" * 1001,
    ):
        refused = await s3.ask("POST", "/bucket?delete", b"<Delete>%s</Delete>" % wrong)
        assert code_of(refused) == (400, "MalformedXML"), wrong[:60]
    for encoding in ("utf-16", "latin-1", "none"):
        body = f'<?xml version="1.0" encoding="{encoding}"?><Delete><Object><Key>x</Key></Object></Delete>'
        answer = await s3.ask("POST", "/bucket?delete", body.encode("utf-8" if encoding == "none" else encoding))
        assert answer.code == (400 if encoding == "none" else 200), encoding
    for wrong in (b"", b"<Delete/>", b"<Other/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><Delete>&b;</Delete>"):
        assert code_of(await s3.ask("POST", "/bucket?delete", wrong)) == (400, "MalformedXML"), wrong


@pytest_twisted.ensureDeferred
async def test_a_client_that_waits_for_leave_gets_it_also_for_an_empty_object(s3: S3) -> None:
    url = s3.presigned("PUT", "/bucket/x")
    head = (
        f"PUT {url.removeprefix(s3.cluster.s3_url)} HTTP/1.1\r\nHost: {s3.cluster.s3_url.removeprefix('http://')}\r\n"
    )
    client = await connect(int(s3.cluster.s3_url.rpartition(":")[2]))
    try:
        for _ in range(2):
            client.send(f"{head}Content-Length: 0\r\nExpect: 100-continue\r\n\r\n".encode())
            assert (await client.answer()).code == 100
            assert (await client.answer()).code == 200
    finally:
        client.reset()


@pytest_twisted.ensureDeferred
async def test_headers_that_change_nothing_are_taken(s3: S3) -> None:
    for headers in ({"x_amz_api_version": "2006-03-01"}, {"x_amz_te": "append-md5"}):  # SDKs for C++ and for Java
        assert (await s3.put("/bucket/x", b"1", **headers)).code == 200, headers
        assert (await s3.get("/bucket/x", **headers)).body == b"1", headers


@pytest_twisted.ensureDeferred
async def test_a_request_may_choose_headers_of_its_answer(s3: S3) -> None:
    await s3.put("/bucket/x", b"1", Content_Type="text/x")
    got = await s3.get("/bucket/x?response-content-type=text%2Fy&response-cache-control=no-store")
    assert (got.body, got.header("Content-Type"), got.header("Cache-Control")) == (b"1", "text/y", "no-store")
    for wrong in ("a%0D%0AX-New%3A1", "a%00", "%7F"):
        for method in ("GET", "HEAD"):
            answer = await s3.ask(method, f"/bucket/x?response-content-type={wrong}")
            assert answer.code == 400, wrong


@pytest_twisted.ensureDeferred
async def test_tags_that_no_document_can_hold_are_refused(s3: S3) -> None:
    for tags in ("a=%01", "%7F=a", "a=%EF%BF%BE", "%EF%BF%BF=a"):
        assert code_of(await s3.put("/bucket/x", b"", x_amz_tagging=tags)) == (400, "InvalidTag"), tags
    assert (await s3.put("/bucket/x", b"", x_amz_tagging="a=%F0%9F%A6%8A%09&b=%3C%26")).code == 200
    assert texts(await s3.get("/bucket/x?tagging"), "TagSet/Tag/Value") == ["\U0001f98a\t", "<&"]
