"""Valid request targets, and names that no file can have."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawAnswer

LONG = "n" * 255


async def ask(cluster: Cluster, method: str, target: str, body: bytes = b"") -> RawAnswer:
    """Send a request with this exact target."""
    client = await cluster.connect()
    client.begin(method, target, f"Content-Length: {len(body)}")
    client.send(body)
    answer = await client.answer()
    client.leave()
    return answer


@pytest.mark.parametrize(
    ("target", "same"),
    [
        ("/a%20b", "/%61%20%62"),
        ("/%25", "/%25"),
        ("/%3F%23", "/%3f%23"),
        ("/%C3%A9%E2%82%AC", "/%c3%a9%e2%82%ac"),
        (f"/{LONG}", f"/{LONG}?query=1"),
        ("/...", "/%2e%2e%2e"),
        ("/.x", "http://example.org/.x"),
        ("/a+b", "HTTP://example.org:1234/a+b?x"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_two_ways_to_write_a_name_mean_one_file(cluster: Cluster, target: str, same: str) -> None:
    assert (await ask(cluster, "PUT", target, b"abc")).code == 201
    assert (await ask(cluster, "GET", same)).body == b"abc"
    assert (await ask(cluster, "PUT", same, b"def")).code == 204
    assert (await ask(cluster, "GET", target)).body == b"def"


@pytest.mark.parametrize(
    "target",
    [
        "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/../b", "/a/./b", "/a/..", "/%2e%2e/etc", "/%2E", "/a%2Fb",
        "/%2f", "/%00", "/a%0Ab", "/%7F", "/%FF", "/%C3", "/%ED%A0%80", f"/{LONG}n", f"/{'a/' * 2100}b", "a",
        "http://example.org/a//b",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "MKCOL"])
@pytest_twisted.ensureDeferred
async def test_what_is_no_name_is_refused(cluster: Cluster, method: str, target: str) -> None:
    answer = await ask(cluster, method, target, b"abc" if method == "PUT" else b"")
    assert answer.code == 400
    assert answer.body.endswith(b"\n")
    assert (await ask(cluster, "GET", "/")).code == 200
    assert cluster.nothing_stored()


@pytest_twisted.ensureDeferred
async def test_a_file_keeps_its_content_type(cluster: Cluster) -> None:
    await cluster.put("/a", b"x", Content_Type='text/plain; charset="utf-8"')
    await cluster.put("/b", b"x")
    assert (await cluster.get("/a")).header("Content-Type") == 'text/plain; charset="utf-8"'
    assert (await cluster.get("/b")).header("Content-Type") == "application/octet-stream"
    await cluster.put("/a", b"x", Content_Type="image/png")
    assert (await cluster.get("/a")).header("Content-Type") == "image/png"


@pytest.mark.parametrize("method", ["POST", "PATCH", "SEARCH", "TRACE", "BREW"])
@pytest_twisted.ensureDeferred
async def test_a_method_that_is_not_known_is_refused_and_the_known_ones_named(cluster: Cluster, method: str) -> None:
    for body in (b"", b"abc"):
        answer = await ask(cluster, method, "/file", body)
        assert answer.code == 405
        assert "PUT" in answer.headers["allow"]


@pytest.mark.parametrize("target", ["/", "/missing"])
@pytest_twisted.ensureDeferred
async def test_options_tells_the_methods(cluster: Cluster, target: str) -> None:
    answer = await ask(cluster, "OPTIONS", target)
    assert answer.code == 200
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "HEAD", "PUT", "DELETE", "MKCOL", "OPTIONS"}


@pytest_twisted.ensureDeferred
async def test_a_part_of_a_file_cannot_be_put(cluster: Cluster) -> None:
    await cluster.put("/file", b"abcdef")
    assert (await cluster.put("/file", b"x", Content_Range="bytes 0-0/6")).code == 400
    assert (await cluster.get("/file")).body == b"abcdef"
