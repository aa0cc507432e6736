"""A small body that comes after its head, as that of a client that waits for `100 Continue`, is stored without a
coroutine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
import pytest_twisted
from botocore.config import Config
from twisted.internet.threads import deferToThread

from storaged.http import StreamingRequest
from storaged.system.sizes import Size
from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster
from tests.cluster.garbage import garbage
from tests.cluster.raw import RawClient
from tests.cluster.s3 import KEY
from tests.cluster.s3_cases import BODY, EXPECT, Case, begin, started
from tests.cluster.watching import Watching, watch, watch_s3

DOORS = ["webdav", "s3"]
MOST = 12 * 1024 * 1024
"""The bytes of small files that are in memory at the same time."""


async def start(cluster: Cluster, door: str, body: bytes, path: str = "/bucket/key") -> tuple[RawClient, bytes]:
    """Return a client, and the head of a PUT but for its last line."""
    if door == "s3":
        client, head, _ = await begin(cluster, "PUT", Case({}, 200, body=body, path=path), {})
        return client, head
    head = f"PUT {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n".encode()
    return await cluster.connect(), head


def watched(cluster: Cluster, door: str) -> Watching:
    return watch_s3(cluster.front) if door == "s3" else watch(cluster.front)


async def stored(cluster: Cluster) -> bytes:
    return (await cluster.get("/bucket/key")).body


@pytest.mark.parametrize("door", DOORS)
@pytest_twisted.ensureDeferred
async def test_a_body_is_asked_for_once_and_the_next_request_follows_it(
    make_cluster: Callable[..., Cluster], door: str
) -> None:
    cluster = await started(make_cluster)
    watching = watched(cluster, door)
    for size in (1, 4096, 60_000):
        body, before = bytes(range(256)) * 256, watching.left
        client, head = await start(cluster, door, body[:size])
        for _ in range(2):
            client.send(head, EXPECT)
            assert (await client.answer()).code == 100
            client.send(body[:size], head, EXPECT)
            assert (await client.answer()).code in {200, 201, 204}
            assert (await client.answer()).code == 100
            assert client.received == b""
            client.send(body[:size])
            assert (await client.answer()).code in {200, 204}
            assert client.received == b""
        client.leave()
        assert watching.left == before
        assert await stored(cluster) == body[:size]


@pytest.mark.parametrize("door", DOORS)
@pytest_twisted.ensureDeferred
async def test_no_body_is_asked_for_that_has_come(make_cluster: Callable[..., Cluster], door: str) -> None:
    cluster = await started(make_cluster)
    watching = watched(cluster, door)
    client, head = await start(cluster, door, BODY)
    for _ in range(3):
        client.send(head, EXPECT, BODY)
    assert [(await client.answer()).code for _ in range(3)] == ([200] * 3 if door == "s3" else [201, 204, 204])
    assert client.received == b""
    client.send(head, EXPECT, BODY[:100])  # this client does not wait
    assert (await client.answer()).code == 100
    client.send(BODY[100:])
    assert (await client.answer()).code in {200, 204}
    assert (client.received, watching.left) == (b"", 0)
    client.leave()


@pytest.mark.parametrize("expects", [False, True])
@pytest.mark.parametrize("door", DOORS)
@pytest_twisted.ensureDeferred
async def test_a_body_may_come_in_pieces(make_cluster: Callable[..., Cluster], door: str, expects: bool) -> None:
    cluster = await started(make_cluster)
    watching = watched(cluster, door)
    client, head = await start(cluster, door, BODY)
    client.send(head, EXPECT if expects else b"\r\n")
    if expects:
        assert (await client.answer()).code == 100
    for start_of in range(0, len(BODY), 1024):
        await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
        client.send(BODY[start_of : start_of + 1024])
    assert (await client.answer()).code in {200, 201}
    assert (await stored(cluster), watching.left) == (BODY, 0)
    client.leave()


@pytest.mark.parametrize("door", DOORS)
@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_before_its_body_has_come_holds_nothing(
    make_cluster: Callable[..., Cluster], door: str
) -> None:
    cluster = await started(make_cluster)
    watching = watched(cluster, door)
    for sent in (b"", BODY[:100]):
        with garbage() as found:
            client, head = await start(cluster, door, BODY)
            client.send(head, EXPECT)
            assert (await client.answer()).code == 100
            client.send(sent)
            await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
            client.reset()
            await cluster.status_becomes(lambda status: not status["uploads"]["under_way"])
        assert found[StreamingRequest] <= 1
    uploads = (await cluster.status())["uploads"]
    assert (uploads["aborted"], uploads["committed"], watching.left) == (2, 0, 0)
    assert cluster.nothing_stored()


@pytest_twisted.ensureDeferred
async def test_bodies_that_do_not_come_hold_no_more_memory_than_small_files_may(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(small_part=Size(256 * 1024))
    await cluster.start()
    watching, size = watch(cluster.front), 1_500_000
    for left in (1, 2):  # the second time, all that was held is free again
        clients = [await cluster.connect() for _ in range(MOST // size + 1)]
        for number, client in enumerate(clients):
            client.begin("PUT", f"/{number}", f"Content-Length: {size}", "Expect: 100-continue")
            assert (await client.answer()).code == 100
        assert watching.left == left
        for client in clients:
            client.reset()
        await cluster.status_becomes(lambda status: not status["uploads"]["under_way"])


@pytest.mark.parametrize("door", DOORS)
@pytest_twisted.ensureDeferred
async def test_a_body_that_does_not_come_is_refused_in_the_end(make_cluster: Callable[..., Cluster], door: str) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    cluster = await started(make_cluster, front_reactor=still, client_timeout_s=20)
    watching = watched(cluster, door)
    client, head = await start(cluster, door, BODY)
    client.send(head, EXPECT)
    assert (await client.answer()).code == 100
    client.send(BODY[:100])
    await cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    still.advance(19)
    assert (await cluster.status())["uploads"]["under_way"] == 1
    still.advance(20)
    assert (await client.answer()).code == 408
    assert await client.until_ended() == b""
    assert ((await cluster.status())["uploads"]["under_way"], watching.left) == (0, 0)


@pytest.mark.parametrize("door", DOORS)
@pytest_twisted.ensureDeferred
async def test_no_body_is_asked_for_that_a_limit_a_quota_or_a_lock_refuses(
    make_cluster: Callable[..., Cluster], tmp_path: Path, door: str
) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text("quotas: [{path: /bucket/full, bytes: 1000}]\nuploads: {in_all: 1}\nlargest_file: 10kB\n")
    cluster = await started(make_cluster, limits=str(limits))
    lock = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    await cluster.put("/bucket/locked", b"")
    assert (await cluster.ask("LOCK", "/bucket/locked", lock)).code == 200
    await cluster.ask("MKCOL", "/bucket/full")
    s3 = door == "s3"
    for path, size, code in (
        ("/bucket/full/key", 1001, 403 if s3 else 507),
        ("/bucket/locked", 10, 403 if s3 else 423),
        ("/none/key", 10, 404 if s3 else 409),
        ("/bucket/key", 10_001, 400 if s3 else 413),
    ):
        client, head = await start(cluster, door, bytes(size), path)
        client.send(head, EXPECT)
        answer = await client.answer()
        assert (answer.code, answer.headers["connection"]) == (code, "close"), path
        assert await client.until_ended() == b""
    first, head = await start(cluster, door, BODY)
    first.send(head, EXPECT)
    assert (await first.answer()).code == 100
    second, head = await start(cluster, door, BODY)
    second.send(head, EXPECT)
    assert (await second.answer()).code == 503
    first.send(BODY)
    assert (await first.answer()).code in {200, 201}
    first.leave()


@pytest_twisted.ensureDeferred
async def test_boto3_stores_small_objects_without_a_coroutine(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    watching = watch_s3(cluster.front)
    access_key, secret = KEY
    client = boto3.client(
        "s3",
        endpoint_url=cluster.s3_url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    for number in range(3):
        body = BODY + bytes([number])
        put = await deferToThread(lambda body=body: client.put_object(Bucket="bucket", Key="key", Body=body))
        assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert await stored(cluster) == body
    assert watching.left == 0
    await deferToThread(client.close)
