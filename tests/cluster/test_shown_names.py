"""Keys of S3 whose names WebDAV cannot say, shown under an escape: they can be read, moved and deleted by it."""

from __future__ import annotations

import json
from urllib.parse import quote, unquote

import pytest
import pytest_twisted

from splitd.interfaces.keys import KeyCopy
from splitd.model.media import Labels, Media
from tests.cluster.cluster import Cluster
from tests.cluster.multistatus import condition_of, lock, note, noted, propfind, read_multistatus, token_of

LONG = "n" * 1000
KEYS = {
    "a": "/x/a",
    "a/b": "/x/a␦/b",
    "c//d": "/x/c/␦/d",
    "c/../d": "/x/c/␦../d",
    ".": "/x/␦.",
    "\0\x7f": "/x/␦␀␦␡",
    "␦": "/x/␦␦",
    f"e/{LONG}": f"/x/e/{LONG}",
}


async def fill(cluster: Cluster) -> None:
    """Store a file under each of the keys."""
    await cluster.ask("MKCOL", "/w")
    await cluster.ask("MKCOL", "/x")
    for key in KEYS:
        await cluster.put("/w/source", key.encode())
        await copy(cluster, "/w/source", f"/x/{key}")
    await cluster.ask("DELETE", "/w")


async def copy(cluster: Cluster, source: str, target: str, media: Media | None = None) -> None:
    """Copy a file to a key, as a front door for S3 does."""
    assert cluster.front is not None
    await cluster.front.catalog.keys.copy_key(KeyCopy(source, target, Labels(media)))


async def keys_of(cluster: Cluster) -> list[str]:
    assert cluster.front is not None
    page = await cluster.front.catalog.keys.list_keys("/x", "", "", "", 100)
    return [each.key for each in page.keys]


async def shown(cluster: Cluster, path: str = "/x/") -> list[str]:
    """All URLs of files below a collection, as PROPFIND tells them."""
    found = await propfind(cluster, quote(path), "resourcetype", depth="infinity")
    return sorted(each for each in found if not each.endswith("/"))


async def listed(cluster: Cluster, path: str) -> list[str]:
    """All URLs of files below a collection, as the lists for programs tell them, one member a page."""
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        answer = await cluster.get(f"{quote(path)}?limit=1&after={quote(after)}", Accept="application/json")
        page = json.loads(answer.body)
        assert page["path"] == (path.rstrip("/") or "/")
        for member in page["members"]:
            url = path + member["name"]
            found += [url] if member["type"] == "file" else await listed(cluster, url + "/")
        after = page["next"]
    return sorted(found)


@pytest_twisted.ensureDeferred
async def test_every_key_is_shown_and_can_be_read(cluster: Cluster) -> None:
    await fill(cluster)
    assert await keys_of(cluster) == sorted(KEYS)
    assert await shown(cluster) == sorted(KEYS.values())
    assert await listed(cluster, "/x/") == sorted(KEYS.values())
    for key, url in KEYS.items():
        answer = await cluster.get(quote(url))
        assert (answer.code, answer.body) == (200, key.encode())
        assert (await cluster.ask("HEAD", quote(url))).header("Content-Length") == str(len(key.encode()))
        page = await cluster.get(quote(url.rpartition("/")[0] + "/") + "?plain", Accept="text/html")
        assert f'href="{quote(url)}"' in page.text


@pytest.mark.parametrize("method", ["DELETE", "MOVE", "COPY"])
@pytest_twisted.ensureDeferred
async def test_every_key_can_be_moved_and_deleted(cluster: Cluster, method: str) -> None:
    await fill(cluster)
    for number, url in enumerate(KEYS.values()):
        headers = {} if method == "DELETE" else {"Destination": f"/new{number}"}
        answer = await cluster.ask(method, quote(url), **headers)
        assert answer.code == (204 if method == "DELETE" else 201)
        # When the file `a` is gone, the collection beside it has its name.
        assert ((await cluster.get(quote(url))).body == list(KEYS)[number].encode()) == (method == "COPY")
    for number, key in enumerate(KEYS):
        if method != "DELETE":
            assert (await cluster.get(f"/new{number}")).body == key.encode()
    await cluster.restart_front()
    assert await keys_of(cluster) == (sorted(KEYS) if method == "COPY" else [])
    if method != "COPY":
        assert await shown(cluster) == []


