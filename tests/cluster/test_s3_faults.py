"""Clients that leave, nodes that fail, and requests that race at the S3 door: nothing is lost, and nothing is left."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.raw import RawClient, connect
from tests.cluster.s3 import KEY, S3, code_of, texts
from tests.cluster.test_s3_multipart import begin, complete, put_part
from tests.cluster.waiting import eventually

SIZE = 100_000
DATA = os.urandom(SIZE)
FIRST = os.urandom(50_000)
FRAME = b"%x\r\n%s\r\n"
CRC32 = b"0\r\nx-amz-checksum-crc32:%s\r\n" % base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big"))
TRAILER = b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the bucket `bucket`."""
    yield await start(make_cluster())


async def start(cluster: Cluster) -> S3:
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    assert (await door.put("/bucket", b"")).code == 200
    return door


class Sending:
    """A PUT of `SIZE` bytes whose body comes in pieces."""

    def __init__(self, client: RawClient) -> None:
        self.client = client

    @classmethod
    async def to(cls, s3: S3, path: str) -> Sending:
        """Begin a PUT of a path with its query."""
        url = urlsplit(s3.presigned("PUT", path))
        client = await connect(url.port or 80)
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {SIZE}\r\n\r\n"
        client.send(head.encode())
        return cls(client)

    async def send(self, s3: S3, data: bytes) -> None:
        """Send bytes, and wait until the upload has taken them."""
        before = (await s3.cluster.status())["uploads"]["bytes"]
        self.client.send(data)
        await s3.cluster.status_becomes(lambda status: status["uploads"]["bytes"] >= before + len(data))


async def is_settled(s3: S3, uploads: set[str]) -> None:
    """Wait until nothing is under way, and the nodes have the parts of these uploads only."""
    await s3.cluster.status_becomes(lambda status: status["uploads"]["under_way"] == status["reaper"]["doomed"] == 0)
    await eventually(lambda: s3.cluster.uploads_stored() == uploads, "the parts of what is stored, and no others")
    assert not any(node.half_written() for node in s3.cluster.nodes)


def parts_begun(s3: S3) -> bool:
    return all(node.half_written() for node in s3.cluster.nodes)


@pytest.mark.parametrize("leave", [RawClient.leave, RawClient.reset], ids=["in good order", "by a reset"])
@pytest.mark.parametrize("sent", [0, 1, 50_000, SIZE - 1])
@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_in_the_middle_of_an_object_leaves_the_one_before(
    s3: S3, leave: Callable[[RawClient], None], sent: int
) -> None:
    await s3.put("/bucket/k", b"before")
    before = s3.cluster.uploads_stored()
    sending = await Sending.to(s3, "/bucket/k")
    await sending.send(s3, DATA[:sent])
    await eventually(lambda: parts_begun(s3), "a part on its way to each node")
    leave(sending.client)
    await is_settled(s3, before)
    assert (await s3.get("/bucket/k")).body == b"before"


@pytest.mark.parametrize("leave", [RawClient.leave, RawClient.reset], ids=["in good order", "by a reset"])
@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_in_the_middle_of_a_part_leaves_the_parts_before(
    s3: S3, leave: Callable[[RawClient], None]
) -> None:
    upload = await begin(s3)
    first = await put_part(s3, upload, 1, FIRST)
    before = s3.cluster.uploads_stored()
    for number in (1, 2):  # the first replaces a part
        sending = await Sending.to(s3, f"/bucket/k?partNumber={number}&uploadId={upload}")
        await sending.send(s3, DATA[:50_000])
        leave(sending.client)
        await is_settled(s3, before)
    listed = await s3.get(f"/bucket/k?uploadId={upload}")
    assert (texts(listed, "Part/PartNumber"), texts(listed, "Part/ETag")) == (["1"], [first])
    assert (await complete(s3, upload, [(1, first)])).code == 200
    assert (await s3.get("/bucket/k")).body == FIRST
    await is_settled(s3, before)


