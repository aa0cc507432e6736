"""Range requests: always exactly the bytes asked for."""

from __future__ import annotations

import random

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster

STRIPE = 6 * 1024
SIZE = 3 * STRIPE + 2500
DATA = random.Random(7).randbytes(SIZE)

SPANS = [
    (0, 1), (0, 1024), (0, 1025), (0, SIZE), (1023, 1024), (1023, 1025), (1024, 2048), (5 * 1024, STRIPE),
    (STRIPE - 1, STRIPE), (STRIPE - 1, STRIPE + 1), (STRIPE, STRIPE + 1), (100, 2 * STRIPE + 100), (3 * STRIPE, SIZE),
    (3 * STRIPE - 1, SIZE), (3 * STRIPE + 416, 3 * STRIPE + 418), (SIZE - 1, SIZE), (SIZE - 500, SIZE), (1, SIZE - 1),
]  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_a_range_is_those_bytes_of_the_file(cluster: Cluster) -> None:
    put = await cluster.put("/file", DATA)
    rng = random.Random(1)
    more = [sorted(rng.sample(range(SIZE + 1), 2)) for _ in range(40)]
    for start, stop in SPANS + [(start, stop) for start, stop in more]:
        answer = await cluster.get("/file", Range=f"bytes={start}-{stop - 1}")
        assert answer.body == DATA[start:stop], (start, stop)
        assert answer.code == 206
        assert answer.length == stop - start
        assert answer.header("Content-Range") == f"bytes {start}-{stop - 1}/{SIZE}"
        assert answer.header("ETag") == put.header("ETag")


@pytest.mark.parametrize(
    ("asked", "start"),
    [("-1", SIZE - 1), ("-5000", SIZE - 5000), (f"-{SIZE - 1}", 1), ("1-", 1), (f"{SIZE - 1}-", SIZE - 1)],
)
@pytest_twisted.ensureDeferred
async def test_a_range_may_be_open(cluster: Cluster, asked: str, start: int) -> None:
    await cluster.put("/file", DATA)
    answer = await cluster.get("/file", Range=f"bytes={asked}")
    assert (answer.code, answer.body) == (206, DATA[start:])
    assert answer.header("Content-Range") == f"bytes {start}-{SIZE - 1}/{SIZE}"


@pytest_twisted.ensureDeferred
async def test_a_range_that_goes_beyond_the_end_is_cut(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    answer = await cluster.get("/file", Range=f"bytes={SIZE - 10}-{SIZE + 10}")
    assert (answer.code, answer.body) == (206, DATA[-10:])
    assert (await cluster.get("/file", Range=f"bytes=-{SIZE * 2}")).body == DATA
    assert (await cluster.get("/file", Range="bytes=0-")).body == DATA


@pytest.mark.parametrize("asked", [f"{SIZE}-", f"{SIZE}-{SIZE}", f"{SIZE * 10}-{SIZE * 20}", "-0"])
@pytest_twisted.ensureDeferred
async def test_a_range_outside_the_file_is_refused_and_the_size_told(cluster: Cluster, asked: str) -> None:
    await cluster.put("/file", DATA)
    answer = await cluster.get("/file", Range=f"bytes={asked}")
    assert (answer.code, answer.header("Content-Range")) == (416, f"bytes */{SIZE}")


@pytest_twisted.ensureDeferred
async def test_no_range_of_an_empty_file_exists(cluster: Cluster) -> None:
    await cluster.put("/file", b"")
    for asked in ("0-", "0-0", "-1"):
        answer = await cluster.get("/file", Range=f"bytes={asked}")
        assert (answer.code, answer.header("Content-Range")) == (416, "bytes */0")


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=5-3", "bytes=a-b", "lines=0-1", "bytes=0", "0-1", "bytes=--1"],
)
@pytest_twisted.ensureDeferred
async def test_what_is_not_one_range_is_ignored(cluster: Cluster, asked: str) -> None:
    await cluster.put("/file", DATA)
    answer = await cluster.get("/file", Range=asked)
    assert (answer.code, answer.body, answer.header("Content-Range")) == (200, DATA, None)


@pytest_twisted.ensureDeferred
async def test_all_of_a_file_as_a_range_is_a_range(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    answer = await cluster.get("/file", Range="bytes=0-")
    assert (answer.code, answer.body) == (206, DATA)
    assert answer.header("Content-Range") == f"bytes 0-{SIZE - 1}/{SIZE}"


@pytest_twisted.ensureDeferred
async def test_a_range_is_given_only_of_the_version_that_if_range_names(cluster: Cluster) -> None:
    etag = str((await cluster.put("/file", DATA)).header("ETag"))
    same = await cluster.get("/file", Range="bytes=3-9", If_Range=etag)
    assert (same.code, same.body) == (206, DATA[3:10])
    for other in ('"00"', f"W/{etag}", "Sun, 22 Nov 2026 00:00:00 GMT"):
        answer = await cluster.get("/file", Range="bytes=3-9", If_Range=other)
        assert (answer.code, answer.body) == (200, DATA)


@pytest_twisted.ensureDeferred
async def test_head_tells_what_get_tells(cluster: Cluster) -> None:
    await cluster.put("/file", DATA, Content_Type="text/x-test")
    head, get = await cluster.ask("HEAD", "/file"), await cluster.get("/file")
    assert (head.code, head.body) == (200, b"")
    names = ["ETag", "Last-Modified", "Content-Type", "Accept-Ranges", "X-Content-Type-Options"]
    assert [head.header(name) for name in names] == [get.header(name) for name in names]
    assert (head.header("Content-Length"), get.length) == (str(SIZE), SIZE)
    assert (await cluster.ask("HEAD", "/file", Range="bytes=3-9")).code == 200
