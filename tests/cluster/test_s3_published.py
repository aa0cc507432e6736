"""What is told of a published object or bucket, besides its bytes or its keys: that needs a grant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.s3 import S3, SECRET, code_of, texts, write_users

GRANTS = {
    "anna": "{path: /annas, allow: [read, write]}, {path: /open, allow: [read, write]}",
    "bert": "{path: /annas, allow: [read, write]}",
    "carl": "{path: /, allow: [read, write, admin]}",
    "rita": "{path: /annas, allow: [read]}",
    "part": "{path: /annas/part, allow: [read, write]}",
    "nora": "{path: /noras, allow: [read, write]}",
}
EVERYBODY = "{path: /open, allow: [read]}"
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
CORS = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    b"</CORSConfiguration>"
)
RULES = (
    b"<LifecycleConfiguration><Rule><ID>x</ID><Status>Enabled</Status><Filter></Filter>"
    b"<Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"
)
CONTROLS = b"<OwnershipControls><Rule><ObjectOwnership>BucketOwner%b</ObjectOwnership></Rule></OwnershipControls>"
DENIED = (403, "AccessDenied")

KEPT = {
    "tagging": TAGS,
    "cors": CORS,
    "lifecycle": RULES,
    "ownershipControls": CONTROLS % b"Preferred",
}
NONE = ("encryption", "object-lock", "policy", "policyStatus", "publicAccessBlock", "replication", "website")
SAME = ("accelerate", "analytics", "inventory", "location", "logging", "metrics", "notification", "versioning")


@attrs.frozen
class Askers:
    """The door as several users see it."""

    cluster: Cluster
    anna: S3
    bert: S3
    carl: S3
    rita: S3
    part: S3
    nora: S3
    nobody: S3


@pytest_twisted.async_yield_fixture
async def users(make_cluster: Callable[..., Cluster], tmp_path: Path) -> AsyncIterator[Askers]:
    """A cluster with two buckets of anna's, each with the object `x` and with tags: `annas`, which she has published,
    and `open`, for which everybody has a grant.
    """
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users, GRANTS, EVERYBODY)
    await cluster.start()
    asking = Askers(cluster, *(S3(cluster, (name.upper(), SECRET)) for name in GRANTS), S3(cluster, None))
    for bucket, published in (("annas", {"x_amz_acl": "public-read"}), ("open", {})):
        assert (await asking.anna.put(f"/{bucket}", b"", **published)).code == 200
        assert (await asking.anna.put(f"/{bucket}/x", b"content", x_amz_tagging="a=b", **published)).code == 200
        for name, body in KEPT.items():
            assert (await asking.anna.put(f"/{bucket}?{name}", body)).code in {200, 204}, name
    yield asking


async def ask(door: S3, method: str, path: str) -> tuple[int, str]:
    """Return the status and the code of an answer; the code of none is empty."""
    answer = await door.ask(method, path, x_amz_object_attributes="ETag")
    return code_of(answer) if answer.code >= 400 and answer.body else (answer.code, "")


@pytest_twisted.ensureDeferred
async def test_an_acl_lets_everybody_read_the_bytes_of_an_object_and_nothing_else_of_it(users: Askers) -> None:
    for door in (users.nobody, users.nora, users.part):
        got = await door.get("/annas/x")
        head = await door.ask("HEAD", "/annas/x")
        assert (got.body, head.code) == (b"content", 200)
        for each in (got, head):
            assert each.header("x-amz-tagging-count") is None, "S3 tells it those who may read the tags"
        for name in ("tagging", "acl", "attributes", "legal-hold", "retention"):
            assert await ask(door, "GET", f"/annas/x?{name}") == DENIED, name
    for name, expected in (
        ("tagging", (200, "")),
        ("acl", (200, "")),
        ("attributes", (200, "")),
        ("legal-hold", (400, "InvalidRequest")),
        ("retention", (400, "InvalidRequest")),
    ):
        for door in (users.anna, users.rita, users.carl):
            assert await ask(door, "GET", f"/annas/x?{name}") == expected, name
        by_grant = DENIED if name == "acl" else expected
        assert await ask(users.nobody, "GET", f"/open/x?{name}") == by_grant, name
    for door, bucket in ((users.rita, "annas"), (users.nobody, "open")):
        for method in ("GET", "HEAD"):
            assert (await door.ask(method, f"/{bucket}/x")).header("x-amz-tagging-count") == "1"


@pytest_twisted.ensureDeferred
async def test_an_acl_lets_everybody_list_the_keys_of_a_bucket_and_nothing_else_of_it(users: Askers) -> None:
    for door in (users.nobody, users.nora):
        for query in ("", "?list-type=2", "?versions"):
            assert (await door.get(f"/annas{query}")).code == 200, query
        assert (await door.ask("HEAD", "/annas")).code == 200
        for name in (*KEPT, "acl", *NONE, *SAME):
            assert await ask(door, "GET", f"/annas?{name}") == DENIED, name
    for name in (*KEPT, *NONE, *SAME):
        by_grant = [await ask(door, "GET", f"/{bucket}?{name}") for door, bucket in by_grants(users)]
        assert by_grant[0][0] == (404 if name in NONE else 200), name
        assert len(set(by_grant)) == 1, name
    assert [await ask(door, "GET", f"/{bucket}?acl") for door, bucket in by_grants(users)] == [(200, "")] * 3 + [DENIED]
    assert await ask(users.part, "GET", "/annas?location") == (200, ""), "a grant for a part"
    assert await ask(users.part, "GET", "/annas?tagging") == DENIED, "it is about all of the bucket"


def by_grants(users: Askers) -> list[tuple[S3, str]]:
    """Return those who may read a bucket by a grant, each with its name."""
    return [(users.anna, "annas"), (users.carl, "annas"), (users.rita, "annas"), (users.nobody, "open")]


@pytest_twisted.ensureDeferred
async def test_who_has_no_key_is_not_told_the_names_of_users(users: Askers) -> None:
    assert (await users.anna.ask("POST", "/open/y?uploads")).code == 200
    for query in ("", "list-type=2&fetch-owner=true", "versions", "uploads"):
        for door, bucket, told in (
            (users.rita, "annas", True),
            (users.nobody, "annas", False),
            (users.nobody, "open", False),
        ):
            if query != "uploads" or bucket == "open":
                listed = await door.get(f"/{bucket}?{query}")
                assert (listed.code, b"anna<" in listed.body) == (200, told), (query, bucket)
    assert b"anna<" in (await users.anna.get("/open?uploads")).body


@pytest_twisted.ensureDeferred
async def test_who_may_read_changes_nothing(users: Askers) -> None:
    for door, bucket in ((users.nobody, "annas"), (users.nora, "annas"), (users.rita, "annas"), (users.nobody, "open")):
        for name in (*KEPT, *NONE):
            assert await ask(door, "DELETE", f"/{bucket}?{name}") == DENIED, name
        for name, body in KEPT.items():
            assert (await door.put(f"/{bucket}?{name}", body)).code in {403, 404}, name
        for method, path in (("PUT", "?acl"), ("PUT", "/x?acl"), ("PUT", "/x?tagging"), ("DELETE", "/x?tagging")):
            body = TAGS if path.endswith("tagging") and method == "PUT" else b""
            more = {"x_amz_acl": "private"} if path.endswith("acl") else {}
            assert (await door.ask(method, f"/{bucket}{path}", body, **more)).code in {403, 404}, (method, path)
    assert await ask(users.bert, "DELETE", "/annas?website") == (204, "")
    for name in KEPT:
        assert (await users.anna.get(f"/annas?{name}")).code == 200, name
    assert texts(await users.anna.get("/annas/x?tagging"), "TagSet/Tag/Key") == ["a"]


@pytest_twisted.ensureDeferred
async def test_uploads_in_parts_are_shown_to_those_who_send_them(users: Askers) -> None:
    upload = texts(await users.anna.ask("POST", "/annas/x?uploads"), "UploadId")[0]
    for door, parts, uploads in (
        (users.nobody, DENIED, DENIED),
        (users.nora, (404, "NoSuchKey"), (404, "NoSuchKey")),
        (users.rita, DENIED, (200, "")),
        (users.bert, (200, ""), (200, "")),
    ):
        assert await ask(door, "GET", f"/annas/x?uploadId={upload}") == parts
        assert await ask(door, "GET", "/annas?uploads") == uploads


@pytest_twisted.ensureDeferred
async def test_a_copy_of_a_published_object_takes_no_tags_along(users: Askers) -> None:
    nora = users.nora
    assert (await nora.put("/noras", b"")).code == 200
    source = {"x_amz_copy_source": "annas/x"}
    assert code_of(await nora.put("/noras/y", b"", **source)) == DENIED, "as at Amazon, if there are tags"
    assert (await nora.put("/noras/y", b"", **source, x_amz_tagging_directive="REPLACE")).code == 200
    assert (await nora.get("/noras/y")).body == b"content"
    assert texts(await nora.get("/noras/y?tagging"), "TagSet/Tag/Key") == []
    assert (await users.anna.put("/annas/folder/", b"bytes", x_amz_acl="public-read")).code == 200
    assert (await nora.put("/noras/f", b"", x_amz_copy_source="annas/folder/")).code == 200
    assert (await nora.get("/noras/f")).body == b"bytes"
    assert (await users.anna.ask("DELETE", "/annas/x?tagging")).code == 204
    assert (await nora.put("/noras/z", b"", **source)).code == 200


@pytest_twisted.ensureDeferred
async def test_who_may_not_publish_does_not_let_acls_count(users: Askers) -> None:
    where = "/annas?ownershipControls"
    assert (await users.anna.put("/annas?acl", b"", x_amz_acl="private")).code == 200
    assert (await users.anna.put(where, CONTROLS % b"Enforced")).code == 200
    assert (await users.nobody.get("/annas/x")).code == 403
    assert code_of(await users.bert.put(where, CONTROLS % b"Preferred")) == DENIED
    assert code_of(await users.bert.ask("DELETE", where)) == DENIED
    assert (await users.nobody.get("/annas/x")).code == 403
    assert (await users.carl.ask("DELETE", where)).code == 204, "an admin may"
    assert (await users.nobody.get("/annas/x")).body == b"content"
    assert code_of(await users.bert.put(where, CONTROLS % b"Enforced")) == DENIED