@pytest.mark.parametrize(
    "body",
    [
        FRAME % (SIZE, DATA) + TRAILER,
        FRAME % (SIZE, DATA),
        FRAME % (SIZE, DATA) + b"0\r\n\r\n",
        FRAME % (SIZE - 1, DATA[1:]) + TRAILER,
        b"%x\r\n%s" % (SIZE, DATA),
        FRAME % (SIZE, DATA) + b"0\r\nx-amz-checksum-crc32",
        FRAME % (SIZE, DATA) + CRC32 + b"x-amz-checksum-sha256:AAAA\r\n\r\n",
    ],
    ids=[
        "a wrong checksum",
        "no last chunk",
        "no trailer",
        "too few bytes",
        "half a chunk",
        "half a trailer",
        "a checksum that was not announced",
    ],
)
@pytest.mark.parametrize("part", [False, True], ids=["an object", "a part"])
@pytest_twisted.ensureDeferred
async def test_a_framed_body_that_is_not_whole_is_not_kept(s3: S3, body: bytes, part: bool) -> None:
    path = "/bucket/k"
    if part:
        upload = await begin(s3)
        path = f"/bucket/k?partNumber=1&uploadId={upload}"
    answer = await s3.ask(
        "PUT",
        path,
        body,
        Content_Encoding="aws-chunked",
        x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        x_amz_decoded_content_length=str(SIZE),
        x_amz_trailer="x-amz-checksum-crc32",
    )
    assert answer.code == 400, answer.text
    await is_settled(s3, set())
    assert code_of(await s3.get("/bucket/k")) == (404, "NoSuchKey")


@pytest.mark.parametrize("number", [1, 2], ids=["which replaces one", "which is new"])
@pytest.mark.parametrize("ending", ["complete", "abort"])
@pytest_twisted.ensureDeferred
async def test_a_part_on_its_way_at_the_end_of_its_upload_is_refused(s3: S3, number: int, ending: str) -> None:
    upload = await begin(s3)
    first = await put_part(s3, upload, 1, FIRST)
    before = s3.cluster.uploads_stored()
    sending = await Sending.to(s3, f"/bucket/k?partNumber={number}&uploadId={upload}")
    await sending.send(s3, DATA[:50_000])
    if ending == "complete":
        assert (await complete(s3, upload, [(1, first)])).code == 200
    else:
        assert (await s3.ask("DELETE", f"/bucket/k?uploadId={upload}")).code == 204
    sending.client.send(DATA[50_000:])
    answer = await sending.client.answer()
    assert (answer.code, b"NoSuchUpload" in answer.body) == (404, True)
    sending.client.leave()
    await is_settled(s3, before if ending == "complete" else set())
    got = await s3.get("/bucket/k")
    assert (got.code, got.body) == (200, FIRST) if ending == "complete" else got.code == 404


@pytest_twisted.ensureDeferred
async def test_an_upload_is_completed_once_however_often_and_at_once_it_is_asked(s3: S3) -> None:
    upload = await begin(s3)
    first = await put_part(s3, upload, 1, FIRST)
    stored = s3.cluster.uploads_stored()
    for _ in range(2):
        answers = await gatherResults([Deferred.fromCoroutine(complete(s3, upload, [(1, first)])) for _ in range(10)])
        assert {answer.code for answer in answers} == {200}, [answer.text for answer in answers]
        assert len({texts(answer, "ETag")[0] for answer in answers}) == 1
        await is_settled(s3, stored)
    assert (await s3.get("/bucket/k")).body == FIRST
    await s3.put("/bucket/k", b"after")
    assert code_of(await complete(s3, upload, [(1, first)])) == (404, "NoSuchUpload")
    assert (await s3.get("/bucket/k")).body == b"after", "an object that came later is not replaced"


@pytest_twisted.ensureDeferred
async def test_of_one_part_sent_many_times_at_once_one_is_kept(s3: S3) -> None:
    upload = await begin(s3)
    bodies = [bytes([number]) * 50_000 for number in range(10)]
    sent = await gatherResults([Deferred.fromCoroutine(put_part(s3, upload, 1, body)) for body in bodies])
    listed = await s3.get(f"/bucket/k?uploadId={upload}")
    [kept] = texts(listed, "Part/ETag")
    for tag in set(sent) - {kept}:
        assert code_of(await complete(s3, upload, [(1, tag)])) == (400, "InvalidPart")
    assert (await complete(s3, upload, [(1, kept)])).code == 200
    assert (await s3.get("/bucket/k")).body == bodies[sent.index(kept)]
    await s3.cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert len(s3.cluster.uploads_stored()) == 1


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_replaced_while_its_upload_is_completed_is_one_or_the_other(s3: S3) -> None:
    for number in range(10):
        upload = await begin(s3)
        tag = await put_part(s3, upload, 1, FIRST)
        racing: list[Deferred[Answer]] = [
            Deferred.fromCoroutine(s3.put(f"/bucket/k?partNumber=1&uploadId={upload}", DATA[: number + 1])),
            Deferred.fromCoroutine(complete(s3, upload, [(1, tag)])),
        ]
        part, done = await gatherResults(racing)
        if done.code == 200:
            assert (await s3.get("/bucket/k")).body == FIRST
        else:
            assert (part.code, code_of(done)) == (200, (400, "InvalidPart"))
            assert (await complete(s3, upload, [(1, part.header("ETag") or "")])).code == 200
            assert (await s3.get("/bucket/k")).body == DATA[: number + 1]
    await s3.cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert len(s3.cluster.uploads_stored()) == 1