@pytest_twisted.ensureDeferred
async def test_a_collection_beside_a_file_is_one_of_its_own(cluster: Cluster) -> None:
    await fill(cluster)
    for url in ("/x/a␦", "/x/a␦/"):
        found = await propfind(cluster, quote(url), "resourcetype", depth="1")
        assert sorted(found) == ["/x/a␦/", "/x/a␦/b"]
    assert (await cluster.get(quote("/x/a␦"))).header("Content-Location") == quote("/x/a␦/")
    assert (await cluster.get("/x/a/")).code == 404
    assert (await cluster.get("/x/a/b")).body == b"a/b"
    await note(cluster, quote("/x/a␦"), "a collection")
    await note(cluster, "/x/a", "a file")
    assert await noted(cluster, quote("/x/a␦/")) == "a collection"
    assert await noted(cluster, "/x/a") == "a file"
    assert (await cluster.ask("MOVE", quote("/x/a␦"), Destination="/y")).code == 201
    assert (await cluster.get("/y/b")).body == b"a/b"
    assert await noted(cluster, "/y/") == "a collection"
    assert (await cluster.get("/x/a")).body == b"a"


@pytest_twisted.ensureDeferred
async def test_what_a_collection_is_itself_is_read_without_a_slash(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/x")
    await cluster.put("/x/source", b"itself")
    await copy(cluster, "/x/source", "/x/a/", Media("text/plain"))
    for path in ("/x/a", "/x/a/", quote("/x/a␦/")):
        assert b"itself" not in (await cluster.get(path)).body
        assert (await cluster.get(path)).header("Content-Type") == "text/html; charset=utf-8"
    answer = await cluster.get(quote("/x/a␦"))
    assert (answer.body, answer.header("Content-Type")) == (b"itself", "text/plain")
    assert (await cluster.ask("HEAD", quote("/x/a␦"))).header("Content-Length") == "6"
    assert (await cluster.ask("MOVE", "/x/a", Destination="/x/b")).code == 201
    assert await keys_of(cluster) == ["b/", "source"]
    assert (await cluster.get(quote("/x/b␦"))).body == b"itself"


@pytest_twisted.ensureDeferred
async def test_locks_cover_the_file_and_the_collection_of_a_name(cluster: Cluster) -> None:
    await fill(cluster)
    answer = await lock(cluster, quote("/x/a␦"))
    assert quote("/x/a␦") in answer.text
    token = token_of(answer)
    for url in ("/x/a", "/x/a␦", "/x/a␦/b"):
        refused = await cluster.ask("DELETE", quote(url))
        assert refused.code == 423
        assert condition_of(refused) == ("lock-token-submitted", [quote("/x/a␦")])
    assert (await cluster.ask("DELETE", "/x/a", If=f"(<{token}>)")).code == 204
    assert (await cluster.ask("UNLOCK", quote("/x/a␦"), Lock_Token=f"<{token}>")).code == 204
    assert (await cluster.ask("DELETE", quote("/x/a␦/b"))).code == 204


@pytest_twisted.ensureDeferred
async def test_a_tree_with_a_lock_in_it_is_told_by_names_that_can_be_said(cluster: Cluster) -> None:
    await fill(cluster)
    await lock(cluster, quote("/x/c/␦../d"))
    told = read_multistatus(await cluster.ask("DELETE", "/x"))
    assert [unquote(path) for path in told] == ["/x/c/␦../d"]


@pytest.mark.parametrize("url", ["/x/␦.", "/x/␦␀", "/x/b␦", "/x/␦/b", f"/x/{LONG}", "/x/b␦/"])
@pytest.mark.parametrize("method", ["PUT", "MKCOL", "LOCK", "COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_nothing_gets_a_name_that_webdav_cannot_say(cluster: Cluster, method: str, url: str) -> None:
    await cluster.ask("MKCOL", "/x")
    await cluster.put("/x/b", b"a file")
    await cluster.put("/f", b"another")
    match method:
        case "COPY" | "MOVE":
            answer = await cluster.ask(method, "/f", Destination=quote(url))
        case "LOCK":
            answer = await lock(cluster, quote(url))
        case _:
            answer = await cluster.ask(method, quote(url), b"data" if method == "PUT" else None)
    assert answer.code in {400, 409}
    assert await keys_of(cluster) == ["b"]


@pytest_twisted.ensureDeferred
async def test_an_escape_that_is_none_is_refused_and_a_mark_is_written_twice(cluster: Cluster) -> None:
    for url in ("/␦a", "/a␦b/c"):
        answer = await cluster.put(quote(url), b"data")
        assert (answer.code, "is not an escape" in answer.text) == (400, True)
    assert (await cluster.put(quote("/a␦␦b"), b"data")).code == 201
    assert (await cluster.get(quote("/a␦␦b"))).body == b"data"
    assert await shown(cluster, "/") == ["/a␦␦b"]
    assert (await cluster.get(f"/?after={quote('␦a')}", Accept="application/json")).code == 400
