"""Uploads from a form of a browser, signed by botocore."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_twisted
from botocore.auth import HmacV1PostAuth, S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.raw import connect
from tests.cluster.s3 import KEY, S3, SECRET, code_of, texts, write_users
from tests.s3 import BOUNDARY, form_of

DATA = os.urandom(3_000_000)
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
LATER = "2040-01-01T00:00:00Z"


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the bucket `bucket`."""
    cluster = make_cluster(small_part=Size(20_000), unit=4096)
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    assert (await door.put("/bucket", b"")).code == 200
    yield door


def signed(fields: dict[str, str], *conditions: Any, kind: Any = S3SigV4PostAuth, until: str = LATER) -> dict[str, str]:
    """Return the fields of a form, with a policy that demands them as they are."""
    request: Any = AWSRequest(method="POST", url="http://h/bucket")
    all_of_them = [{"bucket": "bucket"}, *({name: value} for name, value in fields.items() if name != "file")]
    request.context["s3-presign-post-fields"] = dict(fields)
    request.context["s3-presign-post-policy"] = {"expiration": until, "conditions": [*all_of_them, *conditions]}
    where = ("s3", "us-east-1") if kind is S3SigV4PostAuth else ()
    kind(Credentials(*KEY), *where).add_auth(request)
    return dict(request.context["s3-presign-post-fields"])


async def post(s3: S3, fields: dict[str, str], data: bytes = b"content", path: str = "/bucket", **form: Any) -> Answer:
    body = form_of({name: value.encode("utf-8", "surrogateescape") for name, value in fields.items()}, data, **form)
    return await s3.cluster.ask("POST", s3.cluster.s3_url + path, body, **{"Content-Type": TYPE})


@pytest_twisted.ensureDeferred
async def test_a_form_stores_a_file(s3: S3) -> None:
    for kind in (S3SigV4PostAuth, HmacV1PostAuth):
        for data in (b"", b"small", DATA):
            fields = signed(
                {"key": "a/${filename}", "Content-Type": "text/y", "x-amz-meta-colour": "grün"},
                ["starts-with", "$key", "a/"],
                ["content-length-range", 0, len(DATA)],
                kind=kind,
            )
            # The policy demands the key as it is after the name of the file was put in.
            wrong = await post(s3, fields, data, filename="C:\\x.txt")
            assert code_of(wrong) == (403, "AccessDenied")
            fields = signed({"key": "a/x", "Content-Type": "text/y", "x-amz-meta-colour": "grün"}, kind=kind)
            answer = await post(s3, fields, data, behind={"submit": b"1"})
            assert (answer.code, answer.body) == (204, b"")
            assert answer.header("ETag") == f'"{hashlib.md5(data).hexdigest()}"'
            got = await s3.get("/bucket/a/x")
            assert (got.body, got.header("Content-Type")) == (data, "text/y")
            assert got.header("x-amz-meta-colour") == "grün"


@pytest_twisted.ensureDeferred
async def test_the_key_may_have_the_name_of_the_file(s3: S3) -> None:
    policy = {"expiration": LATER, "conditions": [["starts-with", "$key", "u/"], {"bucket": "bucket"}]}
    request: Any = AWSRequest(method="POST", url="http://h/bucket")
    request.context["s3-presign-post-fields"] = {"key": "u/${filename}"}
    request.context["s3-presign-post-policy"] = policy
    S3SigV4PostAuth(Credentials(*KEY), "s3", "us-east-1").add_auth(request)
    fields = dict(request.context["s3-presign-post-fields"])
    assert (await post(s3, fields, filename="ä b.txt")).code == 204
    assert texts(await s3.get("/bucket"), "Contents/Key") == ["u/ä b.txt"]
    assert code_of(await post(s3, {**fields, "key": "v/${filename}"})) == (403, "AccessDenied")


