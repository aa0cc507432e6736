"""A small file whose bytes are there is stored, and one that is not in memory is read, without a coroutine: the answers
are those of every other file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from storaged.system.sizes import Size
from storaged.system.words import Words
from tests.clocks import StillReactor
from tests.cluster.cluster import Cluster
from tests.cluster.pacing import seconds_until
from tests.cluster.raw import RawAnswer
from tests.users import ANNA, NORA, RITA, WILMA

BODY = bytes(range(256)) * 16
VARIES = {"date", "x-request-id", "etag", "last-modified"}
SLOWLY = 'If-None-Match: "another"'
"""A condition, which always holds, so that the request takes the long way."""

LOCK = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'


async def started(make_cluster: Callable[..., Cluster], **settings: Any) -> Cluster:
    cluster = make_cluster(small_part=Size(128 * 1024), cache=Size(0), **settings)
    await cluster.start()
    return cluster


async def ask(cluster: Cluster, method: str, path: str, *headers: str, body: bytes | None = None) -> RawAnswer:
    """Send a request, its head and its body at once."""
    client = await cluster.connect()
    sized = () if body is None else (f"Content-Length: {len(body)}",)
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close", *headers, *sized, "", ""]
    client.send("\r\n".join(lines).encode(), body or b"")
    return await client.answer()


def told(answer: RawAnswer) -> tuple[int, bytes, dict[str, str]]:
    """Return what an answer says, without what is different in each answer."""
    return answer.code, answer.body, {name: text for name, text in answer.headers.items() if name not in VARIES}


@pytest.mark.parametrize("settings", [{}, {"cors_origins": Words(["*"]), "base_path": "/base"}])
@pytest_twisted.ensureDeferred
async def test_a_file_is_stored_and_read_as_after_a_wait(
    make_cluster: Callable[..., Cluster], settings: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **settings)
    base = settings.get("base_path", "")
    media = "Origin: http://app.example", "Content-Type: text/plain", "Content-Language: de"
    for size in (0, 1, 5, 6, 7, 4096, 6144, 6145, 20_000):
        body = (BODY * 5)[:size]
        for code in (201, 204):
            put = [await ask(cluster, "PUT", f"{base}/{how}{size}", *media, *slowly, body=body)
                   for how, slowly in (("a", ()), ("b", (SLOWLY,)))]  # fmt: skip
            assert told(put[0]) == told(put[1])
            assert put[0].code == code
            got = [await ask(cluster, "GET", f"{base}/a{size}", media[0], *slowly) for slowly in ((), (SLOWLY,))]
            assert told(got[0]) == told(got[1])
            assert (got[0].body, got[0].headers["etag"]) == (body, put[0].headers["etag"])
            assert got[0].headers["etag"] == got[1].headers["etag"]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_stored_or_read_is_refused_as_after_a_wait(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.ask("MKCOL", "/folder")
    await cluster.put("/file", b"before")
    await cluster.put("/locked", BODY)
    assert (await cluster.ask("LOCK", "/locked", LOCK)).code == 200
    expected = {
        ("PUT", "/folder"): 405,
        ("PUT", "/folder/"): 400,
        ("PUT", "/none/file"): 409,
        ("PUT", "/locked"): 423,
        ("PUT", "/locked/file"): 423,
        ("PUT", "/a%00b"): 400,
        ("GET", "/none"): 404,
        ("GET", "/locked/"): 404,
        ("GET", "/locked?zip"): 404,
    }
    for (method, path), code in expected.items():
        body = BODY if method == "PUT" else None
        answers = [await ask(cluster, method, path, *slowly, body=body) for slowly in ((), (SLOWLY,))]
        assert told(answers[0]) == told(answers[1]), path
        assert answers[0].code == code, path
    for headers, code in {
        ("If-None-Match: *",): 412,
        ("Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==",): 400,
        ("Content-Range: bytes 0-4095/9999",): 400,
    }.items():
        assert (await ask(cluster, "PUT", "/file", *headers, body=BODY)).code == code, headers
    assert (await cluster.get("/file")).body == b"before"


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_away_is_told_as_after_a_wait(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/file", BODY)
    await cluster.nodes[2].stop()
    for method, code in (("GET", 503), ("PUT", 507)):
        body = BODY if method == "PUT" else None
        answers = [await ask(cluster, method, "/file", *slowly, body=body) for slowly in ((), (SLOWLY,))]
        assert [answer.code for answer in answers] == [code, code]
        assert b"n3" in answers[0].body
    await cluster.nodes[2].start()


@pytest_twisted.ensureDeferred
async def test_a_file_is_stored_and_read_by_those_only_who_may(make_guarded: Callable[..., Awaitable[Cluster]]) -> None:
    cluster = await make_guarded("/anna", small_part=Size(128 * 1024), cache=Size(0))
    await cluster.put("/anna/file", BODY, Authorization=WILMA)
    logins = {"anna": ANNA, "rita": RITA, "nora": NORA, "nobody": "", "wrong": "Basic d2lsbWE6d3Jvbmc="}
    for _ in range(2):  # the second time, each login is remembered
        codes = {}
        for name, login in logins.items():
            headers = (f"Authorization: {login}",) if login else ()
            put = await ask(cluster, "PUT", f"/anna/{name}", *headers, body=BODY)
            codes[name] = put.code, (await ask(cluster, "GET", "/anna/file", *headers)).code
        assert codes.pop("anna") in {(201, 200), (204, 200)}
        assert codes == {"rita": (403, 200), "nora": (404, 404), "nobody": (401, 401), "wrong": (401, 401)}


@pytest_twisted.ensureDeferred
async def test_requests_that_come_together_are_done_in_their_order(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    client = await cluster.connect()
    for number in range(20):
        body = f"{number}".encode() * 100
        client.send(b"PUT /file HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        client.send(b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n")
    for number in range(20):
        assert (await client.answer()).code == (204 if number else 201)
        assert (await client.answer()).body == f"{number}".encode() * 100


@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_committed_is_told_with_the_reason(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/file", b"before")
    cluster.journal_filesystem.fails_sync = True
    answers = [await ask(cluster, "PUT", "/file", body=BODY) for _ in range(2)]  # the second one cannot even begin
    assert [(answer.code, b"journal" in answer.body) for answer in answers] == [(503, True)] * 2
    assert (await ask(cluster, "GET", "/file")).body == b"before"


@pytest_twisted.ensureDeferred
async def test_a_damaged_part_is_never_served(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/file", BODY)
    for pack in cluster.nodes[3].folder.glob("packs/*.pack"):
        data = bytearray(pack.read_bytes())
        data[data.index(b"SPLITPRT") + 100] ^= 1
        pack.write_bytes(data)
    answers = [await ask(cluster, "GET", "/file", *slowly) for slowly in ((), (SLOWLY,))]
    assert [answer.code for answer in answers] == [500, 500]
    assert b"n4" in answers[0].body
    assert told(answers[0]) == told(answers[1])


@pytest_twisted.ensureDeferred
async def test_a_small_file_that_comes_with_its_head_is_paid_for(make_cluster: Callable[..., Cluster]) -> None:
    from twisted.internet import reactor

    still = StillReactor(reactor)
    cluster = make_cluster(small_part=Size(128 * 1024), front_reactor=still)
    limits = cluster.folder.parent / "limits.yaml"
    limits.write_text("rates: {per_address: 16KiB}\n")
    cluster.settings["limits"] = str(limits)
    await cluster.start()
    for path in (b"/a", b"/b"):  # the first one may be taken without a debt
        client = await cluster.connect()
        client.send(b"PUT %b HTTP/1.1\r\nHost: test\r\nContent-Length: 16000\r\n\r\n" % path, bytes(16_000))
        assert (await client.answer()).code == 201
    getting = Deferred.fromCoroutine(cluster.get("/a"))
    assert await seconds_until(getting, cluster, still) >= 1
    assert (await getting).code == 200
