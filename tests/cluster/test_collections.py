"""Collections: made, listed, and deleted with everything in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest_twisted

from splitd.model.natural import natural_key
from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually

AWKWARD = [
    "<script>alert(1)<",
    "a b",
    'quo"te',
    "per%20cent",
    "ha#sh",
    "que?stion",
    "é€😀",
    "&amp;",
    "it's",
    "a:b",
    "+",
]


def quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())


async def listed(cluster: Cluster, target: str) -> Any:
    answer = await cluster.get(target, Accept="application/json")
    assert (answer.code, answer.header("Content-Type")) == (200, "application/json")
    return json.loads(answer.body)


@pytest_twisted.ensureDeferred
async def test_a_collection_is_made_once(cluster: Cluster) -> None:
    assert (await cluster.ask("MKCOL", "/a")).code == 201
    assert (await cluster.ask("MKCOL", "/a/b/")).code == 201
    assert (await cluster.ask("MKCOL", "/a")).code == 405
    assert (await cluster.ask("MKCOL", "/")).code == 405
    assert (await cluster.put("/a/file", b"abc")).code == 201
    assert (await cluster.ask("MKCOL", "/a/file")).code == 405
    assert (await cluster.get("/a/file")).body == b"abc"


@pytest_twisted.ensureDeferred
async def test_what_should_lie_in_a_missing_collection_is_refused_and_the_collection_named(cluster: Cluster) -> None:
    for answer in (await cluster.ask("MKCOL", "/a/b/c"), await cluster.put("/a/b/c", b"abc")):
        assert answer.code == 409
        assert "/a/b" in answer.text
    await cluster.put("/file", b"abc")
    for answer in (await cluster.ask("MKCOL", "/file/c"), await cluster.put("/file/c", b"abc")):
        assert answer.code == 409
        assert "/file" in answer.text
    assert (await cluster.ask("MKCOL", "/a", b"<xml/>")).code == 415
    assert (await cluster.get("/a")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_collection_is_not_a_file_and_a_file_is_no_collection(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    refused = await cluster.put("/a", b"abc")
    assert (refused.code, "PUT" in str(refused.header("Allow"))) == (405, True)
    assert (await cluster.put("/a/", b"abc")).code == 400
    await cluster.put("/file", b"abc")
    assert (await cluster.get("/file/")).code == 404
    assert (await cluster.get("/file/x")).code == 404
    assert (await cluster.ask("DELETE", "/")).code == 400


@pytest_twisted.ensureDeferred
async def test_a_collection_is_deleted_with_all_that_is_in_it(cluster: Cluster) -> None:
    await cluster.put("/kept", b"k" * 100)
    kept = cluster.uploads_stored()
    for path in ("/a", "/a/b", "/a/b/c"):
        await cluster.ask("MKCOL", path)
        await cluster.put(f"{path}/file", b"x" * 10_000)
    assert len(cluster.uploads_stored()) == 4
    assert (await cluster.ask("DELETE", "/a/")).code == 204
    for path in ("/a", "/a/file", "/a/b/c/file"):
        assert (await cluster.get(path)).code == 404
    assert (await cluster.ask("DELETE", "/a")).code == 404
    await eventually(lambda: cluster.uploads_stored() == kept, "only the parts of what is left")
    assert (await cluster.get("/kept")).code == 200


@pytest_twisted.ensureDeferred
async def test_programs_get_a_list_page_by_page(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    etag = (await cluster.put("/a/n3", b"xyz", Content_Type="text/x-test")).header("ETag")
    for name in ("n1", "n2", "n4"):
        await cluster.ask("MKCOL", f"/a/{name}")
    first = await listed(cluster, "/a?limit=3")
    assert [member["name"] for member in first["members"]] == ["n1", "n2", "n3"]
    assert (first["path"], first["next"]) == ("/a", "n3")
    file, collection = first["members"][2], first["members"][0]
    assert {**file, "modified_ms": 0} == {
        "name": "n3", "type": "file", "size": 3, "modified_ms": 0, "etag": etag, "content_type": "text/x-test",
    }  # fmt: skip
    assert (collection["type"], sorted(collection)) == ("collection", ["modified_ms", "name", "type"])
    last = await listed(cluster, f"/a/?limit=3&after={first['next']}")
    assert ([member["name"] for member in last["members"]], last["next"]) == (["n4"], None)
    assert (await listed(cluster, "/a?after=zzz"))["members"] == []
    for limit in ("0", "10001", "x", "-1", "", "9" * 5000):
        assert (await cluster.get(f"/a?limit={limit}", Accept="application/json")).code == 400


@pytest_twisted.ensureDeferred
async def test_awkward_names_are_listed_and_can_be_followed(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a%3C")
    for name in AWKWARD:
        assert (await cluster.put(f"/a%3C/{quoted(name)}", name.encode())).code == 201
    assert [member["name"] for member in (await listed(cluster, "/a%3C"))["members"]] == sorted(AWKWARD)
    page = await cluster.get("/a%3C/?plain", Accept="text/html")
    assert page.header("Content-Type") == "text/html; charset=utf-8"
    head, rows = page.text.split("<tbody>")
    rows, foot = rows.split("</tbody>")
    assert (head.count("<script"), rows.count("<script"), foot.count("<script")) == (0, 0, 1)
    links = re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', rows)
    assert [unescape(text) for _, text in links] == ["..", *sorted(AWKWARD, key=natural_key)]
    for href, text in links[1:]:
        assert (await cluster.get(href)).body == unescape(text).encode()
    assert (await cluster.get(links[0][0])).code == 200


@pytest_twisted.ensureDeferred
async def test_a_long_collection_is_one_page_for_people(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    names = [f"n{number:04}" for number in range(1100)]
    for name in names:
        assert (await cluster.ask("MKCOL", f"/a/{name}")).code == 201
    assert re.findall(r">(n\d+)/<", (await cluster.get("/a")).text) == names


@pytest_twisted.ensureDeferred
async def test_a_slash_behind_the_name_of_a_file_names_nothing(cluster: Cluster) -> None:
    await cluster.put("/file", b"bytes")
    assert (await cluster.ask("DELETE", "/file/")).code == 404
    assert (await cluster.get("/file/")).code == 404
    assert (await cluster.get("/file")).body == b"bytes"


@pytest_twisted.ensureDeferred
async def test_nobody_takes_the_name_that_the_server_has_for_itself(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(console=False)
    await cluster.start()
    assert (await cluster.put("/f", b"x")).code == 201
    for name in ("/.splitd", "/.splitd/x"):
        assert (await cluster.put(name, b"x")).code == 400
        for method in ("MOVE", "COPY"):
            assert (await cluster.ask(method, "/f", Destination=name)).code == 400
    assert (await cluster.ask("MKCOL", "/.splitd/")).code == 400
    for name in ("/.splitd2", "/.splitdx"):
        assert (await cluster.put(name, b"x")).code == 201
    assert (await cluster.ask("MKCOL", "/c")).code == 201
    assert (await cluster.put("/c/.splitd", b"x")).code == 201