@pytest_twisted.ensureDeferred
async def test_the_answer_is_as_the_form_asks(s3: S3) -> None:
    for asked, code in (("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)):
        answer = await post(s3, signed({"key": "x & y", "success_action_status": asked}))
        assert answer.code == code, asked
        assert answer.header("Location") == f"{s3.cluster.s3_url}/bucket/x%20%26%20y"
        if code == 201:
            assert (texts(answer, "Bucket"), texts(answer, "Key")) == (["bucket"], ["x & y"])
            assert texts(answer, "ETag") == [answer.header("ETag")]
        else:
            assert answer.body == b""
    for asked, told in (
        ("http://h/done", "http://h/done?bucket=bucket&key=x%2Fy&etag=%22"),
        ("https://h/done?a=1", "https://h/done?a=1&bucket=bucket&key=x%2Fy&etag=%22"),
    ):
        answer = await post(s3, signed({"key": "x/y", "success_action_redirect": asked}))
        assert (answer.code, (answer.header("Location") or "")[: len(told)]) == (303, told)
    for asked in ("javascript:alert(1)", "/here", "http://h/ x"):
        assert (await post(s3, signed({"key": "x/y", "success_action_redirect": asked}))).code == 204


@pytest_twisted.ensureDeferred
async def test_what_a_form_says_of_its_object_is_kept(s3: S3) -> None:
    tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
    checksum = base64.b64encode(hashlib.sha256(b"content").digest()).decode()
    fields = signed(
        {
            "key": "x",
            "acl": "public-read",
            "tagging": tags,
            "Cache-Control": "no-store",
            "Content-Disposition": "inline",
        },
        ["starts-with", "$Content-Type", ""],
    )
    assert (await post(s3, {**fields, "x-amz-checksum-sha256": checksum})).code == 204
    got = await S3(s3.cluster, None).get("/bucket/x")
    assert (got.body, got.header("Cache-Control"), got.header("Content-Disposition")) == (
        b"content",
        "no-store",
        "inline",
    )
    assert got.header("Content-Type") == "text/x", "that of the file's part of the form"
    assert (await s3.get("/bucket/x", x_amz_checksum_mode="ENABLED")).header("x-amz-checksum-sha256") == checksum
    assert texts(await s3.get("/bucket/x?tagging"), "TagSet/Tag/Value") == ["v"]
    assert code_of(await post(s3, {**fields, "x-amz-checksum-sha256": checksum}, b"other")) == (400, "BadDigest")
    assert (await s3.get("/bucket/x")).body == b"content"
    for name, value, expected in (
        ("x-amz-server-side-encryption", "AES256", (501, "NotImplemented")),
        ("x-amz-storage-class", "GLACIER", (400, "InvalidStorageClass")),
        ("acl", "public-read-write", (501, "NotImplemented")),
        ("x-amz-new", "1", (501, "NotImplemented")),
    ):
        assert code_of(await post(s3, signed({"key": "x", name: value}))) == expected, name


@pytest_twisted.ensureDeferred
async def test_the_file_has_no_type_that_the_policy_does_not_allow(s3: S3) -> None:
    for conditions, stored in (
        ([], "binary/octet-stream"),
        ([["starts-with", "$Content-Type", ""]], "text/x"),
        ([{"Content-Type": ""}], "binary/octet-stream"),
        ([["starts-with", "$Content-Type", ""], ["eq", "$content-type", ""]], "binary/octet-stream"),
    ):
        assert (await post(s3, signed({"key": "x"}, *conditions))).code == 204, conditions
        assert (await s3.get("/bucket/x")).header("Content-Type") == stored, conditions
    given = signed({"key": "x", "Content-Type": "image/png"})
    assert (await post(s3, given)).code == 204
    assert (await s3.get("/bucket/x")).header("Content-Type") == "image/png"


@pytest_twisted.ensureDeferred
async def test_only_what_the_policy_allows_is_stored(s3: S3) -> None:
    good = signed({"key": "x"}, ["content-length-range", 3, 10])
    later = signed({"key": "x"}, until="2020-01-01T00:00:00Z")
    for fields, data, expected in (
        ({**good, "key": "y"}, b"content", (403, "AccessDenied")),
        ({**good, "acl": "private"}, b"content", (403, "AccessDenied")),
        (later, b"content", (403, "AccessDenied")),
        (good, b"xx", (400, "EntityTooSmall")),
        (good, b"x" * 11, (400, "EntityTooLarge")),
        (good, DATA, (400, "EntityTooLarge")),
        ({**good, "x-amz-signature": "0" * 64}, b"content", (403, "SignatureDoesNotMatch")),
        ({**good, "policy": signed({"key": "z"})["policy"]}, b"content", (403, "SignatureDoesNotMatch")),
        ({**good, "x-amz-credential": good["x-amz-credential"].replace(KEY[0], "OTHER")}, b"content",
         (403, "InvalidAccessKeyId")),
        ({**good, "x-amz-credential": good["x-amz-credential"].replace("us-east-1", "eu-west-1")}, b"content",
         (400, "InvalidArgument")),
        ({**good, "x-amz-algorithm": "MD5"}, b"content", (400, "InvalidArgument")),
        ({name: value for name, value in good.items() if name != "policy"}, b"content", (400, "InvalidArgument")),
        ({name: value for name, value in good.items() if name != "x-amz-signature"}, b"content",
         (400, "InvalidArgument")),
        ({name: value for name, value in good.items() if name != "key"}, b"content", (400, "InvalidArgument")),
        ({**good, "key": "k" * 1025}, b"content", (400, "KeyTooLongError")),
        ({"key": "x"}, b"content", (403, "AccessDenied")),
    ):  # fmt: skip
        assert code_of(await post(s3, fields, data)) == expected, fields
    assert texts(await s3.get("/bucket"), "Contents/Key") == []
    assert code_of(await post(s3, good, path="/none")) == (403, "AccessDenied"), "it is for another bucket"
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}, {}):
        answer = await s3.cluster.ask("POST", f"{s3.cluster.s3_url}/bucket", form_of({}, b"x"), **headers)
        assert code_of(answer) == (412, "PreconditionFailed")
    signed_request = await s3.ask("POST", "/bucket", form_of({"key": b"x"}, b"x"), Content_Type=TYPE)
    assert code_of(signed_request) == (405, "MethodNotAllowed")


