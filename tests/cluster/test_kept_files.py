"""A small file that is in the front's memory is answered at once, and its answer is that of every other file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from storaged.system.words import Words
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.watching import Watching, watch
from tests.postgres import postgres
from tests.users import ANNA, NORA, RITA, WILMA

BODY = bytes(range(256)) * 16
SMALL = Size(128 * 1024)
VARIES = {b"date", b"x-request-id"}
WAITED = {"If-None-Match": '"another"'}
"""A condition, which always holds, so that the answer is not given at once."""

DATABASE = "a database"
LIMITS = "requests: {in_all: 100, per_client: 50}\nrates: {per_address: 100MB}\nwork: {at_once: 20, waiting: 20}\n"

MEDIA: list[dict[str, str]] = [
    {},
    {"Content-Type": "application/pdf"},
    {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Encoding": "compress",
        "Content-Language": "de, en",
        "Content-Disposition": 'attachment; filename="\xe4 b.txt"',
        "Cache-Control": "max-age=60",
    },
]


def told(answer: Answer) -> tuple[int, bytes, dict[bytes, list[bytes]]]:
    """Return what an answer says, without what is different in each answer."""
    headers = {name.lower(): values for name, values in answer.headers.getAllRawHeaders()}
    assert headers.keys() >= VARIES
    return answer.code, answer.body, {name: values for name, values in headers.items() if name not in VARIES}


def hits(cluster: Cluster) -> int:
    assert cluster.front is not None
    return cluster.front.clients.cache.hits


async def started(make_cluster: Callable[..., Cluster], **settings: Any) -> Cluster:
    """A started cluster.

    :param settings: of the front; with the text of the limits in place of their file.
    """
    if settings.get("catalog") == DATABASE:
        settings["catalog"] = postgres().url(postgres().new_schema())
    limits = settings.pop("limits", "")
    cluster = make_cluster(small_part=SMALL, **settings)
    if limits:
        file = cluster.folder.parent / "limits.yaml"
        file.write_text(limits)
        cluster.settings["limits"] = str(file)
    await cluster.start()
    return cluster


async def remembered(cluster: Cluster, *paths: str) -> Watching:
    """Let the front look files up until it remembers them, as it does with a database; return what watches it then."""
    for path in (*paths, *paths):  # the first look-up that is remembered is not believed: nothing was asked before
        assert (await cluster.get(path)).code == 200
    return watch(cluster.front)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cors_origins": Words(["*"]), "base_path": "/base"},
        {"hsts_s": 60, "limits": LIMITS},
        {"catalog": DATABASE, "cors_origins": Words(["*"])},
        {"catalog": DATABASE, "limits": LIMITS},
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_answer_says_what_it_says_after_a_wait(
    make_cluster: Callable[..., Cluster], settings: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **settings)
    paths = [f"{settings.get('base_path', '')}/a%20file{number}" for number in range(len(MEDIA))]
    for path, media in zip(paths, MEDIA, strict=True):
        assert (await cluster.put(path, BODY, **media)).code == 201
    watching, before = await remembered(cluster, *paths), hits(cluster)
    asked = ((path, method) for path in paths for method in ("GET", "HEAD"))
    for number, (path, method) in enumerate(asked):
        origin = {"Origin": "http://app.example"}
        at_once = await cluster.ask(method, path, **origin)
        assert watching.left == number
        waited = await cluster.ask(method, path, **origin, **WAITED)
        assert watching.left == number + 1
        assert at_once.body == (BODY if method == "GET" else b"")
        assert told(at_once) == told(waited)
    assert hits(cluster) == before + 2 * len(paths)


@pytest.mark.parametrize("settings", [{}, {"catalog": DATABASE, "limits": LIMITS}])
@pytest_twisted.ensureDeferred
async def test_a_kept_file_is_answered_by_the_same_rules(
    make_cluster: Callable[..., Cluster], settings: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **settings)
    etag = (await cluster.put("/file", BODY)).header("ETag") or ""
    await remembered(cluster, "/file")
    expected = [
        ({}, 200),
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-Match": '"another"'}, 412),
        ({"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"}, 304),
        ({"If-Unmodified-Since": "Thu, 01 Jan 1998 00:00:00 GMT"}, 412),
        ({"If": f"([{etag}])"}, 200),
        ({"If": '(["another"])'}, 412),
        ({"Range": "bytes=1-2"}, 206),
        ({"Range": "bytes=99999-"}, 416),
    ]
    for headers, code in expected:
        assert (await cluster.get("/file", **headers)).code == code, headers
    for path, code in [("/file/", 404), ("/file?zip", 404), ("/file?x=y", 200), ("/FILE", 404), ("/%66ile", 200)]:
        assert (await cluster.get(path)).code == code, path
        assert (await cluster.ask("HEAD", path)).code == code, path
    head = await cluster.ask("HEAD", "/file")
    assert (head.code, head.header("Content-Length"), head.body) == (200, str(len(BODY)), b"")


@pytest.mark.parametrize("settings", [{}, {"catalog": DATABASE}])
@pytest_twisted.ensureDeferred
async def test_a_new_version_and_a_deletion_are_seen_at_once(
    make_cluster: Callable[..., Cluster], settings: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **settings)
    for body in (b"one", b"two", b""):
        await cluster.put("/file", body)
        assert [(await cluster.get("/file")).body for _ in range(3)] == [body] * 3
        assert (await cluster.ask("HEAD", "/file")).header("Content-Length") == str(len(body))
    await cluster.put("/file", b"three")
    await cluster.ask("MOVE", "/file", Destination="/moved")
    assert [(await cluster.get(path)).code for path in ("/file", "/moved")] == [404, 200]
    await cluster.ask("DELETE", "/moved")
    assert [(await cluster.ask(method, "/moved")).code for method in ("GET", "HEAD")] == [404, 404]
    await cluster.ask("MKCOL", "/moved")
    assert (await cluster.get("/moved")).header("Content-Type") != "application/octet-stream"


@pytest_twisted.ensureDeferred
async def test_a_kept_file_is_read_by_those_only_who_may(make_guarded: Callable[..., Awaitable[Cluster]]) -> None:
    cluster = await make_guarded("/public", "/anna", "/anna/secret", small_part=SMALL)
    for path in ("/f", "/public/p", "/anna/secret/s"):
        assert (await cluster.put(path, BODY, Authorization=WILMA)).code == 201
    for method in ("GET", "GET", "HEAD", "HEAD"):  # the second time, each login is remembered
        codes = {
            name: [(await cluster.ask(method, path, **login)).code for path in ("/f", "/public/p", "/anna/secret/s")]
            for name, login in {
                "anna": {"Authorization": ANNA},
                "rita": {"Authorization": RITA},
                "nora": {"Authorization": NORA},
                "nobody": {},
                "wrong": {"Authorization": "Basic d2lsbWE6d3Jvbmc="},
            }.items()
        }
        assert codes == {
            "anna": [200, 200, 404],
            "rita": [200, 200, 200],
            "nora": [404, 200, 404],
            "nobody": [401, 200, 401],
            "wrong": [401, 401, 401],
        }


@pytest_twisted.ensureDeferred
async def test_a_foreign_name_is_refused_before_a_kept_file_is_sent(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, names=Words(["files.example"]))
    await cluster.put("/file", BODY)
    codes = []
    for host in ("files.example", "127.0.0.1", "evil.example"):
        client = await cluster.connect()
        client.send(f"GET /file HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        codes.append((await client.answer()).code)
    assert codes == [200, 200, 421]


@pytest.mark.parametrize("settings", [{}, {"catalog": DATABASE}])
@pytest_twisted.ensureDeferred
async def test_requests_that_come_together_are_answered_in_their_order(
    make_cluster: Callable[..., Cluster], settings: dict[str, Any]
) -> None:
    cluster = await started(make_cluster, **settings)
    for name in "abc":
        await cluster.put(f"/{name}", name.encode() * 100)
    await remembered(cluster, "/a", "/b")
    client = await cluster.connect()
    names = "abcabbac" * 8
    client.send(*(f"GET /{name} HTTP/1.1\r\nHost: test\r\n\r\n".encode() for name in names))
    assert [(await client.answer()).body for _ in names] == [name.encode() * 100 for name in names]


@pytest_twisted.ensureDeferred
async def test_a_body_that_a_get_has_is_not_read_as_a_request(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/file", BODY)
    client = await cluster.connect()
    hidden = b"GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n"
    client.begin("GET", "/file", f"Content-Length: {len(hidden) + 1}")
    answer = await client.answer()
    assert (answer.code, answer.body, answer.headers["connection"]) == (200, BODY, "close")
    client.send(hidden)
    assert b"HTTP/1.1" not in await client.until_ended()
