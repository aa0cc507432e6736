"""Uploads in parts by the S3 door."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.s3 import KEY, S3, code_of, texts

MIB = 1024 * 1024
PARTS = [os.urandom(5 * MIB), os.urandom(5 * MIB + 3), os.urandom(17)]
WHOLE = b"".join(PARTS)


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def etag_of(parts: list[bytes]) -> str:
    return f'"{hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()}-{len(parts)}"'


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the bucket `bucket`."""
    cluster = make_cluster(unit=64 * 1024, small_part=Size(10_000))
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    assert (await door.put("/bucket", b"")).code == 200
    yield door


async def begin(s3: S3, key: str = "k", **headers: str) -> str:
    return texts(await s3.ask("POST", f"/bucket/{key}?uploads", **headers), "UploadId")[0]


async def put_part(s3: S3, upload: str, number: int, data: bytes, key: str = "k", **headers: str) -> str:
    answer = await s3.put(f"/bucket/{key}?partNumber={number}&uploadId={upload}", data, **headers)
    assert answer.code == 200, answer.text
    return answer.header("ETag") or ""


async def complete(
    s3: S3, upload: str, parts: list[tuple[int, str]], key: str = "k", more: str = "", **headers: str
) -> Answer:
    named = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag>{more}</Part>" for n, tag in parts)
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    return await s3.ask("POST", f"/bucket/{key}?uploadId={upload}", body, **headers)


@pytest_twisted.ensureDeferred
async def test_the_url_of_the_object_is_the_one_that_clients_of_a_proxy_know(s3: S3) -> None:
    for headers, origin in (
        ({}, s3.cluster.s3_url),
        ({"X_Forwarded_Proto": "https", "X_Forwarded_Host": "s3.example"}, "https://s3.example"),
    ):
        upload = await begin(s3)
        tag = await put_part(s3, upload, 1, b"abc")
        answer = await complete(s3, upload, [(1, tag)], **headers)
        assert texts(answer, "Location") == [f"{origin}/bucket/k"]


@pytest_twisted.ensureDeferred
async def test_a_long_list_is_read_and_refused_as_a_short_one(s3: S3) -> None:
    upload, filling = await begin(s3), f"<!--{'x' * 20_000}-->"
    tag = await put_part(s3, upload, 1, b"abc")
    wrong = await complete(s3, upload, [(1, tag)], more=f"{filling}<ETag>x</ETag>")
    assert code_of(wrong) == (400, "MalformedXML")
    assert (await complete(s3, upload, [(1, tag)], more=filling)).code == 200
    assert (await s3.get("/bucket/k")).body == b"abc"
    wrong = await s3.ask("POST", "/bucket?delete", f"<Delete>{filling}</Delete>".encode())
    assert code_of(wrong) == (400, "MalformedXML")
    doomed = f"<Delete>{filling}<Object><Key>k</Key></Object></Delete>".encode()
    assert texts(await s3.ask("POST", "/bucket?delete", doomed), "Deleted/Key") == ["k"]


@pytest_twisted.ensureDeferred
async def test_parts_may_be_named_as_they_are_listed(s3: S3) -> None:
    """Clients of MinIO say at the end what ListParts has told of them; what nobody knows is refused."""
    upload = await begin(s3)
    tag = await put_part(s3, upload, 1, b"abc")
    assert code_of(await complete(s3, upload, [(1, tag)], more="<Offset>3</Offset>")) == (400, "MalformedXML")
    listed = "<LastModified>0001-01-01T00:00:00Z</LastModified><Size>3</Size><ChecksumCRC32></ChecksumCRC32>"
    assert (await complete(s3, upload, [(1, tag)], more=listed)).code == 200
    assert (await s3.get("/bucket/k")).body == b"abc"


