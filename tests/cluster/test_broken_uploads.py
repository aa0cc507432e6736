"""Uploads whose client fails: nothing of them is left, and the version before is unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawClient
from tests.cluster.waiting import eventually

SIZE = 100_000
DATA = os.urandom(SIZE)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def parts_begun(cluster: Cluster) -> bool:
    return all(node.half_written() for node in cluster.nodes)


@pytest.mark.parametrize("leave", [RawClient.leave, RawClient.reset], ids=["in good order", "by a reset"])
@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
@pytest.mark.parametrize("sent", [0, 1, 50_000, SIZE - 1, SIZE])
@pytest.mark.parametrize("old", [b"the version before", None], ids=["replacing", "new"])
@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_leaves_nothing(
    cluster: Cluster, leave: Callable[[RawClient], None], known: bool, sent: int, old: bytes | None
) -> None:
    if known and sent == SIZE:
        sent -= 1  # with the last byte it would be whole
    if old is not None:
        assert (await cluster.put("/file", old)).code == 201
    before = cluster.uploads_stored()
    client = await cluster.connect()
    client.begin("PUT", "/file", f"Content-Length: {SIZE}" if known else "Transfer-Encoding: chunked")
    if sent:
        client.send(DATA[:sent] if known else chunk(DATA[:sent]))
    taken = (len(old) if old else 0) + (sent if known else sent - sent % 6144)
    await cluster.status_becomes(lambda status: status["uploads"]["bytes"] >= taken)
    await eventually(lambda: parts_begun(cluster), "a half-written part on each node")
    leave(client)
    await eventually(lambda: cluster.uploads_stored() == before, "only the parts of the version before")
    assert not any(node.half_written() for node in cluster.nodes)
    got = await cluster.get("/file")
    assert (got.code, got.body) == (200, old) if old is not None else got.code == 404
    uploads = (await cluster.status_becomes(lambda status: not status["uploads"]["under_way"]))["uploads"]
    assert (uploads["aborted"], uploads["committed"]) == (1, old is not None)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(chunk(DATA[:9000]) + b"xyz\r\nabc", id="a size that is no number"),
        pytest.param(b"5\r\nabcdefgh\r\n0\r\n\r\n", id="a chunk longer than its size"),
        pytest.param(b"-5\r\nabcde\r\n0\r\n\r\n", id="a size below zero"),
        pytest.param(b"f" * 5000, id="a size without end"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_malformed_body_is_refused_and_not_kept(cluster: Cluster, body: bytes) -> None:
    client = await cluster.connect()
    client.begin("PUT", "/file", "Transfer-Encoding: chunked")
    client.send(body)
    rest = await client.until_ended()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400")
    await eventually(cluster.nothing_stored)
    assert (await cluster.get("/file")).code == 404


@pytest_twisted.ensureDeferred
async def test_what_follows_the_announced_length_is_not_part_of_the_file(cluster: Cluster) -> None:
    client = await cluster.connect()
    client.begin("PUT", "/file", "Content-Length: 5")
    client.send(b"abcdefgh\r\n\r\n")
    assert (await client.answer()).code == 201
    assert (await client.answer()).code == 400
    assert await client.until_ended() == b""
    assert (await cluster.get("/file")).body == b"abcde"


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: -5"],
        ["Content-Length: 5x"],
        ["Transfer-Encoding: gzip"],
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_body_whose_end_is_not_clear_is_refused(cluster: Cluster, headers: list[str]) -> None:
    client = await cluster.connect()
    client.begin("PUT", "/file", *headers)
    client.send(b"5\r\nabcde\r\n0\r\n\r\n")
    assert (await client.answer()).code in {400, 501}
    await client.until_ended()
    assert (await cluster.get("/file")).code == 404
    assert cluster.nothing_stored()


@pytest_twisted.ensureDeferred
async def test_a_silent_client_is_given_up(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(client_timeout_s=0.2)
    await cluster.start()
    client = await cluster.connect()
    client.begin("PUT", "/file", "Content-Length: 100000")
    client.send(DATA[:50_000])
    await client.until_ended()
    await eventually(cluster.nothing_stored)
    await cluster.status_becomes(lambda status: not status["uploads"]["under_way"])
