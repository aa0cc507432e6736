"""The front knows its own names: in Destination, in tagged If headers, and on the operators' port."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import pytest_twisted

from storaged.system.words import Words
from tests.cluster.cluster import Cluster
from tests.cluster.raw import connect

FORWARDED = 'for=192.0.2.1;host="files.example:8443";proto=https'


async def request(cluster: Cluster, first: str, *headers: str) -> int:
    """Send a request exactly as written; return the status."""
    client = await cluster.connect()
    client.send("\r\n".join([f"{first} HTTP/1.1", *headers, "", ""]).encode())
    return (await client.answer()).code


@pytest.mark.parametrize(
    ("code", "target", "headers"),
    [
        (201, "/a", ["Host: files.example", "Destination: https://files.example/b"]),
        (502, "/a", ["Host: files.example", "Destination: https://other.example/b"]),
        (201, "http://files.example/a", ["Host: inner", "Destination: http://files.example/b"]),
        (502, "http://files.example/a", ["Host: inner", "Destination: http://inner/b"]),
        (201, "/a", ["Host: inner", "X-Forwarded-Host: files.example", "Destination: https://files.example/b"]),
        (201, "/a", ["Host: inner", f"Forwarded: {FORWARDED}", "Destination: https://files.example:8443/b"]),
        (502, "/a", ["Host: inner", f"Forwarded: {FORWARDED}", "Destination: https://files.example:8444/b"]),
        (201, "/a", ["Host: files.example", "Destination: https://files.example:8443/b"]),
        (201, "/a", ["Host: inner", "Destination: http://127.0.0.1:{port}/b"]),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_destination_is_here_or_elsewhere(cluster: Cluster, code: int, target: str, headers: list[str]) -> None:
    await cluster.put("/a", b"x")
    assert await request(cluster, f"MOVE {target}", *(line.format(port=cluster.port) for line in headers)) == code
    assert (await cluster.get("/b")).code == (200 if code == 201 else 404)


@pytest_twisted.ensureDeferred
async def test_the_word_of_a_proxy_counts_where_it_is_trusted(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(trusted_proxies=Words(["10.0.0.0/8"]), names=Words(["set.example:8443"]))
    await cluster.start()
    await cluster.put("/a", b"x")
    for forwarded in ("X-Forwarded-Host: files.example", "Forwarded: host=files.example"):
        told = ["Host: localhost", forwarded, "Destination: https://files.example/b"]
        assert await request(cluster, "COPY /a", *told) == 502
    assert await request(cluster, "COPY /a", "Host: localhost", "Destination: https://set.example/b") == 502
    assert await request(cluster, "COPY /a", "Host: localhost", "Destination: https://set.example:8443/b") == 201


@pytest_twisted.ensureDeferred
async def test_a_tagged_if_speaks_of_the_server_by_any_of_its_names(cluster: Cluster) -> None:
    for tag, code in [("https://files.example:8443/a", 204), ("http://inner/a", 204), ("http://other.example/a", 412)]:
        etag = (await cluster.put("/a", b"x")).header("ETag")
        headers = ["Host: inner", f"Forwarded: {FORWARDED}", f"If: <{tag}> ([{etag}])"]
        assert await request(cluster, "DELETE /a", *headers) == code


CONSOLE = ["GET /.splitd/api/list?path=/", "GET /.splitd/api/thumbnail?path=/a", "DELETE /.splitd/api/bin"]


@pytest_twisted.ensureDeferred
async def test_with_names_clients_are_not_answered_by_the_name_of_another_site(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(names=Words(["files.example:8443"]))
    await cluster.start()
    await cluster.put("/a", b"x")
    for strange in (["Host: evil.example"], ["Host: localhost", "X-Forwarded-Host: evil.example"]):
        for first in ("GET /a", "PUT /b", "PROPFIND /", "OPTIONS /", "DELETE /a", *CONSOLE):
            assert await request(cluster, first, "Content-Length: 0", *strange) == 421
    for own in ("files.example:8443", "FILES.example", "localhost:1", f"127.0.0.1:{cluster.port}"):
        assert await request(cluster, "GET /a", f"Host: {own}") == 200
    assert await request(cluster, "GET /a", "Host: localhost", "X-Forwarded-Host: files.example:8443") == 200


ASKED = ["GET /status", "GET /ready", "GET /metrics", "POST /reload", "POST /probe?id=n7&url=http://127.0.0.1:1"]


@pytest_twisted.ensureDeferred
async def test_operators_are_not_answered_by_the_name_of_another_site(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(names=Words(["front.example"]))
    await cluster.start()
    port = urlsplit(cluster.admin_url).port
    assert port is not None

    async def ask(first: str, *headers: str) -> int:
        client = await connect(port)
        client.send("\r\n".join([f"{first} HTTP/1.1", "Connection: close", *headers, "", ""]).encode())
        code = (await client.answer()).code
        await client.until_ended()
        return code

    for first in ASKED:
        for strange in ([f"Host: evil.example:{port}"], ["Host: localhost", "X-Forwarded-Host: evil.example"]):
            assert await ask(first, *strange) == 421
    assert await ask("GET http://evil.example/status", "Host: localhost") == 421
    for host in ("localhost", f"127.0.0.1:{port}", "[::1]:1", "front.example:99"):
        assert await ask("GET /status", f"Host: {host}") == 200
    assert await ask("POST /reload", "Host: localhost:1", "Origin: http://localhost:1") == 200
    assert await ask("POST /reload", "Host: localhost:1", "Origin: http://front.example") == 403
    assert await ask("GET /health", "Host: anything.example") == 200


@pytest.mark.parametrize("told", ["https", "http"])
@pytest_twisted.ensureDeferred
async def test_the_scheme_of_a_proxy_makes_no_destination_foreign(cluster: Cluster, told: str) -> None:
    """Clients that speak TLS to a proxy name destinations by https, whatever the proxy speaks here."""
    for forwarded in (f"X-Forwarded-Proto: {told}", f"Forwarded: host=files.example;proto={told}"):
        headers = ["Host: files.example", forwarded]
        for scheme in ("https", "http"):
            etag = (await cluster.put("/a", b"x")).header("ETag")
            tagged = f"If: <{scheme}://files.example/a> ([{etag}])"
            to = f"Destination: {scheme}://files.example/b"
            assert await request(cluster, "COPY /a", *headers, to, tagged) in {201, 204}


@pytest_twisted.ensureDeferred
async def test_the_prefix_of_a_proxy_is_not_believed(make_cluster: Callable[..., Cluster]) -> None:
    """It says that a proxy has taken a part of the URL away; `base_path` wants it as it was."""
    cluster = make_cluster(base_path="/files")
    await cluster.start()
    assert await request(cluster, "PUT /files/a", "Host: h", "Content-Length: 0") == 201
    prefix = "X-Forwarded-Prefix: /files"
    assert await request(cluster, "GET /a", "Host: h", prefix) == 404
    assert await request(cluster, "MOVE /files/a", "Host: h", prefix, "Destination: http://h/b") == 502
    assert await request(cluster, "MOVE /files/a", "Host: h", prefix, "Destination: http://h/files/b") == 201
