"""100-continue, refusals, and connections that are reused."""

from __future__ import annotations

import os
from typing import Any

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster

DATA = os.urandom(50_000)


@pytest_twisted.ensureDeferred
async def test_a_body_is_asked_for_only_when_it_can_be_stored(cluster: Cluster) -> None:
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {len(DATA)}", "Expect: 100-continue")
    assert (await client.answer()).code == 100
    client.send(DATA)
    assert (await client.answer()).code == 201
    client.begin("GET", "/file")
    assert (await client.answer()).body == DATA


@pytest_twisted.ensureDeferred
async def test_nothing_is_asked_for_where_nothing_is_waited_for(cluster: Cluster) -> None:
    client = await cluster.connect()
    client.begin("PUT", "/file", "Content-Length: 0", "Expect: 100-continue")
    assert (await client.answer()).code == 201
    client.begin("PUT", "/file", "Content-Length: 3")
    client.send(b"abc")
    assert (await client.answer()).code == 204


REFUSED: list[Any] = [
    pytest.param("/missing/file", [], 409, id="no collection"),
    pytest.param("/a", [], 405, id="a collection of this name"),
    pytest.param("/b/../c", [], 400, id="no name"),
    pytest.param("/file", ["If-None-Match: *"], 412, id="a condition that does not hold"),
    pytest.param("/file", ["If-Match: x"], 400, id="a condition that is none"),
]


@pytest.mark.parametrize(("path", "headers", "code"), REFUSED)
@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
@pytest_twisted.ensureDeferred
async def test_a_refusal_comes_in_place_of_100_continue(
    cluster: Cluster, path: str, headers: list[str], code: int, length: str
) -> None:
    await cluster.ask("MKCOL", "/a")
    await cluster.put("/file", b"abc")
    before = cluster.parts()
    client = await cluster.connect()
    client.begin("PUT", path, length, "Expect: 100-continue", *headers)
    answer = await client.answer()
    assert (answer.code, answer.headers["connection"]) == (code, "close")
    assert answer.body
    client.leave()
    assert cluster.parts() == before
    assert (await cluster.get("/file")).body == b"abc"


@pytest.mark.parametrize(("path", "headers", "code"), REFUSED)
@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_on_sending_can_read_why_it_was_refused(
    cluster: Cluster, path: str, headers: list[str], code: int
) -> None:
    await cluster.ask("MKCOL", "/a")
    await cluster.put("/file", b"abc")
    client = await cluster.connect()
    size = 30_000_000
    client.begin("PUT", path, f"Content-Length: {size}", *headers)
    client.send(bytes(size))
    assert (await client.answer()).code == code
    assert await client.until_ended() == b""
    assert (await cluster.status())["uploads"]["bytes"] == 3


@pytest.mark.parametrize("length", ["Content-Length: {}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("first", [0, 1, 20])
@pytest_twisted.ensureDeferred
async def test_a_body_that_was_refused_is_never_read_as_a_request(cluster: Cluster, length: str, first: int) -> None:
    await cluster.put("/file", b"abc")
    smuggled = b"DELETE /file HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"
    body = smuggled * 3
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if "chunked" in length else body
    client = await cluster.connect()
    client.begin("PUT", "/file", length.format(len(body)), "If-None-Match: *")
    client.send(sent[:first])
    assert (await client.answer()).code == 412
    client.send(sent[first:], smuggled)
    assert await client.until_ended() == b""
    assert (await cluster.get("/file")).body == b"abc"


@pytest_twisted.ensureDeferred
async def test_a_connection_serves_many_requests(cluster: Cluster) -> None:
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {len(DATA)}")
    client.send(DATA)
    put = await client.answer()
    assert put.code == 201
    for method, path, headers, code, body in [
        ("GET", "/file", [f"If-None-Match: {put.headers['etag']}"], 304, b""),
        ("GET", "/missing", [], 404, None),
        ("GET", "/file", ["Range: bytes=5-9"], 206, DATA[5:10]),
        ("GET", "/file", ["Range: bytes=99999-"], 416, None),
        ("PUT", "/empty", ["Content-Length: 0"], 201, b""),
        ("MKCOL", "/a", [], 201, b""),
        ("DELETE", "/empty", [], 204, b""),
        ("BREW", "/file", [], 405, None),
        ("GET", "/file", [], 200, DATA),
    ]:
        client.begin(method, path, *headers)
        answer = await client.answer()
        assert answer.code == code
        assert body is None or answer.body == body
    assert not client.ended


@pytest_twisted.ensureDeferred
async def test_requests_sent_at_once_are_answered_in_turn(cluster: Cluster) -> None:
    client = await cluster.connect()
    for number in range(5):
        client.begin("PUT", f"/file{number}", f"Content-Length: {number * 1000}")
        client.send(DATA[: number * 1000])
        client.begin("GET", f"/file{number}")
    for number in range(5):
        assert (await client.answer()).code == 201
        got = await client.answer()
        assert (got.code, got.body) == (200, DATA[: number * 1000])


@pytest_twisted.ensureDeferred
async def test_an_old_client_gets_its_file_and_the_end(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    client = await cluster.connect()
    client.send(b"GET /file HTTP/1.0\r\n\r\n")
    answer = await client.answer()
    assert (answer.code, answer.body) == (200, DATA)
    assert await client.until_ended() == b""


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"PUT /new HTTP/1.1\r\nContent-Length: 3\r\nContent-Type: a\x01b", 400),
        (b"PUT /new HTTP/1.1\r\nContent-Length: 3\r\nContent-Type: \xff", 201),
        (b"PUT /new HTTP/1.1\r\nContent-Length: 3\r\nIf-Match: \xff", 400),
        (b'PUT /new HTTP/1.1\r\nContent-Length: 3\r\nIf-Match: "\xff"', 412),
        (b"PUT /new HTTP/1.1\r\nContent-Length: 3\r\nIf-None-Match: \xff", 201),
        (b"GET /file HTTP/1.1\r\nRange: \xff", 200),
        (b"GET /file HTTP/1.1\r\nIf-Range: \xff\r\nRange: bytes=0-0", 200),
        (b"GET / HTTP/1.1\r\nAccept: \xff", 200),
        (b"GET /file HTTP/1.1\r\nX-Anything: \xff", 200),
    ],
)
@pytest_twisted.ensureDeferred
async def test_header_bytes_that_are_no_text_are_the_clients_fault_or_nobodys(
    cluster: Cluster, head: bytes, code: int
) -> None:
    await cluster.put("/file", b"abc")
    client = await cluster.connect()
    client.send(head + b"\r\nHost: x\r\n\r\n" + (b"abc" if head.startswith(b"PUT") else b""))
    assert (await client.answer()).code == code