@pytest_twisted.ensureDeferred
async def test_a_node_that_dies_in_the_middle_fails_the_part_and_nothing_else(s3: S3) -> None:
    upload = await begin(s3)
    first = await put_part(s3, upload, 1, FIRST)
    before = s3.cluster.uploads_stored()
    sending = await Sending.to(s3, f"/bucket/k?partNumber=1&uploadId={upload}")
    await sending.send(s3, DATA[:50_000])
    await eventually(lambda: parts_begun(s3), "a part on its way to each node")
    await s3.cluster.break_node(4)
    answer = await sending.client.answer()
    assert (answer.code, b"<Code>ServiceUnavailable</Code>" in answer.body) == (503, True)
    sending.client.leave()
    await s3.cluster.mend_node(4)
    await is_settled(s3, before)
    second = await put_part(s3, upload, 2, DATA)
    listed = await s3.get(f"/bucket/k?uploadId={upload}")
    assert texts(listed, "Part/ETag") == [first, second]
    assert (await complete(s3, upload, [(2, second)])).code == 200
    assert (await s3.get("/bucket/k")).body == DATA


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_down_is_a_reason_to_try_again(s3: S3) -> None:
    await s3.put("/bucket/k", DATA)
    await s3.cluster.break_node(4)
    assert code_of(await s3.get("/bucket/k")) == (503, "ServiceUnavailable")
    assert code_of(await s3.put("/bucket/other", DATA)) == (503, "ServiceUnavailable")
    await s3.cluster.mend_node(4)
    assert (await s3.get("/bucket/k")).body == DATA
    assert (await s3.put("/bucket/other", DATA)).code == 200


@pytest_twisted.ensureDeferred
async def test_with_two_nodes_gone_objects_and_parts_are_stored_and_read(make_cluster: Callable[..., Cluster]) -> None:
    s3 = await start(make_cluster(count=8, layout="6+2", min_parts=6, small_part=Size(1000)))
    before = await begin(s3, "multipart")
    parts = [(1, await put_part(s3, before, 1, FIRST, "multipart"))]
    await s3.put("/bucket/before", DATA)
    for number in (0, 5):
        await s3.cluster.break_node(number)
    assert (await complete(s3, before, parts, "multipart")).code == 200
    assert (await s3.get("/bucket/multipart")).body == FIRST
    assert (await s3.get("/bucket/before", Range="bytes=7-70000")).body == DATA[7:70_001]
    upload = await begin(s3, "during")
    parts = [(1, await put_part(s3, upload, 1, DATA, "during"))]
    assert (await complete(s3, upload, parts, "during")).code == 200
    assert (await s3.get("/bucket/during")).body == DATA
    assert (await s3.put("/bucket/small", b"small")).code == 200
    assert (await s3.get("/bucket/small")).body == b"small"


async def replace_until_released(s3: S3) -> None:
    """Store `/bucket/a`, and replace it: the new version waits until the journal's disk is released."""
    filesystem = s3.cluster.journal_filesystem
    assert (await s3.put("/bucket/a", b"old")).code == 200
    replacing = await Sending.to(s3, "/bucket/a")
    await replacing.send(s3, FIRST)
    filesystem.hold("write")
    replacing.client.send(DATA[len(FIRST) :])
    await eventually(lambda: filesystem.waiting)