@pytest_twisted.ensureDeferred
async def test_an_object_is_made_of_its_parts(s3: S3) -> None:
    upload = await begin(s3, Content_Type="text/x", x_amz_meta_a="1")
    tags = await gatherResults(
        [Deferred.fromCoroutine(put_part(s3, upload, number, part)) for number, part in enumerate(PARTS, 1)]
    )
    assert tags == [f'"{hashlib.md5(part).hexdigest()}"' for part in PARTS]
    assert code_of(await s3.get("/bucket/k")) == (404, "NoSuchKey"), "nothing is there before the end"
    listed = await s3.get(f"/bucket/k?uploadId={upload}&max-parts=2")
    assert (texts(listed, "Part/PartNumber"), texts(listed, "IsTruncated")) == (["1", "2"], ["true"])
    nothing = await s3.get(f"/bucket/k?uploadId={upload}&max-parts=0")
    assert (texts(nothing, "Part"), texts(nothing, "IsTruncated")) == ([], ["false"]), "a client would ask for ever"
    listed = await s3.get(f"/bucket/k?uploadId={upload}&part-number-marker=2")
    assert (texts(listed, "Part/ETag"), texts(listed, "Part/Size")) == ([tags[2]], ["17"])
    parts = list(enumerate(tags, 1))
    done = await complete(s3, upload, parts)
    assert texts(done, "ETag") == [etag_of(PARTS)]
    got = await s3.get("/bucket/k")
    assert (got.body, got.header("ETag"), got.header("Content-Type")) == (WHOLE, etag_of(PARTS), "text/x")
    assert texts(await complete(s3, upload, parts), "ETag") == [etag_of(PARTS)], "the answer may have been lost"
    assert code_of(await complete(s3, upload, parts[:2])) == (404, "NoSuchUpload")
    ranged = await s3.get("/bucket/k", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")
    assert ranged.body == WHOLE[5 * MIB - 2 : 5 * MIB + 2]
    second = await s3.get("/bucket/k?partNumber=2")
    assert (second.code, second.body, second.header("x-amz-mp-parts-count")) == (206, PARTS[1], "3")
    assert code_of(await s3.get("/bucket/k?partNumber=4")) == (400, "InvalidPart")
    assert (await s3.cluster.get("/bucket/k")).body == WHOLE
    told = await s3.get("/bucket/k?attributes", x_amz_object_attributes="ObjectParts")
    assert (texts(told, "ObjectParts/PartsCount"), texts(told, "ObjectParts/Part/Size")[2]) == (["3"], "17")
    for most, marker, numbers, truncated in (
        ("2", "0", ["1", "2"], "true"), ("2", "2", ["3"], "false"), ("0", "0", [], "false")
    ):  # fmt: skip
        page = {"x_amz_object_attributes": "ObjectParts", "x_amz_max_parts": most, "x_amz_part_number_marker": marker}
        told = await s3.get("/bucket/k?attributes", **page)
        assert texts(told, "ObjectParts/Part/PartNumber") == numbers
        assert texts(told, "ObjectParts/IsTruncated") == [truncated]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_completed(s3: S3) -> None:
    upload = await begin(s3)
    small, last = await put_part(s3, upload, 1, b"small"), await put_part(s3, upload, 2, b"last")
    for parts, expected in (
        ([], (400, "MalformedXML")),
        ([(1, small), (2, last)], (400, "EntityTooSmall")),
        ([(2, last), (1, small)], (400, "InvalidPartOrder")),
        ([(2, last), (2, last)], (400, "InvalidPartOrder")),
        ([(1, last)], (400, "InvalidPart")),
        ([(3, last)], (400, "InvalidPart")),
    ):
        assert code_of(await complete(s3, upload, parts)) == expected, parts
    assert code_of(await complete(s3, "0" * 32, [(1, small)])) == (404, "NoSuchUpload")
    assert code_of(await complete(s3, upload, [(1, small)], "other")) == (404, "NoSuchUpload")
    assert code_of(await s3.put(f"/bucket/k?partNumber=0&uploadId={upload}", b"1")) == (400, "InvalidArgument")
    assert code_of(await s3.put(f"/bucket/k?partNumber=10001&uploadId={upload}", b"1")) == (400, "InvalidArgument")
    await s3.put("/bucket/k", b"there")
    assert code_of(await complete(s3, upload, [(1, small)], If_None_Match="*")) == (412, "PreconditionFailed")
    await s3.ask("DELETE", "/bucket/k")
    assert code_of(await complete(s3, upload, [(1, small)], If_Match="*")) == (404, "NoSuchKey")
    await s3.put("/bucket/k", b"there")
    assert code_of(await complete(s3, upload, [(1, small)], x_amz_mp_object_size="4")) == (400, "InvalidRequest")
    assert (await s3.get("/bucket/k")).body == b"there"
    assert (await complete(s3, upload, [(1, small)], x_amz_mp_object_size="5")).code == 200
    assert (await s3.get("/bucket/k")).body == b"small", "the parts that were not chosen are dropped"


@pytest_twisted.ensureDeferred
async def test_a_condition_may_come_with_the_beginning_too(s3: S3) -> None:
    """minio-go sends it with both requests."""
    upload = await begin(s3, If_None_Match="*")
    tag = await put_part(s3, upload, 1, b"abc")
    assert (await complete(s3, upload, [(1, tag)], If_None_Match="*")).code == 200
    for headers, expected in (
        ({"If_None_Match": "*"}, (412, "PreconditionFailed")),
        ({"If_Match": '"other"'}, (412, "PreconditionFailed")),
        ({"If_Match": "*", "If_None_Match": "*"}, (400, "InvalidRequest")),
        ({"If_Modified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, (501, "NotImplemented")),
    ):
        assert code_of(await s3.ask("POST", "/bucket/k?uploads", **headers)) == expected, headers
    assert code_of(await s3.ask("POST", "/bucket/none?uploads", If_Match="*")) == (404, "NoSuchKey")
    assert texts(await s3.get("/bucket?uploads"), "Upload/Key") == []
    etag = (await s3.get("/bucket/k")).header("ETag") or ""
    assert await begin(s3, If_Match=etag)


@pytest_twisted.ensureDeferred
async def test_uploads_are_listed_and_aborted(s3: S3) -> None:
    keys = ["a/1", "a/2", "b", "b", "c/1"]
    uploads = [await begin(s3, key) for key in keys]
    listed = await s3.get("/bucket?uploads")
    assert texts(listed, "Upload/Key") == keys
    assert sorted(texts(listed, "Upload/UploadId")) == sorted(uploads)
    grouped = await s3.get("/bucket?uploads&delimiter=%2F")
    assert (texts(grouped, "Upload/Key"), texts(grouped, "CommonPrefixes/Prefix")) == (["b", "b"], ["a/", "c/"])
    found: list[str] = []
    marker = ""
    for _ in range(5):
        page = await s3.get(f"/bucket?uploads&max-uploads=2{marker}")
        found += texts(page, "Upload/UploadId")
        if texts(page, "IsTruncated") == ["false"]:
            break
        key, upload = texts(page, "NextKeyMarker")[0].replace("/", "%2F"), texts(page, "NextUploadIdMarker")[0]
        marker = f"&key-marker={key}&upload-id-marker={upload}"
    assert sorted(found) == sorted(uploads)
    await put_part(s3, uploads[0], 1, PARTS[0], "a/1")
    for key, upload in zip(keys, uploads, strict=True):
        assert (await s3.ask("DELETE", f"/bucket/{key}?uploadId={upload}")).code == 204
        assert code_of(await s3.ask("DELETE", f"/bucket/{key}?uploadId={upload}")) == (404, "NoSuchUpload")
        assert code_of(await s3.put(f"/bucket/{key}?partNumber=1&uploadId={upload}", b"1")) == (404, "NoSuchUpload")
    assert texts(await s3.get("/bucket?uploads"), "Upload/Key") == []
    await s3.cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert s3.cluster.nothing_stored()


@pytest_twisted.ensureDeferred
async def test_a_common_prefix_of_uploads_is_told_once_whatever_comes_behind_it(s3: S3) -> None:
    last, before_surrogates = "\U0010ffff", "\ud7ff"
    keys = ["a/", f"a/{last}", f"a/{last}{last}", "a0", f"b{last}/1", f"b{last}{last}", "c/", "d"]
    for key in keys:
        assert await begin(s3, quote(key))
    for delimiter, prefixes in (("/", ["a/", f"b{last}/", "c/"]), (last, [f"a/{last}", f"b{last}"])):
        for size in (1, 2, 100):
            found: list[str] = []
            marker = ""
            for _ in range(10):
                page = await s3.get(f"/bucket?delimiter={quote(delimiter, safe='')}&{marker}max-uploads={size}&uploads")
                found += texts(page, "CommonPrefixes/Prefix")
                if texts(page, "IsTruncated") == ["false"]:
                    break
                [key], [upload] = texts(page, "NextKeyMarker"), texts(page, "NextUploadIdMarker")
                marker = f"key-marker={quote(key, safe='')}&upload-id-marker={upload}&"
            assert found == prefixes, (delimiter, size)
    for key in (f"x{before_surrogates}1", f"x{before_surrogates}2", "x\ue000"):
        assert await begin(s3, quote(key))
    page = await s3.get(f"/bucket?delimiter={quote(before_surrogates)}&prefix=x&uploads")
    assert texts(page, "CommonPrefixes/Prefix") == [f"x{before_surrogates}"]
    assert texts(page, "Upload/Key") == ["x\ue000"]


@pytest_twisted.ensureDeferred
async def test_checksums_of_parts_make_that_of_the_object(s3: S3) -> None:
    composite = b64(crc(b"".join(crc(part) for part in PARTS))) + "-3"
    for kind, expected in (("COMPOSITE", composite), ("FULL_OBJECT", b64(crc(WHOLE)))):
        upload = await begin(s3, x_amz_checksum_algorithm="CRC32", x_amz_checksum_type=kind)
        tags = [
            await put_part(s3, upload, 1, PARTS[0], x_amz_checksum_crc32=b64(crc(PARTS[0]))),
            await put_part(s3, upload, 2, PARTS[1]),  # the door computes it
            await put_part(s3, upload, 3, PARTS[2], x_amz_checksum_crc32=b64(crc(PARTS[2]))),
        ]
        parts = list(enumerate(tags, 1))
        wrong = await s3.put(f"/bucket/k?partNumber=4&uploadId={upload}", b"1", x_amz_checksum_crc32=b64(crc(b"2")))
        assert code_of(wrong) == (400, "BadDigest")
        assert code_of(await complete(s3, upload, parts, x_amz_checksum_crc32=b64(crc(b"")))) == (400, "BadDigest")
        wrong = await complete(s3, upload, parts, more="<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")
        assert code_of(wrong) == (400, "InvalidPart")
        done = await complete(s3, upload, parts)
        assert (texts(done, "ChecksumCRC32"), texts(done, "ChecksumType")) == ([expected], [kind])
        got = await s3.get("/bucket/k", x_amz_checksum_mode="ENABLED")
        assert (got.header("x-amz-checksum-crc32"), got.header("x-amz-checksum-type")) == (expected, kind)
        part = await s3.get("/bucket/k?partNumber=2")
        assert (part.body, part.header("x-amz-checksum-crc32")) == (PARTS[1], b64(crc(PARTS[1])))
        told = await s3.get("/bucket/k?attributes", x_amz_object_attributes="ObjectParts")
        assert texts(told, "ObjectParts/Part/ChecksumCRC32") == [b64(crc(part)) for part in PARTS]
    for algorithm, kind in (
        ("SHA256", "FULL_OBJECT"),
        ("XXHASH3", "FULL_OBJECT"),
        ("MD5", "FULL_OBJECT"),
        ("CRC64NVME", "COMPOSITE"),
        ("MD2", "COMPOSITE"),
    ):
        answer = await s3.ask("POST", "/bucket/k?uploads", x_amz_checksum_algorithm=algorithm, x_amz_checksum_type=kind)
        assert code_of(answer) == (400, "InvalidRequest"), algorithm


@pytest_twisted.ensureDeferred
async def test_a_hash_of_parts_is_that_of_their_hashes(s3: S3) -> None:
    for name in ("SHA512", "MD5"):

        def digest(data: bytes, name: str = name) -> bytes:
            return hashlib.new(name.lower(), data).digest()

        upload = await begin(s3, x_amz_checksum_algorithm=name)
        header = f"x-amz-checksum-{name.lower()}"
        tags = [
            await put_part(s3, upload, number, part, **{header: b64(digest(part))})
            for number, part in enumerate(PARTS, 1)
        ]
        done = await complete(s3, upload, list(enumerate(tags, 1)))
        whole = b64(digest(b"".join(map(digest, PARTS)))) + "-3"
        assert (texts(done, f"Checksum{name}"), texts(done, "ChecksumType")) == ([whole], ["COMPOSITE"])


@pytest_twisted.ensureDeferred
async def test_a_part_may_be_a_range_of_an_object(s3: S3) -> None:
    await s3.put("/bucket/source", PARTS[0] + PARTS[1])
    upload = await begin(s3)
    target = f"/bucket/k?partNumber={{}}&uploadId={upload}"
    first = await s3.put(
        target.format(1), b"", x_amz_copy_source="bucket/source", x_amz_copy_source_range=f"bytes=0-{5 * MIB - 1}"
    )
    second = await s3.put(target.format(2), b"", x_amz_copy_source="bucket/source")
    assert texts(first, "ETag") == [f'"{hashlib.md5(PARTS[0]).hexdigest()}"']
    for wrong, expected in (
        ({"x_amz_copy_source_range": "bytes=5-"}, (400, "InvalidArgument")),
        ({"x_amz_copy_source_range": f"bytes=0-{99 * MIB}"}, (416, "InvalidRange")),
        ({"x_amz_copy_source_if_match": '"other"'}, (412, "PreconditionFailed")),
    ):
        answer = await s3.put(target.format(3), b"", x_amz_copy_source="bucket/source", **wrong)
        assert code_of(answer) == expected
    done = await complete(s3, upload, [(1, texts(first, "ETag")[0]), (2, texts(second, "ETag")[0])])
    assert done.code == 200
    assert (await s3.get("/bucket/k")).body == PARTS[0] + PARTS[0] + PARTS[1]


@pytest_twisted.ensureDeferred
async def test_an_upload_goes_on_after_a_restart(s3: S3) -> None:
    upload = await begin(s3)
    first = await put_part(s3, upload, 1, PARTS[0])
    await s3.cluster.restart_front()
    second = await put_part(s3, upload, 2, PARTS[1])
    assert texts(await complete(s3, upload, [(1, first), (2, second)]), "ETag") == [etag_of(PARTS[:2])]
    await s3.cluster.restart_front()
    assert (await s3.get("/bucket/k")).body == PARTS[0] + PARTS[1]


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_sent_again_replaces_the_one_before(s3: S3) -> None:
    upload = await begin(s3)
    before = await put_part(s3, upload, 1, b"before")
    after = await put_part(s3, upload, 1, b"after")
    assert code_of(await complete(s3, upload, [(1, before)])) == (400, "InvalidPart")
    assert (await complete(s3, upload, [(1, after)])).code == 200
    assert (await s3.get("/bucket/k")).body == b"after"