@pytest_twisted.ensureDeferred
async def test_a_form_without_a_policy_is_for_those_who_may(
    make_cluster: Callable[..., Cluster], tmp_path: Any
) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    grants = {"root": "{path: /, allow: [read, write]}", "anna": "{path: /bucket/anna, allow: [write]}"}
    write_users(cluster.users, grants, "{path: /inbox, allow: [write]}")
    await cluster.start()
    root = S3(cluster, ("ROOT", SECRET))
    for bucket in ("bucket", "inbox"):
        assert (await root.put(f"/{bucket}", b"")).code == 200
    assert (await post(root, {"key": "x"}, path="/inbox")).code == 204
    assert (await root.get("/inbox/x")).body == b"content"
    assert code_of(await post(root, {"key": "x"})) == (403, "AccessDenied")
    for key, code in (("anna/x", 204), ("x", 404)):
        request: Any = AWSRequest(method="POST", url="http://h/bucket")
        request.context["s3-presign-post-fields"] = {"key": key}
        request.context["s3-presign-post-policy"] = {"expiration": LATER, "conditions": [["starts-with", "$key", ""]]}
        request.context["s3-presign-post-policy"]["conditions"].append({"bucket": "bucket"})
        S3SigV4PostAuth(Credentials("ANNA", SECRET), "s3", "us-east-1").add_auth(request)
        answer = await post(root, dict(request.context["s3-presign-post-fields"]))
        assert answer.code == code, "what the policy allows, its author must be allowed"