@pytest_twisted.ensureDeferred
async def test_an_object_that_is_replaced_meanwhile_is_copied_and_gets_other_labels(s3: S3) -> None:
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    await replace_until_released(s3)
    changes = [
        Deferred.fromCoroutine(s3.put("/bucket/b", b"", x_amz_copy_source="bucket/a")),
        Deferred.fromCoroutine(s3.put("/bucket/a?tagging", tags)),
        Deferred.fromCoroutine(s3.put("/bucket/a?acl", b"", x_amz_acl="private")),
    ]
    etag = '"149603e6c03516362a8da23f624db945"'
    judged = Deferred.fromCoroutine(
        s3.put("/bucket/c", b"", x_amz_copy_source="bucket/a", x_amz_copy_source_if_match=etag)
    )
    assert (await s3.get("/bucket/none")).code == 404, "the others have come, too"
    assert not any(each.called for each in (judged, *changes))
    s3.cluster.journal_filesystem.release()
    assert [(await each).code for each in changes] == [200, 200, 200], "nobody has asked for one of the versions"
    assert code_of(await judged) == (412, "PreconditionFailed")
    assert (await s3.get("/bucket/b")).body == FIRST + DATA[len(FIRST) :]
    assert texts(await s3.get("/bucket/a?tagging"), "TagSet/Tag/Key") == ["a"]


@pytest_twisted.ensureDeferred
async def test_an_object_that_is_gone_meanwhile_is_deleted_whatever_the_condition(s3: S3) -> None:
    filesystem, conditions = s3.cluster.journal_filesystem, ({"If_Match": "*"}, {"x_amz_if_match_size": "3"})
    etag = (await s3.put("/bucket/a", b"old")).header("ETag")
    filesystem.hold("write")
    first = Deferred.fromCoroutine(s3.ask("DELETE", "/bucket/a"))
    await eventually(lambda: filesystem.waiting)
    others = [
        Deferred.fromCoroutine(s3.ask("DELETE", "/bucket/a", **condition))
        for condition in (*conditions, {"If_Match": etag})
    ]
    listed = f"<Delete><Object><Key>a</Key><ETag>{etag}</ETag></Object></Delete>".encode()
    md5 = base64.b64encode(hashlib.md5(listed, usedforsecurity=False).digest()).decode()
    many = Deferred.fromCoroutine(s3.ask("POST", "/bucket?delete", listed, Content_MD5=md5))
    assert (await s3.get("/bucket/none")).code == 404, "the others have come, too"
    filesystem.release()
    assert [(await each).code for each in (first, *others)] == [204] * 4
    assert texts(await many, "Deleted/Key") == ["a"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": "*"}, 204),
        ({"If_Match": "149603e6c03516362a8da23f624db945"}, 412),
        ({"x_amz_if_match_size": "3"}, 412),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_object_that_is_replaced_meanwhile_is_judged_again_before_it_is_deleted(
    s3: S3, headers: dict[str, str], status: int
) -> None:
    await replace_until_released(s3)
    deleted = Deferred.fromCoroutine(s3.ask("DELETE", "/bucket/a", **headers))
    assert (await s3.get("/bucket/none")).code == 404, "it has come, too"
    s3.cluster.journal_filesystem.release()
    assert (await deleted).code == status
    assert (await s3.ask("HEAD", "/bucket/a")).code == (404 if status == 204 else 200)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_amz_copy_source_range": "bytes=0-2"}, None),
        ({}, (503, "SlowDown")),
        ({"x_amz_copy_source_if_match": "149603e6c03516362a8da23f624db945"}, (412, "PreconditionFailed")),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_part_is_copied_from_an_object_that_is_replaced_meanwhile(
    s3: S3, headers: dict[str, str], expected: tuple[int, str] | None
) -> None:
    upload = await begin(s3)
    await replace_until_released(s3)
    part = f"/bucket/k?partNumber=1&uploadId={upload}"
    copied = Deferred.fromCoroutine(s3.put(part, b"", x_amz_copy_source="bucket/a", **headers))
    assert (await s3.get("/bucket/none")).code == 404, "it has come, too"
    s3.cluster.journal_filesystem.release()
    answer = await copied
    assert (None if answer.code == 200 else code_of(answer)) == expected, "nobody has asked for one of the versions"
    if expected is None:
        assert (await complete(s3, upload, [(1, texts(answer, "ETag")[0])])).code == 200
        assert (await s3.get("/bucket/k")).body == FIRST[:3]
