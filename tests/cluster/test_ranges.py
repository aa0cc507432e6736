"""Range requests: the answer has exactly the requested bytes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.waiting import eventually

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
    [
        "bytes=0-1,x-4",
        "bytes=0-1,",
        "bytes=",
        "bytes=-",
        "bytes=5-3",
        "bytes=a-b",
        "lines=0-1",
        "bytes=0",
        "0-1",
        "bytes=--1",
    ],
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


def parts_of(answer: Answer) -> list[tuple[str, str, bytes]]:
    """Return the content range, content type and bytes of each part of a multipart answer."""
    kind, _, boundary = str(answer.header("Content-Type")).partition("; boundary=")
    assert (answer.code, kind, answer.header("Content-Range")) == (206, "multipart/byteranges", None)
    assert answer.length == len(answer.body)
    before, *parts, after = answer.body.split(f"\r\n--{boundary}".encode())
    assert (before, after) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        found.append((fields["Content-Range"], fields["Content-Type"], body))
    return found


def told(spans: list[tuple[int, int]]) -> list[tuple[str, str, bytes]]:
    return [(f"bytes {start}-{stop - 1}/{SIZE}", "text/x-test", DATA[start:stop]) for start, stop in spans]


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest_twisted.ensureDeferred
async def test_several_ranges_are_several_parts(make_cluster: Callable[..., Cluster], small: bool) -> None:
    cluster = make_cluster(small_part=Size(200_000 if small else 0))
    await cluster.start()
    put = await cluster.put("/file", DATA, Content_Type="text/x-test")
    for asked, spans in [
        ("0-0,100-199", [(0, 1), (100, 200)]),
        (f"{STRIPE - 5}-{STRIPE + 5}, 0-9 ,-20", [(STRIPE - 5, STRIPE + 6), (0, 10), (SIZE - 20, SIZE)]),
        (f"0-9,{SIZE}-,1000-1009", [(0, 10), (1000, 1010)]),
        ("500-599,0-99,550-700", [(0, 100), (500, 701)]),
        (",".join(f"{number * 200}-{number * 200 + 9}" for number in range(32)), None),
    ]:
        answer = await cluster.get("/file", Range=f"bytes={asked}")
        assert parts_of(answer) == told(spans or [(number * 200, number * 200 + 10) for number in range(32)])
        assert answer.header("ETag") == put.header("ETag")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("0-9,10-19", 0, 20), ("0-99,50-149", 0, 150), ("0-9,50-59", 0, 60), (f"5-9,{SIZE}-", 5, 10), ("0-9,0-9", 0, 10)],
)
@pytest_twisted.ensureDeferred
async def test_ranges_that_touch_or_nearly_are_one(cluster: Cluster, asked: str, start: int, stop: int) -> None:
    await cluster.put("/file", DATA)
    answer = await cluster.get("/file", Range=f"bytes={asked}")
    assert (answer.code, answer.body) == (206, DATA[start:stop])
    assert answer.header("Content-Range") == f"bytes {start}-{stop - 1}/{SIZE}"


@pytest_twisted.ensureDeferred
async def test_more_ranges_than_anybody_needs_are_ignored(cluster: Cluster) -> None:
    await cluster.put("/file", DATA)
    for count in (33, 1000):
        asked = ",".join(f"{number * 200}-{number * 200}" for number in range(count))
        answer = await cluster.get("/file", Range=f"bytes={asked}")
        assert (answer.code, answer.length) == (200, SIZE)
    assert (await cluster.get("/file", Range=f"bytes={SIZE}-,{SIZE + 5}-")).code == 416


@pytest_twisted.ensureDeferred
async def test_several_ranges_are_of_one_version_whatever_happens_to_the_name(cluster: Cluster) -> None:
    large = random.Random(1).randbytes(24_000_000)
    await cluster.put("/large", large)
    client = await cluster.connect(receive_buffer=65_536)
    client.begin("GET", "/large", f"Range: bytes=0-11999999,{len(large) - 100}-")
    await client.until(lambda: len(client.received) > 1000)
    client.stop_reading()
    await cluster.put("/large", b"x")
    client.read_on()
    answer = await client.answer()
    assert large[:12_000_000] in answer.body
    assert large[-100:] in answer.body[-200:]


@pytest_twisted.ensureDeferred
async def test_a_reader_of_several_ranges_that_leaves_holds_nothing_back(cluster: Cluster) -> None:
    await cluster.put("/large", bytes(24_000_000))
    for ranges in ("0-9,1000000-", "0-20000000,21000000-"):
        client = await cluster.connect(receive_buffer=65_536)
        client.begin("GET", "/large", f"Range: bytes={ranges}")
        await client.until(lambda client=client: len(client.received) > 10_000)
        client.reset()
        await cluster.status_becomes(lambda status: status["downloads"]["under_way"] == 0)
    await cluster.ask("DELETE", "/large")
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_head_tells_what_get_tells(cluster: Cluster) -> None:
    await cluster.put("/file", DATA, Content_Type="text/x-test")
    head, get = await cluster.ask("HEAD", "/file"), await cluster.get("/file")
    assert (head.code, head.body) == (200, b"")
    names = ["ETag", "Last-Modified", "Content-Type", "Accept-Ranges", "X-Content-Type-Options"]
    assert [head.header(name) for name in names] == [get.header(name) for name in names]
    assert (head.header("Content-Length"), get.length) == (str(SIZE), SIZE)
    assert (await cluster.ask("HEAD", "/file", Range="bytes=3-9")).code == 200