@pytest_twisted.ensureDeferred
async def test_a_form_that_is_cut_short_stores_nothing(s3: S3) -> None:
    fields = {name: value.encode() for name, value in signed({"key": "x"}).items()}
    whole = form_of(fields, DATA)
    head = f"POST /bucket HTTP/1.1\r\nHost: h\r\nContent-Type: {TYPE}\r\nContent-Length: {len(whole)}\r\n\r\n"
    client = await connect(int(s3.cluster.s3_url.rpartition(":")[2]))
    client.send(head.encode(), whole[:1_000_000])
    await s3.cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    client.leave()
    await s3.cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 0)
    cut = whole[:-20]
    answer = await s3.cluster.ask("POST", f"{s3.cluster.s3_url}/bucket", cut, **{"Content-Type": TYPE})
    assert code_of(answer) == (400, "MalformedPOSTRequest")
    assert texts(await s3.get("/bucket"), "Contents/Key") == []


def test_the_policy_is_what_botocore_signs() -> None:
    fields = signed({"key": "x"})
    conditions = json.loads(base64.b64decode(fields["policy"]))["conditions"]
    assert {"key": "x"} in conditions
    assert any("x-amz-credential" in each for each in conditions)


@pytest_twisted.ensureDeferred
async def test_a_condition_in_a_form_is_judged(s3: S3) -> None:
    assert code_of(await post(s3, signed({"key": "x", "If-Match": "*"}))) == (404, "NoSuchKey")
    assert (await post(s3, signed({"key": "x", "If-None-Match": "*"}), b"first")).code == 204
    refused = await post(s3, signed({"key": "x", "If-None-Match": "*"}), b"second")
    assert code_of(refused) == (412, "PreconditionFailed")
    assert (await post(s3, signed({"key": "x", "If-Match": hashlib.md5(b"first").hexdigest()}), b"third")).code == 204
    for name in (
        "If-Unmodified-Since",
        "If-Modified-Since",
        "Content-Range",
        "x-amz-copy-source",
        "x-amz-if-match-size",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-trailer",
        "x-amz-object-ownership",
        "x-amz-mp-object-size",
    ):
        assert code_of(await post(s3, signed({"key": "x", name: "bucket/x"}))) == (501, "NotImplemented"), name
    assert (await s3.get("/bucket/x")).body == b"third"


@pytest_twisted.ensureDeferred
async def test_a_form_gives_no_metadata_that_no_answer_could_tell(s3: S3) -> None:
    for name in ("x-amz-meta-ü", "x-amz-meta-a b", "x-amz-meta-a:"):
        answer = await post(s3, signed({"key": "x", name: "1"}))
        assert answer.code == 400, name
    assert (await s3.get("/bucket/x")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_form_may_say_whose_its_bucket_is(s3: S3) -> None:
    [owner] = texts(await s3.get("/bucket?acl"), "Owner/ID")
    for named, code in (("somebody", 403), (owner, 204)):
        answer = await post(s3, signed({"key": "x", "x-amz-expected-bucket-owner": named}))
        assert (answer.code, (await s3.get("/bucket/x")).code) == (code, 404 if code == 403 else 200), named


@pytest_twisted.ensureDeferred
async def test_a_form_gives_no_tags_that_are_not_utf_8_or_amazons_own(s3: S3) -> None:
    tagging = "<Tagging><TagSet><Tag><Key>{}</Key><Value>{}</Value></Tag></TagSet></Tagging>".format
    for name, value, code in (
        ("x-amz-tagging", "k=\udcff", "InvalidTag"),
        ("tagging", tagging("k", "\udcff"), "MalformedXML"),
        ("x-amz-tagging", "aws:k=v", "InvalidTag"),
        ("tagging", tagging("aws:k", "v"), "InvalidTag"),
    ):
        assert code_of(await post(s3, signed({"key": "x", name: value}))) == (400, code)
    assert (await s3.get("/bucket/x")).code == 404
