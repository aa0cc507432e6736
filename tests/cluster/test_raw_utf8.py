"""UTF-8 that a client sends as it is means what it means percent-encoded, wherever a request has a URL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY
from tests.cluster.raw import RawAnswer, RawClient, connect

# The last one has U+3000 and U+00A0, white space of Unicode, inside and at its end.
NAMES = ["é", "日本語", "𝄞", "a\u3000b\u00a0"]


async def ask(client: RawClient, line: bytes, *headers: bytes, body: bytes = b"") -> RawAnswer:
    """A request whose bytes are sent as they stand."""
    head = b"\r\n".join([line + b" HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: %d" % len(body), *headers])
    client.send(head, b"\r\n\r\n", body)
    return await client.answer()


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawClient]:
    client = await connect(port)
    try:
        yield client
    finally:
        client.reset()
        await client.until_ended()


async def names_after(client: RawClient, target: bytes) -> list[str]:
    answer = await ask(client, b"GET " + target, b"Accept: application/json")
    assert answer.code == 200
    return [member["name"] for member in json.loads(answer.body)["members"]]


@pytest.mark.parametrize("name", NAMES)
@pytest_twisted.ensureDeferred
async def test_a_path_is_one_name_either_way(cluster: Cluster, name: str) -> None:
    raw, encoded = f"/{name}".encode(), quote(f"/{name}").encode()
    client = await cluster.connect()
    assert (await ask(client, b"PUT " + raw, body=b"abc")).code == 201
    assert (await ask(client, b"GET " + encoded)).body == b"abc"
    assert (await ask(client, b"PUT " + encoded, body=b"def")).code == 204
    assert (await ask(client, b"GET http://127.0.0.1" + raw)).body == b"def"
    assert (await ask(client, b"GET " + raw + b"?x=" + name.encode())).body == b"def"
    assert (await ask(client, b"DELETE " + raw)).code == 204
    assert (await ask(client, b"MKCOL " + raw)).code == 201
    assert (await ask(client, b"GET " + encoded + b"/")).code == 200


@pytest.mark.parametrize("name", NAMES)
@pytest_twisted.ensureDeferred
async def test_a_listing_goes_on_after_a_name_either_way(cluster: Cluster, name: str) -> None:
    client = await cluster.connect()
    for each in ("A", name, name + "x", "\U0010fffd"):
        assert (await ask(client, b"PUT " + quote(f"/{each}").encode(), body=b"abc")).code == 201
    rest = [name + "x", "\U0010fffd"]
    assert await names_after(client, b"/?after=" + quote(name).encode()) == rest
    assert await names_after(client, b"/?after=" + name.encode()) == rest
    assert await names_after(client, b"http://127.0.0.1/?limit=1&after=" + name.encode()) == rest[:1]


@pytest.mark.parametrize("name", NAMES)
@pytest_twisted.ensureDeferred
async def test_destination_and_if_name_one_file_either_way(cluster: Cluster, name: str) -> None:
    client = await cluster.connect()
    etag = (await ask(client, b"PUT /a", body=b"abc")).headers["etag"].encode()
    for uri in (f"/{name}".encode(), f"http://127.0.0.1/{name}".encode(), quote(f"/{name}").encode()):
        destination = b"Destination: " + uri
        assert (await ask(client, b"MOVE /a", destination)).code == 201
        assert (await ask(client, b"GET " + quote(f"/{name}").encode())).body == b"abc"
        tagged = b"If: <" + uri + b"> ([" + etag + b"])"
        assert (await ask(client, b"COPY /" + name.encode(), b"Destination: /b", tagged)).code in {201, 204}
        other = b"If: <" + uri + b'> (["another"])'
        assert (await ask(client, b"COPY /" + name.encode(), b"Destination: /b", other)).code == 412
        assert (await ask(client, b"MOVE /" + name.encode(), b"Destination: /a")).code == 201


@pytest.mark.parametrize(
    "target", [b"/\xff", b"/\xc3", b"/%C3\xa9", b"/\xed\xa0\x80", b"/a?after=\xe9", b"/?\xff", b"http://127.0.0.1/\xff"]
)
@pytest_twisted.ensureDeferred
async def test_bytes_that_are_not_utf8_are_refused_on_every_port(cluster: Cluster, target: bytes) -> None:
    for port in (cluster.port, port_of(cluster.admin_url), cluster.nodes[0].port):
        async with connected(port) as client:
            answer = await ask(client, b"GET " + target)
            assert (answer.code, answer.body) == (400, b"a URL should be UTF-8, percent-encoded or not\n")
    assert cluster.nothing_stored()


@pytest.mark.parametrize("query", [b"after=%FF", b"after=%C3&limit=3", b"limit=%ED%A0%80"])
@pytest_twisted.ensureDeferred
async def test_a_parameter_that_is_not_utf8_is_refused_where_it_is_read(cluster: Cluster, query: bytes) -> None:
    client = await cluster.connect()
    answer = await ask(client, b"GET /?" + query, b"Accept: application/json")
    assert (answer.code, answer.body.endswith(b": should be UTF-8, percent-encoded or not\n")) == (400, True)
    assert (await ask(client, b"GET /?" + query)).code == 200
    async with connected(cluster.nodes[0].port) as client:
        answer = await ask(client, b"GET /v1/parts?" + query, b"Authorization: Bearer " + KEY.encode())
        assert (answer.code, b"UTF-8" in answer.headers["splitd-error"].encode()) == (400, True)
    async with connected(port_of(cluster.admin_url)) as client:
        answer = await ask(client, b"POST /probe?url=http://127.0.0.1:1&id=%FF")
        assert (answer.code, answer.body) == (400, b"id: should be UTF-8, percent-encoded or not\n")


@pytest_twisted.ensureDeferred
async def test_the_operators_port_reads_a_parameter_either_way(cluster: Cluster) -> None:
    async with connected(port_of(cluster.admin_url)) as client:
        answers = [await ask(client, b"GET /ready?for=" + name) for name in ("é€".encode(), quote("é€").encode())]
    assert [answer.code for answer in answers] == [400, 400]
    assert answers[0].body == answers[1].body
    assert "é€".encode() in answers[0].body


@pytest.mark.parametrize("target", [b"http://[::1/status", b"http://a]/status", b"//[/status"])
@pytest_twisted.ensureDeferred
async def test_an_authority_that_cannot_be_read_is_no_fault_of_the_server(cluster: Cluster, target: bytes) -> None:
    for port in (port_of(cluster.admin_url), cluster.nodes[0].port):
        async with connected(port) as client:
            assert (await ask(client, b"GET " + target)).code in {400, 401, 404, 421}


@pytest_twisted.ensureDeferred
async def test_the_operators_port_takes_a_url_in_absolute_form(cluster: Cluster) -> None:
    async with connected(port_of(cluster.admin_url)) as client:
        for target in (b"http://127.0.0.1/health", b"http://127.0.0.1/ready?for=reads", b"/read%79?for=writes"):
            assert (await ask(client, b"GET " + target)).code == 200


@pytest.mark.parametrize("target", ["http://exämple.org/", "http://exämple.org", "http://é@test/?é"])
@pytest_twisted.ensureDeferred
async def test_an_authority_is_ascii(cluster: Cluster, target: str) -> None:
    client = await cluster.connect()
    assert (await ask(client, b"GET " + target.encode())).code == 400
    await client.until_ended()
