"""The headers that clients send with a file are kept, and sent with it."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawAnswer, RawClient

MEDIA = {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Encoding": "gzip",
    "Content-Language": "de, en",
    "Content-Disposition": 'attachment; filename="a b.txt"',
    "Cache-Control": "max-age=60, immutable",
}


async def asked(client: RawClient, method: str, path: str, *headers: str, body: bytes = b"") -> RawAnswer:
    client.begin(method, path, *headers, f"Content-Length: {len(body)}")
    client.send(body)
    return await client.answer()


def media_of(answer: RawAnswer) -> dict[str, str]:
    return {name: answer.headers[name.lower()] for name in MEDIA if name.lower() in answer.headers}


async def put(cluster: Cluster, path: str, body: bytes = b"abc", **more: str) -> None:
    headers = [f"{name}: {value}" for name, value in (MEDIA | more).items()]
    assert (await asked(await cluster.connect(), "PUT", path, *headers, body=body)).code in {201, 204}


async def got(cluster: Cluster, path: str, *headers: str) -> RawAnswer:
    return await asked(await cluster.connect(), "GET", path, *headers)


@pytest.mark.parametrize("restart", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_came_with_a_file_is_answered_with_it(cluster: Cluster, restart: bool) -> None:
    await cluster.ask("MKCOL", "/c")
    await put(cluster, "/c/file", bytes(9000))
    await cluster.ask("COPY", "/c", Destination="/copied")
    await cluster.ask("MOVE", "/c", Destination="/moved")
    if restart:
        await cluster.restart_front()
    for path in ("/copied/file", "/moved/file"):
        assert media_of(await got(cluster, path)) == MEDIA
        part = await got(cluster, path, "Range: bytes=1-2")
        assert (part.code, media_of(part)) == (206, MEDIA)
        client = await cluster.connect()
        client.begin("HEAD", path, "Connection: close")
        head = (await client.until_ended()).decode()
        assert all(f"\r\n{name}: {value}\r\n" in head for name, value in MEDIA.items())
        unchanged = await got(cluster, path, "If-None-Match: *")
        assert (unchanged.code, media_of(unchanged)) == (304, {"Cache-Control": MEDIA["Cache-Control"]})


@pytest_twisted.ensureDeferred
async def test_several_ranges_say_each_that_they_are_encoded(cluster: Cluster) -> None:
    await put(cluster, "/file", bytes(9000))
    answer = await got(cluster, "/file", "Range: bytes=0-0,8000-8000")
    assert answer.code == 206
    assert "content-encoding" not in answer.headers
    assert answer.body.count(b"Content-Encoding: gzip\r\n") == 2


@pytest_twisted.ensureDeferred
async def test_a_new_version_has_what_came_with_it_and_no_more(cluster: Cluster) -> None:
    await put(cluster, "/file")
    await cluster.put("/file", b"def", Content_Type="text/plain")
    assert media_of(await got(cluster, "/file")) == {"Content-Type": "text/plain", "Cache-Control": "no-cache"}


@pytest_twisted.ensureDeferred
async def test_caches_ask_before_they_use_files_and_listings(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    asked_for = [("/file", "X: y"), ("/", "X: y"), ("/", "Accept: application/json"), ("/file", "If-None-Match: *")]
    for path, header in asked_for:
        assert (await got(cluster, path, header)).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", MEDIA)
@pytest_twisted.ensureDeferred
async def test_each_may_have_1024_bytes(cluster: Cluster, name: str) -> None:
    client = await cluster.connect()
    assert (await asked(client, "PUT", "/file", f"{name}: {'x' * 1024}", body=b"abc")).code == 201
    refused = await asked(client, "PUT", "/file", f"{name}: {'x' * 1025}", body=b"def")
    assert (refused.code, name in refused.body.decode()) == (400, True)
    answer = await got(cluster, "/file")
    assert (answer.body, answer.headers[name.lower()]) == (b"abc", "x" * 1024)


@pytest_twisted.ensureDeferred
async def test_several_headers_of_a_list_are_one(cluster: Cluster) -> None:
    client = await cluster.connect()
    await asked(client, "PUT", "/file", "Content-Encoding: a", "Content-Encoding: gzip", body=b"abc")
    assert (await got(cluster, "/file")).headers["content-encoding"] == "a, gzip"
