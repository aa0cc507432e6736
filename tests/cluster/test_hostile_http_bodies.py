"""Bodies that do not match their headers: nothing of them is kept, and the bytes after them are never taken for a
request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.hostile import KEPT, SMUGGLED, about, all_answers, refused, surviving
from tests.cluster.raw import RawClient


@pytest.fixture(params=[0, 10_000], ids=["large way", "small way"])
def front(make_cluster: Callable[..., Cluster], request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with surviving(make_cluster(small_part=Size(request.param))) as cluster:
        yield cluster


CHUNKED = "Transfer-Encoding: chunked"
END = b"0\r\n\r\n"

CHUNKS = {
    "a size that is no number": b"x\r\nabcde\r\n",
    "a size below zero": b"-5\r\nabcde\r\n",
    "a size with a sign": b"+5\r\nabcde\r\n",
    "a size with a prefix": b"0x5\r\nabcde\r\n",
    "a size with an underscore": b"0_5\r\nabcde\r\n",
    "a size behind a space": b" 5\r\nabcde\r\n",
    "a size before a space": b"5 \r\nabcde\r\n",
    "no size": b"\r\nabcde\r\n",
    "an extension without a size": b";x=y\r\nabcde\r\n",
    "a bare LF after the size": b"5\nabcde\r\n",
    "a bare CR after the size": b"5\rabcde\r\n",
    "a bare LF in an extension": b"5;x\ny\r\nabcde\r\n",
    "a bare CR in an extension": b"5;x\ry\r\nabcde\r\n",
    "a NUL in an extension": b"5;x\x00\r\nabcde\r\n",
    "an extension without end": b"5;" + b"x" * 5_000,
    "a size without end": b"0" * 5_000,
    "nothing behind the bytes": b"5\r\nabcde5\r\nabcde\r\n",
    "a bare LF behind the bytes": b"5\r\nabcde\n5\r\nabcde\r\n",
    "a bare CR behind the bytes": b"5\r\nabcde\r5\r\nabcde\r\n",
    "more bytes than the size": b"4\r\nabcde\r\n",
    "fewer bytes than the size": b"7\r\nabcde\r\n",
    "trailers without end": b"5\r\nabcde\r\n0\r\n" + b"X: " + b"y" * 70_000,
    "very many trailers": b"5\r\nabcde\r\n0\r\n" + b"X: y\r\n" * 20_000,
}


@pytest_twisted.ensureDeferred
async def test_a_body_of_broken_chunks_is_refused_and_nothing_behind_it_is_read(front: Cluster) -> None:
    for what, body in CHUNKS.items():
        with about(what):
            client = await front.connect()
            client.begin("PUT", "/new", CHUNKED)
            client.send(b"3\r\nabc\r\n")
            await front.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
            client.send(body, END, SMUGGLED)
            client.send(SMUGGLED)
            assert (await refused(client)).code == 400
            assert (await front.get("/new")).code == 404
            await front.status_becomes(lambda status: status["uploads"]["under_way"] == 0)


@pytest_twisted.ensureDeferred
async def test_a_broken_body_where_none_is_wanted_is_not_read_as_requests(front: Cluster) -> None:
    for method in ("GET", "DELETE", "MKCOL", "OPTIONS", "BREW"):
        with about(method):
            client = await front.connect()
            client.begin(method, "/missing/x", CHUNKED)
            client.send(b"x\r\n", SMUGGLED)
            client.send(SMUGGLED)
            codes = [answer.code for answer in await all_answers(client)]
            assert [code in {200, 400, 404, 405, 409, 415} for code in codes] == [True]


@pytest_twisted.ensureDeferred
async def test_a_refusal_is_not_written_into_an_answer_that_has_begun(front: Cluster) -> None:
    for number in range(30):
        await front.put(f"/{'long' * 50}{number}", b"abc")
    client = await front.connect(receive_buffer=4096)
    client.begin("GET", "/", CHUNKED)
    client.send(b"3\r\nabc\r\n")
    await client.until(lambda: client.total > 0)
    client.send(b"x\r\n", SMUGGLED)
    received = await client.until_ended()
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.count(b"HTTP/1.1 ") == 1


ODD_CHUNKS = {
    "extensions": b'2;a\r\nab\r\n3;b=c;d="e f;\xff"\r\ncde\r\n0;x\r\n\r\n',
    "leading zeros": b"0000000000005\r\nabcde\r\n00000\r\n\r\n",
    "trailers": b"5\r\nabcde\r\n0\r\nX: y\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\n\r\n",
    "a byte each": b"".join(b"1\r\n%c\r\n" % byte for byte in b"abcde") + END,
}


@pytest_twisted.ensureDeferred
async def test_odd_chunks_are_taken_and_the_connection_goes_on(front: Cluster) -> None:
    for what, body in ODD_CHUNKS.items():
        with about(what):
            for by_byte in (False, True):
                client = await front.connect()
                client.begin("PUT", "/new", CHUNKED)
                for piece in [body[at : at + 1] for at in range(len(body))] if by_byte else [body]:
                    client.send(piece)
                assert (await client.answer()).code in {201, 204}
                client.begin("GET", "/new")
                assert (await client.answer()).body == b"abcde"
            assert (await front.ask("DELETE", "/new")).code == 204


@pytest_twisted.ensureDeferred
async def test_a_size_that_nobody_can_send_is_no_reason_to_fail(front: Cluster) -> None:
    client = await front.connect()
    client.begin("PUT", "/new", CHUNKED)
    client.send(b"f" * 500 + b"\r\n" + bytes(1000))
    await front.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
    client.leave()
    await front.status_becomes(lambda status: status["uploads"]["under_way"] == 0)
    assert (await front.get("/new")).code == 404


@pytest.mark.parametrize("digits", [15, 18])
@pytest_twisted.ensureDeferred
async def test_a_length_that_nobody_can_store_is_refused_before_the_body(front: Cluster, digits: int) -> None:
    client = await front.connect()
    client.begin("PUT", "/new", f"Content-Length: {'9' * digits}", "Expect: 100-continue")
    assert (await client.answer()).code == 507


PUT = b"PUT /new HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabcde"
PUT_CHUNKS = b"PUT /new HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX: y\r\n\r\n"
GET = b"GET /kept HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize("leave", [RawClient.leave, RawClient.reset], ids=["in good order", "by a reset"])
@pytest.mark.parametrize("request_", [PUT, PUT_CHUNKS], ids=["a length", "chunks"])
@pytest_twisted.ensureDeferred
async def test_a_client_may_leave_at_every_byte_of_its_request(
    front: Cluster, leave: Callable[[RawClient], None], request_: bytes
) -> None:
    for sent in range(len(request_)):
        client = await front.connect()
        client.send(request_[:sent])
        if sent % 2:  # it leaves when it was read, or before
            await front.status()
        leave(client)
    await front.status_becomes(lambda status: not status["uploads"]["under_way"])
    assert (await front.get("/new")).code == 404
    await front.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert {len(await node.listed()) for node in front.nodes} == {1}, "parts of the file that is kept, and no others"


@pytest.mark.parametrize("leave", [RawClient.leave, RawClient.reset], ids=["in good order", "by a reset"])
@pytest_twisted.ensureDeferred
async def test_a_client_may_leave_at_every_stage_of_its_answer(
    front: Cluster, leave: Callable[[RawClient], None]
) -> None:
    await front.put("/large", bytes(3_000_000))
    for path, stages in {"/kept": [0, 1, 20, 200], "/": [0, 1, 200, 400], "/large": [0, 1, 1000, 10_000]}.items():
        for stage in stages:
            client = await front.connect(receive_buffer=65_536)
            client.begin("GET", path)
            await client.until(lambda client=client, stage=stage: client.total >= stage)  # type: ignore[misc]
            leave(client)
            await client.until_ended()
    await front.status_becomes(lambda status: status["downloads"]["under_way"] == 0)


@pytest_twisted.ensureDeferred
async def test_whole_requests_before_a_broken_one_are_answered(front: Cluster) -> None:
    client = await front.connect()
    client.send(PUT, GET, PUT_CHUNKS, GET, b"GET /kept HTTP/1.1\r\nHost: a b\r\n\r\n", SMUGGLED)
    answers = await all_answers(client)
    assert [answer.code for answer in answers] == [201, 200, 204, 200, 400]
    assert answers[1].body == answers[3].body == KEPT


@pytest_twisted.ensureDeferred
async def test_a_body_longer_than_its_length_is_not_read_as_a_request_that_it_is_not(front: Cluster) -> None:
    client = await front.connect()
    client.send(PUT, b"fgh", SMUGGLED)
    assert [(await client.answer()).code for _ in range(2)] == [201, 405]  # fghDELETE is no method
    assert (await front.get("/new")).body == b"abcde"
