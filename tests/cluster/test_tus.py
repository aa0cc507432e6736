"""Resumable uploads by tus 1.0: files come over several requests, restarts and lost connections."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from base64 import b64encode
from collections.abc import Callable

import pytest
import pytest_twisted

from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.segments import continued
from tests.cluster.tus import BODY, ROOT, Tus, located, metadata
from tests.cluster.waiting import eventually

DATA = os.urandom(3_000_000)
"""More than a request that is held in memory may have."""


@pytest.mark.parametrize("small", [0, 256 * 1024])
@pytest_twisted.ensureDeferred
async def test_a_file_is_sent_in_pieces_over_a_restart(make_cluster: Callable[..., Cluster], small: int) -> None:
    cluster = make_cluster(small_part=Size(small))
    await cluster.start()
    tus = Tus(cluster)
    url = await tus.begin("a file.txt", len(DATA))
    assert url.startswith(f"{ROOT}/")
    assert url.endswith("/a%20file.txt")
    offset = 0
    for size in (1, 100_000, 0, 2_000_000, 5):
        patched = await tus.patch(url, offset, DATA[offset : offset + size])
        offset += size
        assert (patched.code, patched.header("Upload-Offset")) == (204, str(offset))
        assert patched.header("Tus-Resumable") == "1.0.0"
        assert (await cluster.get("/a%20file.txt")).code == 404
    await cluster.restart_front()
    assert await tus.offset(url) == offset
    last = await tus.patch(url, offset, DATA[offset:])
    assert (last.code, last.header("Upload-Offset")) == (204, str(len(DATA)))
    got = await cluster.get("/a%20file.txt")
    assert (got.code, got.body) == (200, DATA)
    assert last.header("ETag") == got.header("ETag")
    assert last.header("Content-Location") == "/a%20file.txt"
    # The answer may have been lost, so the upload is shown as complete as long as its file is there.
    assert await tus.offset(url) == len(DATA)
    assert (await tus.patch(url, len(DATA), b"")).code == 204
    assert (await tus.patch(url, len(DATA), b"x")).code == 409
    assert (await tus.ask("DELETE", url)).code == 404
    assert (await cluster.ask("DELETE", "/a%20file.txt")).code == 204
    assert (await tus.ask("HEAD", url)).code == 404
    await eventually(cluster.nothing_stored)


@pytest.mark.parametrize("size", [100_000, 2_000_000])
@pytest_twisted.ensureDeferred
async def test_what_has_arrived_is_kept_when_the_client_leaves(cluster: Cluster, size: int) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", len(DATA))
    assert (await tus.patch(url, 0, DATA[:10])).code == 204
    client = await tus.send(url, 10, size, DATA[10:70_000])
    # The bytes have come when the front has counted them.
    await eventually(lambda: client.unsent() == 0, "all is sent")
    client.leave()
    # To ask for the offset would end the request, with what has been read of it so far.
    await cluster.status_becomes(lambda status: status["uploads"]["continued_bytes"] == 70_000)
    await cluster.crash_front()
    await cluster.start_front()
    assert await tus.offset(url) == 70_000
    assert (await tus.patch(url, 70_000, DATA[70_000:])).code == 204
    assert (await cluster.get("/f")).body == DATA


@pytest.mark.parametrize("size", [100_000, 2_000_000])
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
@pytest_twisted.ensureDeferred
async def test_a_new_request_ends_the_one_before(cluster: Cluster, method: str, size: int) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", len(DATA))
    before = await tus.send(url, 0, size)
    if method == "HEAD":
        assert await tus.offset(url) == 0
    elif method == "PATCH":
        assert (await tus.patch(url, 0, DATA)).code == 204
        assert (await cluster.get("/f")).body == DATA
    else:
        assert (await tus.ask("DELETE", url)).code == 204
        assert (await tus.ask("HEAD", url)).code == 404
    assert await before.until_ended() == b""


@pytest_twisted.ensureDeferred
async def test_offsets_that_are_wrong_change_nothing(cluster: Cluster) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", 10)
    for offset in (1, 11, 10**14):
        assert (await tus.patch(url, offset, b"x")).code == 409
    assert (await tus.patch(url, 0, b"x" * 11)).code == 413
    for headers in ({"Upload_Offset": "-1"}, {"Upload_Offset": "1e3"}, {"Upload_Offset": ""}):
        assert (await tus.ask("PATCH", url, b"x", Content_Type=BODY, **headers)).code == 400
    assert (await tus.ask("PATCH", url, b"x", Upload_Offset="0")).code == 415
    assert (await tus.ask("PATCH", url, b"x", Upload_Offset="0", Tus_Resumable="0.2")).code == 412
    assert await tus.offset(url) == 0
    assert (await tus.patch(url, 0, b"0123456789")).code == 204
    assert (await cluster.get("/f")).body == b"0123456789"


@pytest_twisted.ensureDeferred
async def test_more_bytes_than_the_file_has_are_refused_though_they_come_in_chunks(cluster: Cluster) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", 10)
    client = await cluster.connect()
    client.begin("PATCH", url, "Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {BODY}",
                 "Transfer-Encoding: chunked")  # fmt: skip
    client.send(b"b\r\n01234567890\r\n0\r\n\r\n")
    assert (await client.answer()).code == 413
    assert await tus.offset(url) == 0
    chunked = await cluster.connect()
    chunked.begin("PATCH", url, "Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {BODY}",
                  "Transfer-Encoding: chunked")  # fmt: skip
    chunked.send(b"a\r\n0123456789\r\n0\r\n\r\n")
    assert (await chunked.answer()).code == 204
    assert (await cluster.get("/f")).body == b"0123456789"


@pytest_twisted.ensureDeferred
async def test_the_first_bytes_may_come_along(cluster: Cluster) -> None:
    tus = Tus(cluster)
    whole = await tus.create("whole", len(DATA), DATA)
    assert (whole.code, whole.header("Upload-Offset")) == (201, str(len(DATA)))
    assert (await cluster.get("/whole")).body == DATA
    half = await tus.create("half", len(DATA), DATA[:1000])
    assert (half.code, half.header("Upload-Offset")) == (201, "1000")
    assert (await tus.patch(located(half), 1000, DATA[1000:])).code == 204
    assert (await cluster.get("/half")).body == DATA
    empty = await tus.create("empty", 0)
    assert (empty.code, empty.header("Upload-Offset")) == (201, "0")
    assert (await cluster.get("/empty")).body == b""
    refused = await tus.ask("POST", ROOT, b"x", Upload_Length="1", Upload_Metadata=metadata(filename="f"))
    assert refused.code == 415


@pytest_twisted.ensureDeferred
async def test_the_length_may_be_told_later(cluster: Cluster) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", None)
    head = await tus.ask("HEAD", url)
    assert (head.header("Upload-Defer-Length"), head.header("Upload-Length")) == ("1", None)
    assert (await tus.patch(url, 0, b"01234")).code == 204
    assert (await tus.patch(url, 5, b"", Upload_Length="4")).code == 400
    assert (await tus.patch(url, 5, b"", Upload_Length="10")).code == 204
    await cluster.restart_front()
    head = await tus.ask("HEAD", url)
    assert (head.header("Upload-Defer-Length"), head.header("Upload-Length")) == (None, "10")
    assert (await tus.patch(url, 5, b"5", Upload_Length="11")).code == 400
    assert (await tus.patch(url, 5, b"56789")).code == 204
    assert (await cluster.get("/f")).body == b"0123456789"
    at_once = await tus.begin("g", None)
    assert (await tus.patch(at_once, 0, b"all", Upload_Length="3")).code == 204
    assert (await cluster.get("/g")).body == b"all"
    for wrong in ({}, {"Upload_Length": "1", "Upload_Defer_Length": "1"}, {"Upload_Defer_Length": "2"}):
        assert (await tus.ask("POST", ROOT, Upload_Metadata=metadata(filename="h"), **wrong)).code == 400


@pytest.mark.parametrize("size", [1000, 2_000_000])
@pytest_twisted.ensureDeferred
async def test_a_body_with_a_wrong_checksum_is_dropped(cluster: Cluster, size: int) -> None:
    tus, data = Tus(cluster), DATA[:size]
    url = await tus.begin("f", 4 * size)
    sums = {
        "sha1": hashlib.sha1(data, usedforsecurity=False).digest(),
        "md5": hashlib.md5(data, usedforsecurity=False).digest(),
        "sha256": hashlib.sha256(data).digest(),
        "crc32": zlib.crc32(data).to_bytes(4, "big"),
    }
    for number, (name, digest) in enumerate(sums.items()):
        header = f"{name} {b64encode(digest).decode()}"
        assert (await tus.patch(url, number * size, data[:-1] + b"!", Upload_Checksum=header)).code == 460
        assert await tus.offset(url) == number * size
        assert (await tus.patch(url, number * size, data, Upload_Checksum=header)).code == 204
    assert (await cluster.get("/f")).body == data * 4
    other = await tus.begin("g", 1)
    for wrong in ("sha3 AAAA", "sha1", "sha1 !", "sha1 AAAA"):
        assert (await tus.patch(other, 0, b"x", Upload_Checksum=wrong)).code in {400, 460}
    assert await tus.offset(other) == 0


@pytest_twisted.ensureDeferred
async def test_half_a_body_that_has_a_checksum_is_dropped(cluster: Cluster) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", 1000)
    checksum = f"Upload-Checksum: sha1 {b64encode(bytes(20)).decode()}"
    client = await tus.send(url, 0, 1000, b"x" * 500, more=[checksum])
    await eventually(lambda: client.unsent() == 0, "half of it is sent")
    assert await tus.offset(url) == 0
    assert await client.until_ended() == b""


@pytest_twisted.ensureDeferred
async def test_an_upload_that_is_ended_leaves_nothing(cluster: Cluster) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", len(DATA))
    assert (await tus.patch(url, 0, DATA[:-1])).code == 204
    assert (await tus.ask("DELETE", url)).code == 204
    for method in ("HEAD", "PATCH", "DELETE"):
        headers = {"Upload_Offset": "0", "Content_Type": BODY} if method == "PATCH" else {}
        assert (await tus.ask(method, url, **headers)).code == 404
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_names_say_where_the_file_goes(cluster: Cluster) -> None:
    tus = Tus(cluster)
    assert (await cluster.ask("MKCOL", "/photos")).code == 201
    assert (await cluster.ask("MKCOL", "/photos/new")).code == 201
    for place, named, path in (
        ("/photos", {"filename": "ä b%.jpg"}, "/photos/%C3%A4%20b%25.jpg"),
        ("/photos/", {"name": "b.jpg"}, "/photos/b.jpg"),
        ("/photos", {"path": "new/c.jpg", "filename": "x"}, "/photos/new/c.jpg"),
        ("/photos", {"path": "/d.jpg"}, "/d.jpg"),
        ("/photos/new", {"path": "e.jpg", "filetype": "image/jpeg"}, "/photos/new/e.jpg"),
    ):
        made = await tus.ask("POST", ROOT + place, Upload_Length="0", Upload_Metadata=metadata(**named))
        assert (made.code, made.header("Content-Location")) == (201, path)
        assert (await cluster.get(path)).code == 200
    assert (await cluster.get("/photos/new/e.jpg")).header("Content-Type") == "image/jpeg"
    for place, named, code in (
        ("", {}, 400),
        ("", {"filename": "a/b"}, 400),
        ("", {"filename": ".."}, 400),
        ("", {"filename": "x" * 256}, 400),
        ("", {"path": "/photos/"}, 400),
        ("", {"path": "/.splitd/f"}, 400),
        ("", {"filename": ".splitd"}, 400),
        ("", {"path": "/photos"}, 405),
        ("", {"path": "/nowhere/f"}, 409),
        ("/nowhere", {"filename": "f"}, 409),
        ("", {"filename": "f", "filetype": "a\nb"}, 400),
    ):
        refused = await tus.ask("POST", ROOT + place, Upload_Length="1", Upload_Metadata=metadata(**named))
        assert refused.code == code, (named, refused)
    assert (await tus.ask("POST", ROOT, Upload_Length="1", Upload_Metadata="filename !")).code == 400
    assert (await tus.ask("POST", ROOT, Upload_Length="1", Upload_Metadata="x" * 5000)).code == 400


@pytest_twisted.ensureDeferred
async def test_headers_that_are_no_text_are_kept_or_refused(cluster: Cluster) -> None:
    client = await cluster.connect()
    common = (
        b"Host: test\r\nContent-Length: 0\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 0\r\nUpload-Metadata: filename Zg=="
    )
    draft = b"Host: test\r\nContent-Length: 0\r\nUpload-Draft-Interop-Version: 9\r\nUpload-Complete: ?1"
    for line, header, code in (
        (b"POST /.splitd/uploads", common + b",\xff", 400),
        (b"POST /.splitd/uploads", common + b'\r\nIf-Match: "\xff"', 412),
        (b"POST /.splitd/uploads", common + b'\r\nIf-None-Match: "\xff"', 201),
        (b"PUT /g", draft + b'\r\nIf-None-Match: "\xff"', 201),
        (b"PUT /h", draft + b'\r\nRepr-Digest: other="\xff"', 201),
    ):
        client.send(line, b" HTTP/1.1\r\n", header, b"\r\n\r\n")
        while (answer := await client.answer()).code < 200:
            pass
        assert answer.code == code, (header, answer)


@pytest_twisted.ensureDeferred
async def test_what_is_at_the_path_already_is_told_if_one_asks(cluster: Cluster) -> None:
    tus = Tus(cluster)
    await cluster.put("/f", b"old")
    assert (await tus.create("f", 3, If_None_Match="*")).code == 412
    etag = (await cluster.get("/f")).header("ETag") or ""
    only_that = await tus.begin("f", 3, If_Match=etag)
    new = await tus.begin("g", 3, If_None_Match="*")
    await cluster.put("/f", b"other")
    await cluster.put("/g", b"meanwhile")
    for url, path, kept in ((only_that, "/f", b"other"), (new, "/g", b"meanwhile")):
        assert (await tus.patch(url, 0, b"new")).code == 412
        assert (await cluster.get(path)).body == kept
        assert await tus.offset(url) == 3
    # The bytes are kept, so the client may decide otherwise.
    assert (await tus.patch(new, 3, b"", If_None_Match='"another"')).code == 204
    assert (await cluster.get("/g")).body == b"new"


@pytest_twisted.ensureDeferred
async def test_locks_hold_and_their_tokens_open_them(cluster: Cluster) -> None:
    tus = Tus(cluster)
    await cluster.put("/f", b"old")
    body = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    lock = (await cluster.ask("LOCK", "/f", body)).header("Lock-Token") or ""
    assert (await tus.create("f", 3)).code == 423
    url = await tus.begin("f", 3, If=f"({lock})")
    assert (await tus.patch(url, 0, b"new")).code == 204
    assert (await cluster.get("/f")).body == b"new"
    await tus.begin("g", 3)
    late = await tus.begin("h", 3)
    await cluster.put("/h", b"old")
    lock = (await cluster.ask("LOCK", "/h", body)).header("Lock-Token") or ""
    assert (await tus.patch(late, 0, b"new")).code == 423
    assert (await tus.patch(late, 3, b"", If=f"({lock})")).code == 204
    assert (await cluster.get("/h")).body == b"new"


@pytest_twisted.ensureDeferred
async def test_one_s_uploads_are_listed(cluster: Cluster) -> None:
    tus = Tus(cluster)
    urls = [await tus.begin(name, 10) for name in ("a", "b")]
    await tus.patch(urls[0], 0, b"123")
    listed = await tus.ask("GET", ROOT)
    assert listed.header("Content-Type") == "application/json"

    found = json.loads(listed.body)
    assert [(each["url"], each["path"], each["offset"], each["length"]) for each in found["uploads"]] == [
        (urls[0], "/a", 3, 10),
        (urls[1], "/b", 0, 10),
    ]
    assert found["next"] is None
    assert json.loads((await tus.ask("GET", f"{ROOT}/b")).body)["uploads"][0]["path"] == "/b"
    assert (
        json.loads((await tus.ask("GET", f"{ROOT}?after=/a&upload={urls[0].split('/')[3]}")).body)["uploads"][0]["path"]
        == "/b"
    )
    assert (await cluster.status())["uploads"]["continued"] == 2


@pytest_twisted.ensureDeferred
async def test_uploads_tell_when_they_end(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(continued_uploads_days=0.5)
    await cluster.start()
    tus = Tus(cluster)
    url = await tus.begin("f", 10)
    assert (await tus.ask("HEAD", url)).header("Upload-Expires")
    options = await cluster.ask("OPTIONS", ROOT)
    assert options.code == 204
    assert options.header("Tus-Version") == "1.0.0"
    assert {"creation", "checksum", "expiration", "termination", "concatenation"} <= set(
        (options.header("Tus-Extension") or "").split(",")
    )
    assert int(options.header("Tus-Max-Size") or "") > 2**40
    cluster.settings["continued_uploads_days"] = 0.0
    await cluster.restart_front()
    assert (await tus.ask("HEAD", url)).header("Upload-Expires") is None


@pytest_twisted.ensureDeferred
async def test_many_small_pieces_make_few_segments(cluster: Cluster) -> None:
    tus, size, count = Tus(cluster), 5000, 120
    url = await tus.begin("f", size * count)
    for number in range(count):
        start = number * size
        assert (await tus.patch(url, start, DATA[start : start + size])).code == 204
    found = await cluster.front.store.stat("/f")  # type: ignore[union-attr]
    assert isinstance(found, Manifest)
    assert len(found.segments) <= 3
    assert (await cluster.get("/f")).body == DATA[: size * count]
    await eventually(lambda: len(cluster.uploads_stored()) <= 3, "what was stored again is deleted")


@pytest_twisted.ensureDeferred
async def test_a_method_may_be_sent_as_another_one(cluster: Cluster) -> None:
    tus = Tus(cluster)
    url = await tus.begin("f", 3)
    override = {"X_HTTP_Method_Override": "PATCH", "Upload_Offset": "0", "Content_Type": BODY}
    assert (await tus.ask("POST", url, b"new", **override)).code == 204
    assert (await cluster.get("/f")).body == b"new"
    assert (await tus.ask("PUT", url, b"new")).code == 405


@pytest_twisted.ensureDeferred
async def test_the_url_of_an_upload_has_the_name_that_the_client_has_called(cluster: Cluster) -> None:
    tus = Tus(cluster)
    direct = await tus.create("f", 1)
    assert direct.header("Location") == cluster.url(located(direct))
    proxied = await tus.create("f", 1, X_Forwarded_For="10.0.0.1")
    assert proxied.header("Location") == located(proxied)
    reported = await tus.create("f", 1, X_Forwarded_For="10.0.0.1", X_Forwarded_Proto="https")
    assert (reported.header("Location") or "").startswith("https://")


@pytest_twisted.ensureDeferred
async def test_uploads_that_s3_has_begun_are_none_of_tus(cluster: Cluster) -> None:
    begun = await continued(cluster).begin("/f", NO_MEDIA, ALWAYS)
    tus = Tus(cluster)
    assert (await tus.ask("HEAD", f"{ROOT}/{begun.upload}/f")).code == 404
    assert (await tus.ask("DELETE", f"{ROOT}/{begun.upload}/f")).code == 404
    assert (await tus.ask("HEAD", f"{ROOT}/nonsense")).code == 404
