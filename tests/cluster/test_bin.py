"""The bin of the console: deletions are undone whole, by those who may, and nobody else sees what is there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest_twisted

from splitd.settings.storing import Bin
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.waiting import eventually
from tests.users import ANNA, RITA, ROOT, WILMA

JSON = {"Content-Type": "application/json"}


@pytest_twisted.async_yield_fixture
async def cluster(make_cluster: Callable[..., Cluster]) -> AsyncIterator[Cluster]:
    """A started cluster with a bin."""
    made = make_cluster(bin=Bin(30))
    await made.start()
    yield made


async def api(cluster: Cluster, method: str, name: str, body: object = None, **headers: str) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    return await cluster.ask(method, f"/.splitd/api/{name}", data, **(JSON if body is not None else {}), **headers)


async def delete(cluster: Cluster, path: str, **headers: str) -> Any:
    answer = await api(cluster, "POST", "bin", {"path": path}, **headers)
    assert answer.code == 201, answer.text
    return json.loads(answer.body)


async def listed(cluster: Cluster, **headers: str) -> list[str]:
    answer = await api(cluster, "GET", "bin", **headers)
    assert answer.code == 200, answer.text
    return [each["path"] for each in json.loads(answer.body)["things"]]


async def restore(cluster: Cluster, thing: Any, to: str = "", **headers: str) -> Answer:
    return await api(cluster, "POST", "bin/restore", {"id": thing["id"], **({"to": to} if to else {})}, **headers)


@pytest_twisted.ensureDeferred
async def test_a_folder_is_deleted_and_restored_with_all_that_it_had(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    await cluster.put("/a/f", b"content", Content_Type="text/x-own", Cache_Control="no-store")
    noted = b'<propertyupdate xmlns="DAV:"><set><prop><x xmlns="urn:x">kept</x></prop></set></propertyupdate>'
    assert (await cluster.ask("PROPPATCH", "/a/f", noted)).code == 207
    before = await cluster.get("/a/f")
    thing = await delete(cluster, "/a")
    assert (thing["path"], thing["type"], thing["bytes"], thing["files"]) == ("/a", "collection", 7, 1)
    assert thing["ends_ms"] - thing["deleted_ms"] == 30 * 24 * 3600 * 1000
    assert (await cluster.get("/a/f")).code == 404
    assert await listed(cluster) == ["/a"]
    await cluster.restart_front()
    answer = await restore(cluster, thing)
    assert (answer.code, json.loads(answer.body)) == (200, {"path": "/a"})
    after = await cluster.get("/a/f")
    for name in ("ETag", "Content-Type", "Cache-Control", "Last-Modified"):
        assert after.header(name) == before.header(name)
    assert after.body == b"content"
    assert "kept" in (await cluster.ask("PROPFIND", "/a/f", Depth="0")).text
    assert await listed(cluster) == []
    assert (await restore(cluster, thing)).code == 404


@pytest_twisted.ensureDeferred
async def test_no_path_of_a_client_leads_to_what_is_in_the_bin(cluster: Cluster) -> None:
    await cluster.put("/f", b"secret")
    thing = await delete(cluster, "/f")
    hidden = f"/.splitd/bin/{thing['id']}/f"
    for path in ("/.splitd", "/.splitd/bin/", hidden):
        for method in ("GET", "PROPFIND", "DELETE"):
            answer = await cluster.ask(method, path, **({"Depth": "infinity"} if method == "PROPFIND" else {}))
            is_page = method == "GET" and "bin" in path  # the page says nothing of what is there
            assert is_page or answer.code in {400, 403, 404, 405}, (method, path, answer.code)
            assert b"secret" not in answer.body
            assert thing["id"] not in answer.text or path == hidden
        for name in ("list", "details", "search"):
            answer = await api(cluster, "GET", f"{name}?path={quote(path)}&text=f")
            assert answer.code in {400, 404, 409}
    for method in ("MOVE", "COPY"):
        answer = await cluster.ask(method, hidden, Destination=cluster.url("/stolen"))
        assert answer.code in {400, 403, 404, 405}
        answer = await cluster.ask(method, "/", Destination=cluster.url(hidden))
        assert answer.code in {400, 403, 404, 405, 409}
    assert "splitd/bin" not in (await cluster.ask("PROPFIND", "/", Depth="infinity")).text
    assert ".splitd" not in json.dumps(json.loads((await cluster.get("/", Accept="application/json")).body)["members"])
    assert json.loads((await api(cluster, "GET", "list?path=/")).body)["members"] == []
    assert await listed(cluster) == ["/f"]


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_taken_asks_for_another_one(cluster: Cluster) -> None:
    await cluster.put("/f", b"old")
    thing = await delete(cluster, "/f")
    await cluster.put("/f", b"new")
    answer = await restore(cluster, thing)
    assert (answer.code, answer.text) == (409, "/f is there already\n")
    assert (await restore(cluster, thing, "/again/f (2)")).code == 200
    assert (await cluster.get("/again/f%20(2)")).body == b"old"
    assert (await cluster.get("/f")).body == b"new"


@pytest_twisted.ensureDeferred
async def test_what_is_purged_takes_no_space(cluster: Cluster) -> None:
    for name in ("a", "b", "c"):
        await cluster.put(f"/{name}", b"content")
    first = await delete(cluster, "/a")
    for name in ("b", "c"):
        await delete(cluster, f"/{name}")
    assert (await api(cluster, "DELETE", f"bin?id={first['id']}")).code == 200
    assert (await api(cluster, "DELETE", f"bin?id={first['id']}")).code == 404
    assert (await api(cluster, "DELETE", "bin?id=")).code == 400
    assert sorted(await listed(cluster)) == ["/b", "/c"]
    assert json.loads((await api(cluster, "DELETE", "bin")).body) == {"purged": 2, "more": False}
    assert await listed(cluster) == []
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_deletions_by_webdav_free_the_space_and_the_rest_says_what_it_is(cluster: Cluster) -> None:
    await cluster.put("/f", b"content")
    assert (await cluster.ask("DELETE", "/f")).code == 204
    assert await listed(cluster) == []
    assert json.loads((await api(cluster, "GET", "me")).body)["bin"] == 30
    lock = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    assert (await cluster.ask("LOCK", "/locked", lock)).code == 201
    for path, status in (("/none", 404), ("/locked", 423), ("relative", 400), ("/", 400)):
        assert (await api(cluster, "POST", "bin", {"path": path})).code == status, path
    assert (await api(cluster, "POST", "bin", {})).code == 400
    assert (await cluster.ask("POST", "/.splitd/api/bin", b"{}")).code == 415


@pytest_twisted.ensureDeferred
async def test_without_the_setting_nothing_goes_there(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    await cluster.start()
    await cluster.put("/f", b"content")
    assert (await api(cluster, "POST", "bin", {"path": "/f"})).code == 409
    assert json.loads((await api(cluster, "GET", "me")).body)["bin"] == 0
    assert (await cluster.get("/f")).body == b"content"
    assert json.loads((await api(cluster, "GET", "bin")).body)["things"] == []


@pytest_twisted.ensureDeferred
async def test_one_sees_and_restores_what_one_may(make_guarded: Callable[..., Awaitable[Cluster]]) -> None:
    cluster = await make_guarded("/anna", "/anna/fixed", "/anna/secret", "/anna/own", bin=Bin(30))
    root, anna, rita, wilma = ({"Authorization": each} for each in (ROOT, ANNA, RITA, WILMA))
    for path in ("/anna/own/f", "/anna/secret/f", "/f"):
        assert (await cluster.put(path, b"x", **root)).code == 201
    assert (await api(cluster, "POST", "bin", {"path": "/f"}, **anna)).code == 403
    assert (await api(cluster, "POST", "bin", {"path": "/anna"}, **anna)).code == 403  # a part of it is hidden from her
    assert (await api(cluster, "POST", "bin", {"path": "/f"})).code == 401
    assert (await api(cluster, "GET", "bin")).code == 401
    assert json.loads((await api(cluster, "GET", "me")).body)["bin"] == 0  # the page deletes for good, after a question
    by_root = await delete(cluster, "/anna/own/f", **root)
    own = await delete(cluster, "/anna/own", **anna)
    hidden, other = await delete(cluster, "/anna/secret/f", **root), await delete(cluster, "/f", **wilma)
    assert (own["user"], other["user"]) == ("anna", "wilma")
    assert await listed(cluster, **anna) == ["/anna/own", "/anna/own/f"]
    assert await listed(cluster, **rita) == []
    everything = ["/f", "/anna/secret/f", "/anna/own", "/anna/own/f"]
    assert await listed(cluster, **root) == everything
    assert await listed(cluster, **wilma) == everything
    for thing in (hidden, other):
        assert (await restore(cluster, thing, "/anna/x", **anna)).code == 404
        assert (await api(cluster, "DELETE", f"bin?id={thing['id']}", **anna)).code == 404
    assert (await restore(cluster, own, "/anna/fixed/own", **anna)).code == 403
    assert (await restore(cluster, own, "/own", **anna)).code == 403
    assert (await restore(cluster, by_root, **anna)).code == 200  # the folder that it was in is made again
    assert (await restore(cluster, own, "/anna/again", **anna)).code == 200
    assert (await cluster.get("/anna/own/f", **anna)).body == b"x"
    assert json.loads((await api(cluster, "DELETE", "bin", **rita)).body)["purged"] == 0
    assert json.loads((await api(cluster, "DELETE", "bin", **root)).body)["purged"] == 2


@pytest_twisted.ensureDeferred
async def test_parts_of_files_in_the_bin_are_healed_and_moved(make_cluster: Callable[..., Cluster]) -> None:
    """The check finds a damaged part, it is rebuilt, and the restored file is whole."""
    cluster = make_cluster(count=8, layout="4+2", bin=Bin(30), small_part=0)
    await cluster.start()
    body = bytes(range(256)) * 64
    await cluster.put("/f", body)
    thing = await delete(cluster, "/f")
    lost = cluster.part_files()[0]
    lost.unlink()
    checked = await cluster.ask("POST", f"{cluster.admin_url}/check?path=/")
    assert checked.code == 200, checked.text
    assert thing["id"] in checked.text  # it says where the file with the missing part lies
    await cluster.status_becomes(lambda status: status["heal"]["healed_parts"] == 1)
    assert (await restore(cluster, thing)).code == 200
    assert (await cluster.get("/f")).body == body
