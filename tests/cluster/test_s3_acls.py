"""Canned ACLs: what is published everybody may read, by each door; and who may publish."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import pytest_twisted

from splitd.model.conditions import ALWAYS
from tests.cluster.cluster import Cluster
from tests.cluster.s3 import S3, SECRET, code_of, parsed, texts, write_users

GRANTS = {
    "anna": "{path: /annas, allow: [read, write]}, {path: /public, allow: [read, write]}",
    "bert": "{path: /annas, allow: [read, write]}",
    "carl": "{path: /, allow: [read, write, admin]}",
    "nora": "",
}
PUBLIC = {"x_amz_acl": "public-read"}
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


@attrs.frozen
class Askers:
    """The door as several users see it."""

    cluster: Cluster
    anna: S3
    bert: S3
    carl: S3
    nora: S3
    nobody: S3


@pytest_twisted.async_yield_fixture
async def users(make_cluster: Callable[..., Cluster], tmp_path: Path) -> AsyncIterator[Askers]:
    """A cluster in which anna has the bucket `annas` with the objects `open` and `closed`."""
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users, GRANTS)
    await cluster.start()
    doors = [S3(cluster, (name.upper(), SECRET)) for name in GRANTS]
    asking = Askers(cluster, *doors, S3(cluster, None))
    assert (await asking.anna.put("/annas", b"")).code == 200
    assert (await asking.anna.put("/annas/open", b"open", **PUBLIC)).code == 200
    assert (await asking.anna.put("/annas/closed", b"closed")).code == 200
    yield asking


@pytest_twisted.ensureDeferred
async def test_a_published_object_is_read_by_everybody(users: Askers) -> None:
    for door in (users.nobody, users.nora):
        assert (await door.get("/annas/open")).body == b"open"
        assert (await door.get("/annas/open", Range="bytes=1-2")).body == b"pe"
        head = await door.ask("HEAD", "/annas/open")
        assert (head.code, head.header("Content-Length")) == (200, "4")
    assert (await users.cluster.get("/annas/open")).body == b"open", "by WebDAV, too"
    assert code_of(await users.nobody.get("/annas/closed")) == (403, "AccessDenied")
    assert code_of(await users.nora.get("/annas/closed")) == (404, "NoSuchBucket")
    assert (await users.cluster.get("/annas/closed")).code == 401
    for method, path in (
        ("GET", "/annas"),
        ("PUT", "/annas/open"),
        ("DELETE", "/annas/open"),
        ("GET", "/annas/open?acl"),
        ("GET", "/annas/none"),
    ):
        assert code_of(await users.nobody.ask(method, path)) == (403, "AccessDenied"), (method, path)
    assert (await users.anna.get("/annas/open")).body == b"open"


@pytest_twisted.ensureDeferred
async def test_what_is_published_stays_so_until_it_is_replaced(users: Askers) -> None:
    await users.cluster.restart_front()
    assert (await users.nobody.get("/annas/open")).body == b"open"
    assert (await users.anna.put("/annas/copy", b"", x_amz_copy_source="annas/open")).code == 200
    assert (await users.nobody.get("/annas/copy")).code == 403, "a copy is private"
    assert (await users.anna.put("/annas/open?tagging", b"<Tagging><TagSet></TagSet></Tagging>")).code == 200
    assert (await users.nobody.get("/annas/open")).code == 200, "other tags change nothing of that"
    assert (await users.anna.put("/annas/open", b"new")).code == 200
    assert (await users.nobody.get("/annas/open")).code == 403
    assert (await users.anna.put("/annas/open?acl", b"", **PUBLIC)).code == 200
    assert (await users.nobody.get("/annas/open")).body == b"new"
    assert (await users.anna.put("/annas/open?acl", b"", x_amz_acl="private")).code == 200
    assert (await users.nobody.get("/annas/open")).code == 403


@pytest_twisted.ensureDeferred
async def test_an_object_of_parts_is_published(users: Askers) -> None:
    anna, where = users.anna, "/annas?ownershipControls"
    uploads = []
    for key in ("big", "late"):
        upload = texts(await anna.ask("POST", f"/annas/{key}?uploads", x_amz_acl="public-read"), "UploadId")[0]
        part = await anna.put(f"/annas/{key}?partNumber=1&uploadId={upload}", b"part")
        named = f"<Part><PartNumber>1</PartNumber><ETag>{part.header('ETag')}</ETag></Part>"
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        uploads.append((f"/annas/{key}?uploadId={upload}", body))
    assert (await anna.ask("POST", *uploads[0])).code == 200
    assert (await users.nobody.get("/annas/big")).body == b"part"
    assert (await anna.put(where, controls("BucketOwnerEnforced"))).code == 200
    assert (await anna.ask("POST", *uploads[1])).code == 200, "what was begun before is not lost"
    assert (await users.nobody.get("/annas/late")).code == 403, "but its ACL does not count"
    assert (await anna.ask("DELETE", where)).code == 204
    assert (await users.nobody.get("/annas/late")).body == b"part"


@pytest_twisted.ensureDeferred
async def test_the_keys_of_a_published_bucket_are_listed_by_everybody(users: Askers) -> None:
    assert (await users.anna.put("/public", b"", **PUBLIC)).code == 200
    assert (await users.anna.put("/public/a/b", b"1")).code == 200
    for door in (users.nobody, users.nora):
        assert texts(await door.get("/public"), "Contents/Key") == ["a/b"]
        assert texts(await door.get("/public?list-type=2&prefix=a%2F"), "Contents/Key") == ["a/b"]
        assert (await door.ask("HEAD", "/public")).code == 200
        assert code_of(await door.get("/public/none")) == (404, "NoSuchKey")
    assert code_of(await users.nobody.get("/public/a/b")) == (403, "AccessDenied"), "the object is not published"
    assert code_of(await users.nobody.put("/public/x", b"1")) == (403, "AccessDenied")
    assert (await users.anna.put("/public?acl", b"", x_amz_acl="private")).code == 200
    assert code_of(await users.nobody.get("/public")) == (403, "AccessDenied")
    assert code_of(await users.nobody.get("/none")) == (404, "NoSuchBucket")
    assert code_of(await users.nora.get("/public")) == (404, "NoSuchBucket")


@pytest_twisted.ensureDeferred
async def test_the_owner_of_a_bucket_and_admins_publish(users: Askers) -> None:
    bert, carl = users.bert, users.carl
    assert (await bert.put("/annas/berts", b"1")).code == 200
    for answer in (
        await bert.put("/annas/berts", b"1", **PUBLIC),
        await bert.put("/annas/berts?acl", b"", **PUBLIC),
        await bert.put("/annas?acl", b"", **PUBLIC),
        await bert.put("/annas/x", b"", x_amz_copy_source="annas/berts", **PUBLIC),
        await bert.put(
            "/annas/open", b"", x_amz_copy_source="annas/open", x_amz_metadata_directive="REPLACE", **PUBLIC
        ),
        await bert.ask("POST", "/annas/x?uploads", x_amz_acl="public-read"),
        await users.nobody.put("/annas/berts", b"1", **PUBLIC),
        await users.nobody.put("/annas/open?acl", b"", x_amz_acl="private"),
    ):
        assert code_of(answer) == (403, "AccessDenied")
    assert (await users.nobody.get("/annas/berts")).code == 403
    assert (await carl.put("/annas/berts?acl", b"", **PUBLIC)).code == 200
    assert (await users.nobody.get("/annas/berts")).body == b"1"


@pytest_twisted.ensureDeferred
async def test_a_bucket_has_an_owner(users: Askers) -> None:
    assert code_of(await users.bert.put("/annas", b"")) == (409, "BucketAlreadyExists")
    assert (await users.anna.put("/annas", b"")).code == 200
    names = {
        tuple(texts(await door.get(path), "Owner/DisplayName"))
        for door in (users.anna, users.bert)
        for path in ("/annas?acl", "/annas/closed?acl")
    }
    assert names == {("anna",)}
    [owner] = set(texts(await users.bert.get("/annas"), "Contents/Owner/ID"))
    assert (await users.bert.get("/annas", x_amz_expected_bucket_owner=owner)).code == 200
    assert code_of(await users.bert.get("/annas", x_amz_expected_bucket_owner="0")) == (403, "AccessDenied")


@pytest_twisted.ensureDeferred
async def test_an_acl_is_told_and_taken_as_a_document(users: Askers) -> None:
    private, public = await users.anna.get("/annas/closed?acl"), await users.anna.get("/annas/open?acl")
    assert texts(private, "AccessControlList/Grant/Permission") == ["FULL_CONTROL"]
    assert texts(public, "AccessControlList/Grant/Permission") == ["READ", "FULL_CONTROL"]
    assert texts(public, "AccessControlList/Grant/Grantee/URI") == [EVERYBODY]
    assert (await users.anna.put("/annas/closed?acl", public.body)).code == 200
    assert (await users.nobody.get("/annas/closed")).body == b"closed"
    assert (await users.anna.put("/annas/closed?acl", private.body)).code == 200
    assert (await users.nobody.get("/annas/closed")).code == 403
    whose = parsed(public).findtext("Owner/ID")
    assert whose
    for body, expected in (
        (b"<x/>", (400, "MalformedACLError")),
        (b"<AccessControlPolicy/>", (400, "MalformedACLError")),
        (public.body.replace(b"FULL_CONTROL", b"ALL"), (400, "MalformedACLError")),
        *(
            (public.body.replace(end, b"<Other/>" + end), (400, "MalformedACLError"))
            for end in (b"</Owner>", b"</Grantee>", b"</Grant>", b"</AccessControlList>", b"</AccessControlPolicy>")
        ),
        (public.body.replace(b"AllUsers", b"AuthenticatedUsers"), (501, "NotImplemented")),
        (public.body.replace(b"<Permission>READ<", b"<Permission>WRITE<"), (501, "NotImplemented")),
        (public.body.replace(whose.encode(), b"0" * 64), (403, "AccessDenied")),
    ):
        assert code_of(await users.anna.put("/annas/open?acl", body)) == expected, body
    for acl, expected in (
        ("public-read-write", (501, "NotImplemented")),
        ("authenticated-read", (501, "NotImplemented")),
        ("all", (400, "InvalidArgument")),
    ):
        for path in ("/annas/y", "/annas/closed?acl", "/annas?acl", "/new"):
            assert code_of(await users.anna.put(path, b"", x_amz_acl=acl)) == expected, (path, acl)
    assert code_of(await users.anna.put("/annas/y", b"", x_amz_grant_read="id=1")) == (501, "NotImplemented")
    assert code_of(await users.anna.put("/annas/open?acl", b"")) == (400, "MissingSecurityHeader")


@pytest_twisted.ensureDeferred
async def test_a_bucket_of_another_door_has_no_owner_that_may_publish(users: Askers) -> None:
    await users.carl.put("/new", b"")
    assert (await users.carl.put("/new/x", b"1", **PUBLIC)).code == 200
    made = await users.cluster.ask("MKCOL", "/annas/sub", Authorization="")
    assert made.code == 401
    assert (await users.anna.put("/annas/sub/x", b"1", **PUBLIC)).code == 200, "all that is in it is the owner's"
    assert (await users.nobody.get("/annas/sub/x")).body == b"1"


def controls(ownership: str) -> bytes:
    rule = f"<Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule>"
    return f"<OwnershipControls>{rule}</OwnershipControls>".encode()


@pytest_twisted.ensureDeferred
async def test_acls_do_not_count_in_a_bucket_that_takes_none(users: Askers) -> None:
    anna, carl, nobody = users.anna, users.carl, users.nobody
    where = "/annas?ownershipControls"
    assert code_of(await anna.get(where)) == (404, "OwnershipControlsNotFoundError")
    assert (await anna.put(where, controls("BucketOwnerEnforced"))).code == 200
    assert texts(await anna.get(where), "Rule/ObjectOwnership") == ["BucketOwnerEnforced"]
    await users.cluster.restart_front()
    assert code_of(await nobody.get("/annas/open")) == (403, "AccessDenied")
    assert (await nobody.ask("HEAD", "/annas/open")).code == 403
    assert (await users.cluster.get("/annas/open")).code == 401
    assert (await users.nora.get("/annas/open")).code == 404
    assert texts(await anna.get("/annas/open?acl"), "AccessControlList/Grant/Permission") == ["FULL_CONTROL"]
    for answer in (
        await anna.put("/annas/x", b"1", **PUBLIC),
        await carl.put("/annas/closed?acl", b"", **PUBLIC),
        await anna.put("/annas/open?acl", b"", **PUBLIC),
        await anna.put("/annas?acl", b"", **PUBLIC),
        await anna.ask("POST", "/annas/x?uploads", x_amz_acl="public-read"),
        await anna.put("/annas/x", b"", x_amz_copy_source="annas/open", **PUBLIC),
    ):
        assert code_of(answer) == (400, "AccessControlListNotSupported")
    assert (await anna.put("/annas/x", b"1", x_amz_acl="bucket-owner-full-control")).code == 200
    assert (await users.bert.put("/annas/open?tagging", TAGS)).code == 200, "the ACL is kept, and does not count"
    assert (await users.bert.ask("DELETE", "/annas/open?tagging")).code == 204
    assert (await anna.ask("DELETE", where)).code == 204
    assert (await nobody.get("/annas/open")).body == b"open", "it was published, and is again"
    assert (await anna.put("/annas?acl", b"", **PUBLIC)).code == 200
    refused = await anna.put(where, controls("BucketOwnerEnforced"))
    assert code_of(refused) == (400, "InvalidBucketAclWithObjectOwnership")
    assert (await anna.put(where, controls("BucketOwnerPreferred"))).code == 200
    assert texts(await nobody.get("/annas"), "Contents/Key") == ["closed", "open", "x"]
    assert code_of(await anna.put(where, controls("ObjectWriter"))) == (501, "NotImplemented")
    assert code_of(await anna.put(where, controls("x"))) == (400, "MalformedXML")
    for end in (b"</Rule>", b"</OwnershipControls>"):
        more = controls("BucketOwnerPreferred").replace(end, b"<Other/>" + end)
        assert code_of(await anna.put(where, more)) == (400, "MalformedXML"), end


@pytest_twisted.ensureDeferred
async def test_a_bucket_may_take_no_acls_from_the_beginning(users: Askers) -> None:
    carl = users.carl
    enforced = {"x_amz_object_ownership": "BucketOwnerEnforced"}
    both = await carl.put("/new", b"", **enforced, **PUBLIC)
    assert code_of(both) == (400, "InvalidBucketAclWithObjectOwnership")
    assert (await carl.put("/new", b"", **enforced)).code == 200
    assert code_of(await carl.put("/new/x", b"1", **PUBLIC)) == (400, "AccessControlListNotSupported")
    writer = await carl.put("/other", b"", x_amz_object_ownership="ObjectWriter")
    assert code_of(writer) == (501, "NotImplemented")


@pytest_twisted.ensureDeferred
async def test_a_bucket_that_is_there_is_not_made_again_with_something_else(users: Askers) -> None:
    anna, carl, public, enforced = users.anna, users.carl, "/public", {"x_amz_object_ownership": "BucketOwnerEnforced"}
    tags = "<Tags><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag></Tags>"
    other = "<Tags><Tag><Key>b</Key><Value>2</Value></Tag><Tag><Key>a</Key><Value>1</Value></Tag></Tags>"
    body = "<CreateBucketConfiguration>{}</CreateBucketConfiguration>".format
    assert (await anna.put(public, body(tags).encode(), **PUBLIC)).code == 200
    assert (await carl.put("/new", b"", **enforced)).code == 200
    for answer in (
        await anna.put(public, b"", **PUBLIC),
        await anna.put(public, body(other).encode(), **PUBLIC),
        await carl.put("/new", b""),
        await carl.put("/new", b"", **enforced),
    ):
        assert answer.code == 200, "it is as it should be"
    for answer in (
        await anna.put(public, b""),
        await anna.put(public, b"", x_amz_acl="private"),
        await anna.put(public, body(tags.replace("1", "3")).encode(), **PUBLIC),
        await carl.put("/new", b"", x_amz_object_ownership="BucketOwnerPreferred"),
        await carl.put("/new", body(tags).encode()),
        await anna.put("/annas", b"", **PUBLIC),
        await anna.put("/annas", b"", **enforced),
    ):
        assert code_of(answer) == (409, "BucketAlreadyExists")
    assert texts(await users.nobody.get(public), "Name") == ["public"]
    assert (await users.nobody.get("/annas")).code == 403


@pytest_twisted.ensureDeferred
async def test_an_upload_does_not_publish_in_another_bucket_of_the_same_name(users: Askers) -> None:
    anna, carl = users.anna, users.carl
    assert (await anna.put("/public", b"")).code == 200
    begun = []
    for _ in range(2):
        upload = texts(await anna.ask("POST", "/public/a?uploads", x_amz_acl="public-read"), "UploadId")[0]
        part = await anna.put(f"/public/a?partNumber=1&uploadId={upload}", b"part")
        named = f"<Part><PartNumber>1</PartNumber><ETag>{part.header('ETag')}</ETag></Part>"
        begun.append((f"/public/a?uploadId={upload}", f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"))
        # The bucket goes by S3, which ends the uploads in it, and then by another door.
        if len(begun) == 1:
            assert (await anna.put("/public/x", b"1")).code == 200
            assert code_of(await anna.ask("DELETE", "/public")) == (409, "BucketNotEmpty")
            assert texts(await anna.get("/public?uploads"), "Upload/UploadId") == [upload]
            assert (await anna.ask("DELETE", "/public/x")).code == 204
            assert (await anna.ask("DELETE", "/public")).code == 204
            assert (await anna.put("/public", b"")).code == 200
    await users.cluster.front.catalog.delete("/public", ALWAYS)
    assert (await carl.put("/public", b"")).code == 200
    assert texts(await carl.get("/public?uploads"), "Upload/UploadId") == [begun[1][0].partition("=")[2]]
    outcomes = [code_of(await anna.ask("POST", path, body.encode())) for path, body in begun]
    assert outcomes == [(404, "NoSuchUpload"), (403, "AccessDenied")]
    assert (await carl.ask("POST", begun[1][0], begun[1][1].encode())).code == 200, "an admin may publish it"
    assert (await users.nobody.get("/public/a")).body == b"part"
