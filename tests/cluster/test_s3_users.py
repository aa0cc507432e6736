"""Users by the S3 door: their keys, and what they may do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_twisted

from tests.cluster import s3
from tests.cluster.cluster import Cluster
from tests.cluster.raw import connect
from tests.cluster.s3 import S3, SECRET, code_of, texts

GRANTS = {
    "root": "{path: /, allow: [read, write]}",
    "anna": "{path: /own, allow: [read, write]}, {path: /shared, allow: [read]}, {path: /own/hidden, allow: []}",
    "nora": "",
}


def write_users(path: Path, *names: str) -> None:
    """Write a file of some of the users; everybody may read /public."""
    s3.write_users(path, {name: GRANTS[name] for name in names}, "{path: /public, allow: [read]}")


@pytest_twisted.async_yield_fixture
async def guarded(make_cluster: Callable[..., Cluster], tmp_path: Path) -> AsyncIterator[Cluster]:
    """A started cluster with three users and four buckets, each with the key `x`."""
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users, *GRANTS)
    await cluster.start()
    root = S3(cluster, ("ROOT", SECRET))
    for bucket in ("own", "shared", "private", "public"):
        assert (await root.put(f"/{bucket}", b"")).code == 200
        assert (await root.put(f"/{bucket}/x", b"content")).code == 200
    yield cluster


@pytest_twisted.ensureDeferred
async def test_each_may_do_what_they_are_granted(guarded: Cluster) -> None:
    anna, nobody = S3(guarded, ("ANNA", SECRET)), S3(guarded, None)
    assert (await anna.put("/own/y", b"1")).code == 200
    assert (await anna.get("/shared/x")).body == b"content"
    for method, path, expected in (
        ("PUT", "/shared/y", (403, "AccessDenied")),
        ("DELETE", "/shared/x", (403, "AccessDenied")),
        ("POST", "/shared/y?uploads", (403, "AccessDenied")),
        ("GET", "/private/x", (404, "NoSuchBucket")),
        ("GET", "/private", (404, "NoSuchBucket")),
        ("DELETE", "/private/x", (404, "NoSuchBucket")),
        ("GET", "/own/hidden", (404, "NoSuchKey")),
    ):
        assert code_of(await anna.ask(method, path)) == expected, (method, path)
    copied = await anna.put("/own/stolen", b"", x_amz_copy_source="private/x")
    assert copied.code == 404
    root = S3(guarded, ("ROOT", SECRET))
    assert (await root.put("/own/hidden/z", b"secret")).code == 200
    assert texts(await anna.get("/own"), "Contents/Key") == ["x", "y"]
    assert texts(await root.get("/own"), "Contents/Key") == ["hidden/z", "x", "y"]
    assert code_of(await anna.get("/")) == (403, "AccessDenied"), "the list of all buckets is that of the root"
    assert (await nobody.get("/public/x")).body == b"content"
    assert texts(await nobody.get("/public"), "Contents/Key") == ["x"]
    await root.put("/public/z", b"1", Content_Encoding="gzip", Cache_Control="max-age=99")
    refused = await nobody.get("/public/z?response-content-type=text/html")
    assert code_of(refused) == (400, "InvalidRequest")
    assert not refused.header("Content-Encoding")
    assert not refused.header("Cache-Control")
    await root.ask("DELETE", "/public/z")
    for method, path in (("PUT", "/public/y"), ("GET", "/own/x"), ("DELETE", "/public/x"), ("PUT", "/new")):
        assert code_of(await nobody.ask(method, path)) == (403, "AccessDenied"), (method, path)


@pytest_twisted.ensureDeferred
async def test_an_upload_in_parts_is_its_users(guarded: Cluster) -> None:
    anna, nora = S3(guarded, ("ANNA", SECRET)), S3(guarded, ("NORA", SECRET))
    upload = texts(await anna.ask("POST", "/own/big?uploads"), "UploadId")[0]
    for method, path in (
        ("PUT", f"/own/big?partNumber=1&uploadId={upload}"),
        ("GET", f"/own/big?uploadId={upload}"),
        ("DELETE", f"/own/big?uploadId={upload}"),
        ("GET", "/own?uploads"),
    ):
        assert (await nora.ask(method, path)).code == 404, (method, path)
    part = await anna.put(f"/own/big?partNumber=1&uploadId={upload}", b"part")
    named = f"<Part><PartNumber>1</PartNumber><ETag>{part.header('ETag')}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    assert (await nora.ask("POST", f"/own/big?uploadId={upload}", body)).code == 404
    assert (await anna.ask("POST", f"/own/big?uploadId={upload}", body)).code == 200
    assert (await anna.get("/own/big")).body == b"part"


@pytest_twisted.ensureDeferred
async def test_a_deleted_bucket_ends_all_of_its_uploads(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    own, drop = "{path: /own, allow: [read, write]}", "{path: /own/drop, allow: [write]}"
    s3.write_users(
        cluster.users, {"root": GRANTS["root"], "anna": f"{own}, {drop}", "bert": "{path: /, allow: [read]}"}
    )
    await cluster.start()
    root, anna, bert = (S3(cluster, (name, SECRET)) for name in ("ROOT", "ANNA", "BERT"))
    assert (await root.put("/own", b"")).code == 200
    begun = [
        (path, texts(await anna.ask("POST", f"{path}?uploads"), "UploadId")[0])
        for path in ("/own/x", "/own/drop/x", "/own/drop/y")
    ]
    assert texts(await anna.get("/own?uploads"), "Upload/Key") == ["x"]
    assert code_of(await bert.ask("DELETE", "/own")) == (403, "AccessDenied")
    assert (await anna.ask("DELETE", "/own")).code == 204
    assert (await root.put("/own", b"")).code == 200
    assert texts(await root.get("/own?uploads"), "Upload/Key") == []
    for path, upload in begun:
        assert code_of(await root.put(f"{path}?partNumber=1&uploadId={upload}", b"1")) == (404, "NoSuchUpload"), path


@pytest_twisted.ensureDeferred
async def test_a_grant_for_a_part_of_a_bucket_is_good_for_that_part(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    part = "{path: /shared/bert, allow: [read, write]}"
    s3.write_users(cluster.users, {"root": GRANTS["root"], "bert": part, "nora": ""})
    await cluster.start()
    root, bert, nora = (S3(cluster, (name, SECRET)) for name in ("ROOT", "BERT", "NORA"))
    assert (await root.put("/shared", b"")).code == 200
    for key in ("bert/x", "bert/y/z", "anna/x"):
        assert (await root.put(f"/shared/{key}", b"1")).code == 200
    for query in ("prefix=bert%2F", "list-type=2&prefix=bert%2F", "prefix=bert%2F&versions"):
        entry = "Version" if "versions" in query else "Contents"
        assert texts(await bert.get(f"/shared?{query}"), f"{entry}/Key") == ["bert/x", "bert/y/z"], query
    assert texts(await bert.get("/shared?delimiter=%2F&prefix=bert%2F"), "CommonPrefixes/Prefix") == ["bert/y/"]
    for prefix in ("", "anna%2F", "b"):
        assert code_of(await bert.get(f"/shared?prefix={prefix}"))[0] == 404, prefix
    assert code_of(await bert.get("/shared/bert/none")) == (404, "NoSuchKey"), "the bucket is there"
    assert (await bert.ask("DELETE", "/shared/bert/none")).code == 204
    assert (await bert.ask("HEAD", "/shared")).code == 200
    assert (await bert.get("/shared?location")).code == 200
    both = b"<Delete><Object><Key>bert/x</Key></Object><Object><Key>anna/x</Key></Object></Delete>"
    answer = await bert.ask("POST", "/shared?delete", both)
    assert texts(answer, "Deleted/Key") == ["bert/x", "anna/x"], "to him the second one was never there"
    upload = texts(await bert.ask("POST", "/shared/bert/big?uploads"), "UploadId")[0]
    assert texts(await bert.get("/shared?prefix=bert%2F&uploads"), "Upload/UploadId") == [upload]
    assert (await bert.ask("DELETE", f"/shared/bert/big?uploadId={upload}")).code == 204
    for method, path, expected in (
        ("GET", "/shared/anna/x", (404, "NoSuchKey")),
        ("PUT", "/shared/anna/y", (404, "NoSuchKey")),
        ("GET", "/shared?cors", (404, "NoSuchBucket")),  # it is about all of the bucket
        ("GET", "/shared?tagging", (404, "NoSuchBucket")),
        ("DELETE", "/shared", (404, "NoSuchBucket")),
        ("GET", "/none?prefix=bert%2F", (404, "NoSuchBucket")),
    ):
        assert code_of(await bert.ask(method, path)) == expected, (method, path)
    for method, path in (("HEAD", "/shared"), ("GET", "/shared?prefix=bert%2F"), ("GET", "/shared/bert/y/z")):
        assert (await nora.ask(method, path)).code == 404, (method, path)
    assert (await root.get("/shared/anna/x")).body == b"1"


@pytest_twisted.ensureDeferred
async def test_who_may_write_and_not_read_is_told_of_no_deletion_that_was_not_made(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    drop = "{path: /own, allow: [read, write]}, {path: /own/drop, allow: [write]}"
    s3.write_users(
        cluster.users, {"root": GRANTS["root"], "anna": drop, "dora": "{path: /own, allow: [write]}", "nora": ""}
    )
    await cluster.start()
    root, anna, dora, nora = (S3(cluster, (name, SECRET)) for name in ("ROOT", "ANNA", "DORA", "NORA"))
    assert (await root.put("/own", b"")).code == 200
    etag = (await root.put("/own/drop/x", b"1")).header("ETag") or ""
    listed = f"<Delete><Object><Key>drop/x</Key><ETag>{etag}</ETag></Object></Delete>".encode()
    for door in (anna, dora):
        for condition in ({"If_Match": etag}, {"If_Match": "*"}, {"x_amz_if_match_size": "1"}):
            assert code_of(await door.ask("DELETE", "/own/drop/x", **condition)) == (403, "AccessDenied"), condition
        assert texts(await door.ask("POST", "/own?delete", listed), "Error/Code") == ["AccessDenied"]
        assert (await root.get("/own/drop/x")).body == b"1"
        assert (await door.ask("HEAD", "/own")).code == 200, "the bucket is there for them"
        for key in ("drop/x", "drop/none"):
            assert (await door.ask("DELETE", f"/own/{key}")).code == 204
        assert (await root.get("/own/drop/x")).code == 404
        assert (await root.put("/own/drop/x", b"1")).code == 200
        assert code_of(await door.get("/own/drop/x")) == (404, "NoSuchKey")
    assert code_of(await dora.get("/none/x")) == (404, "NoSuchBucket")
    assert code_of(await nora.ask("DELETE", "/own/drop/x", If_Match="*")) == (404, "NoSuchBucket")


@pytest_twisted.ensureDeferred
async def test_a_key_is_good_while_it_stands_in_the_file(guarded: Cluster) -> None:
    nora = S3(guarded, ("NORA", SECRET))
    assert code_of(await nora.get("/own/x")) == (404, "NoSuchBucket")
    assert guarded.users is not None
    assert guarded.front is not None
    write_users(guarded.users, "root", "anna")
    await guarded.front.hang_up()
    assert code_of(await nora.get("/own/x")) == (403, "InvalidAccessKeyId")
    assert (await S3(guarded, ("ANNA", SECRET)).get("/own/x")).body == b"content"


@pytest_twisted.ensureDeferred
async def test_a_request_that_was_let_in_is_served_to_its_end(guarded: Cluster) -> None:
    """As at Amazon, a key is judged when a request begins.  What is begun of an upload in parts stays, for others."""
    anna, root = S3(guarded, ("ANNA", SECRET)), S3(guarded, ("ROOT", SECRET))
    upload = texts(await anna.ask("POST", "/own/big?uploads"), "UploadId")[0]
    path = f"/own/big?partNumber=1&uploadId={upload}"
    host = guarded.s3_url.removeprefix("http://")
    sending = []
    for each in ("/own/whole", path):
        client = await connect(int(host.rpartition(":")[2]))
        url = anna.presigned("PUT", each).removeprefix(guarded.s3_url)
        head = f"PUT {url} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        client.send(head.encode())
        assert (await client.answer()).code == 100
        sending.append(client)
    assert guarded.users is not None
    assert guarded.front is not None
    write_users(guarded.users, "root")
    await guarded.front.hang_up()
    for client in sending:
        client.send(b"part")
        assert (await client.answer()).code == 200
        client.leave()
    assert code_of(await anna.put(path, b"part")) == (403, "InvalidAccessKeyId")
    assert (await root.get("/own/whole")).body == b"part"
    [tag] = texts(await root.get(f"/own/big?uploadId={upload}"), "Part/ETag")
    body = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    )
    assert (await root.ask("POST", f"/own/big?uploadId={upload}", body.encode())).code == 200
    assert (await root.get("/own/big")).body == b"part"


@pytest_twisted.ensureDeferred
async def test_no_log_has_the_signature_of_a_url(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = make_cluster(access_log=str(tmp_path / "access"), audit_log=str(tmp_path / "audit"))
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users, "root")
    await cluster.start()
    root = S3(cluster, ("ROOT", SECRET))
    assert (await root.put("/bucket", b"")).code == 200
    url = root.presigned("PUT", "/bucket/x")
    assert (await cluster.ask("PUT", url, b"content")).code == 200
    await cluster.stop_front()
    signature = url.partition("X-Amz-Signature=")[2].partition("&")[0]
    for name in ("access", "audit"):
        told = (tmp_path / name).read_text()
        assert ("/bucket/x" in told, signature in told) == (True, False)
        assert "root" in told
