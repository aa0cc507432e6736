"""A header that cannot apply is not an error."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.multistatus import propfind


@pytest.mark.parametrize("value", ["word", "", "W/word", '"open', ", ,"])
@pytest_twisted.ensureDeferred
async def test_an_if_none_match_that_cannot_be_read_matches_nothing(cluster: Cluster, value: str) -> None:
    headers = {"If_None_Match": value}
    for method, path, data, code in [
        ("PUT", "/file", b"abc", 201),
        ("PUT", "/file", b"def", 204),
        ("MKCOL", "/c", None, 201),
        ("PROPFIND", "/file", None, 207),
        ("GET", "/file", None, 200),
        ("GET", "/", None, 200),
        ("COPY", "/file", None, 201),
        ("MOVE", "/file", None, 201),
        ("DELETE", "/c", None, 204),
    ]:
        answer = await cluster.ask(method, path, data, Destination=f"/{method}", **headers)
        assert answer.code == code, (method, answer.text)


@pytest_twisted.ensureDeferred
async def test_an_if_match_that_cannot_be_read_stays_an_error(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    for method in ("PUT", "GET", "DELETE", "PROPFIND"):
        assert (await cluster.ask(method, "/file", If_Match="word")).code == 400


@pytest_twisted.ensureDeferred
async def test_a_star_beside_other_tags_still_protects_what_is_there(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    assert (await cluster.put("/file", b"def", If_None_Match="*, *")).code == 412
    assert (await cluster.put("/file", b"def", If_None_Match="word, *")).code == 412


@pytest_twisted.ensureDeferred
async def test_a_content_type_is_answered_byte_by_byte(cluster: Cluster) -> None:
    for value in (b"text/x-caf\xe9", "text/x-café".encode(), b"text/plain; a=\xee\xbe\x80\xff"):
        client = await cluster.connect()
        client.send(
            b"PUT /file HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\nContent-Type: ", value, b"\r\n\r\n", bytes(9000)
        )
        assert (await client.answer()).code in {201, 204}
        for head in (
            b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\n\r\n",
        ):
            client.send(head)
            assert (await client.answer()).headers["content-type"].encode("latin-1") == value
        client.send(b"GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0,8000-8000\r\n\r\n")
        assert (await client.answer()).body.count(b"Content-Type: " + value + b"\r\n") == 2
        assert (await propfind(cluster, "/file", "getcontenttype")).keys() == {"/file"}
        assert (await cluster.ask("GET", "/", Accept="application/json")).code == 200


@pytest.mark.parametrize("restart", [False, True])
@pytest_twisted.ensureDeferred
async def test_such_a_content_type_survives_a_restart(cluster: Cluster, restart: bool) -> None:
    client = await cluster.connect()
    client.send(b"PUT /file HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Type: x/\xe9\r\n\r\nabc")
    assert (await client.answer()).code == 201
    if restart:
        await cluster.restart_front()
    client = await cluster.connect()
    client.begin("HEAD", "/file", "Connection: close")
    assert b"Content-Type: x/\xe9\r\n" in await client.until_ended()


@pytest.mark.parametrize("depth", ["0", "1", "infinity", "word"])
@pytest_twisted.ensureDeferred
async def test_depth_has_no_meaning_for_a_file(cluster: Cluster, depth: str) -> None:
    await cluster.put("/file", b"abc")
    for method, code in (("COPY", 201), ("MOVE", 201), ("PROPFIND", 207)):
        path = "/MOVE" if method == "PROPFIND" else "/file"
        answer = await cluster.ask(method, path, Depth=depth, Destination=f"/{method}")
        assert answer.code == code, (method, answer.text)
    assert (await cluster.get("/COPY")).body == (await cluster.get("/MOVE")).body == b"abc"
    assert (await cluster.ask("DELETE", "/COPY", Depth=depth)).code == 204
