"""A small object that is in the front's memory is answered at once, and its answer is that of every other object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.s3 import KEY, S3, code_of
from tests.postgres import postgres

DATA = bytes(range(256)) * 16
VARIES = {b"date", b"x-request-id", b"x-amz-request-id"}
WAITED = {"If_None_Match": '"another"'}
"""A condition, which always holds, so that the answer is not given at once."""


@pytest_twisted.async_yield_fixture(params=["journal", "database"])
async def s3(request: pytest.FixtureRequest, make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the bucket `bucket`; the one over a database has limits."""
    cluster = make_cluster(small_part=Size(20_000))
    cluster.s3_key = KEY
    if request.param == "database":
        cluster.settings["catalog"] = postgres().url(postgres().new_schema())
        limits = cluster.folder.parent / "limits.yaml"
        limits.write_text("requests: {in_all: 100, per_client: 50}\nwork: {at_once: 20}\n")
        cluster.settings["limits"] = str(limits)
    await cluster.start()
    door = S3(cluster)
    assert (await door.put("/bucket", b"")).code == 200
    yield door


def told(answer: Answer) -> tuple[int, bytes, dict[bytes, list[bytes]]]:
    """Return what an answer says, without what is different in each answer."""
    headers = {name.lower(): values for name, values in answer.headers.getAllRawHeaders()}
    assert headers.keys() >= VARIES
    return answer.code, answer.body, {name: values for name, values in headers.items() if name not in VARIES}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content_Type": "text/x", "Cache_Control": "no-cache", "Content_Encoding": "compress", "Expires": "0"},
        {
            "x_amz_meta_colour": "blue",
            "x_amz_meta_empty": "",
            "x_amz_tagging": "a=b&c=d",
            "x_amz_checksum_algorithm": "SHA256",
        },
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_answer_says_what_it_says_after_a_wait(s3: S3, headers: dict[str, str]) -> None:
    for key in ("a", "a/b", "%C3%A4%20b", ".", "a//b"):
        assert (await s3.put(f"/bucket/{key}", DATA, **headers)).code == 200
        answers = [await s3.get(f"/bucket/{key}") for _ in range(3)]  # with a database, the third one is known before
        waited = await s3.get(f"/bucket/{key}", **WAITED)
        assert answers[0].body == DATA
        assert all(told(answer) == told(waited) for answer in answers)
        heads = [await s3.ask("HEAD", f"/bucket/{key}", **how) for how in ({}, WAITED)]
        assert told(heads[0]) == told(heads[1])
        assert (heads[0].code, heads[0].header("Content-Length")) == (200, str(len(DATA)))


@pytest_twisted.ensureDeferred
async def test_a_kept_object_is_answered_by_the_same_rules(s3: S3) -> None:
    etag = (await s3.put("/bucket/a", DATA)).header("ETag") or ""
    assert {(await s3.get("/bucket/a")).code for _ in range(3)} == {200}
    for headers, code in (
        ({}, 200),
        ({"If_None_Match": etag}, 304),
        ({"If_Match": '"another"'}, 412),
        ({"Range": "bytes=1-2"}, 206),
        ({"Range": "bytes=99999-"}, 416),
        ({"x_amz_checksum_mode": "ENABLED"}, 200),
        ({"x_amz_expected_bucket_owner": "somebody"}, 403),
        ({"x_amz_security_token": "x"}, 400),
        ({"x_amz_unknown": "x"}, 501),
    ):
        answer = await s3.get("/bucket/a", **headers)
        assert answer.code == code, headers
    for path, expected in (
        ("/bucket/a?versionId=1", (404, "NoSuchVersion")),
        ("/bucket/a?partNumber=7", (400, "InvalidPart")),
        ("/bucket/a/", (404, "NoSuchKey")),
        ("/other/a", (404, "NoSuchBucket")),
    ):
        assert code_of(await s3.get(path)) == expected
    assert (await s3.get("/bucket/a?response-content-type=text%2Fy")).header("Content-Type") == "text/y"
    assert (await s3.get("/bucket/a?tagging")).body.startswith(b"<?xml")


@pytest_twisted.ensureDeferred
async def test_a_kept_object_is_read_with_a_good_signature_only(s3: S3) -> None:
    await s3.put("/bucket/a", DATA)
    wrong, nobody = S3(s3.cluster, (KEY[0], "wrong")), S3(s3.cluster, None)
    for _ in range(2):
        assert (await s3.get("/bucket/a")).body == DATA
        assert code_of(await wrong.get("/bucket/a")) == (403, "SignatureDoesNotMatch")
        assert code_of(await S3(s3.cluster, ("NOBODY", "x")).get("/bucket/a")) == (403, "InvalidAccessKeyId")
        assert code_of(await nobody.get("/bucket/a")) == (403, "AccessDenied")


@pytest_twisted.ensureDeferred
async def test_a_new_version_and_a_deletion_are_seen_at_once(s3: S3) -> None:
    for data in (b"one", b"two", b""):
        await s3.put("/bucket/a", data)
        assert [(await s3.get("/bucket/a")).body for _ in range(3)] == [data] * 3
        assert (await s3.ask("HEAD", "/bucket/a")).header("Content-Length") == str(len(data))
    await s3.put("/bucket/a", b"three")
    assert (await s3.get("/bucket/a")).body == b"three"
    assert (await s3.ask("DELETE", "/bucket/a")).code == 204
    assert code_of(await s3.get("/bucket/a")) == (404, "NoSuchKey")
    assert (await s3.ask("HEAD", "/bucket/a")).code == 404
