"""Collections that ask for a layout of their own, through the operators' port."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
import pytest_twisted

from splitd.frontends.admin.action_reports import LayoutReport
from splitd.model.manifest import Manifest
from splitd.model.properties import LAYOUT
from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.multistatus import propfind, proppatch, read_multistatus

SMALL, LARGE = os.urandom(3000), os.urandom(100_000)


async def layout(cluster: Cluster, path: str, wanted: str | None = None, method: str | None = None) -> Answer:
    query = f"?path={quote(path)}" + ("" if wanted is None else f"&layout={quote(wanted)}")
    return await cluster.ask(method or ("GET" if wanted is None else "PUT"), f"{cluster.admin_url}/layout{query}")


async def told(cluster: Cluster, path: str, wanted: str | None = None, method: str | None = None) -> LayoutReport:
    answer = await layout(cluster, path, wanted, method)
    assert answer.code == 200, answer.text
    return msgspec.json.decode(answer.body, type=LayoutReport)


async def cut(cluster: Cluster, path: str) -> tuple[int, int, int]:
    assert cluster.front is not None
    manifest = await cluster.front.catalog.lookup(path)
    assert isinstance(manifest, Manifest)
    return manifest.data, manifest.parity, len(manifest.nodes)


async def started(make_cluster: Callable[..., Cluster], count: int = 8, **options: Any) -> Cluster:
    cluster = make_cluster(count=count, small_part=Size(1024), **options)
    await cluster.start()
    return cluster


@pytest_twisted.ensureDeferred
async def test_what_is_stored_below_gets_the_layout_and_what_is_there_keeps_its_own(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    for path in ("/c", "/c/d", "/e"):
        await cluster.ask("MKCOL", path)
    await cluster.put("/c/old", LARGE)
    assert await told(cluster, "/c/d") == LayoutReport("/c/d", "6+0", None, "6+0")
    assert await told(cluster, "/c/", "6+2") == LayoutReport("/c", "6+2", "/c", "6+0")
    assert await told(cluster, "/c/d") == LayoutReport("/c/d", "6+2", "/c", "6+0")
    assert await told(cluster, "/") == LayoutReport("/", "6+0", None, "6+0")
    for path, data in (("/c/small", SMALL), ("/c/d/large", LARGE), ("/e/small", SMALL), ("/c/d/none", b"")):
        await cluster.put(path, data)
    assert await cut(cluster, "/c/old") == await cut(cluster, "/e/small") == (6, 0, 6)
    assert await cut(cluster, "/c/small") == await cut(cluster, "/c/d/large") == (6, 2, 8)
    assert await told(cluster, "/e", "2+1") == LayoutReport("/e", "2+1", "/e", "6+0")
    await cluster.put("/e/small", SMALL)
    assert await cut(cluster, "/e/small") == (2, 1, 3)
    for path, data in (("/c/old", LARGE), ("/c/small", SMALL), ("/c/d/large", LARGE), ("/e/small", SMALL)):
        assert (await cluster.get(path)).body == data
    assert await told(cluster, "/c", method="DELETE") == LayoutReport("/c", "6+0", None, "6+0")
    await cluster.put("/c/new", LARGE)
    assert await cut(cluster, "/c/new") == (6, 0, 6)


@pytest_twisted.ensureDeferred
async def test_small_files_of_several_layouts_that_come_together_are_all_stored(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    layouts = {"/a": "6+2", "/b": "1+0", "/c": "3+4", "/d": "6+0"}
    for path, wanted in layouts.items():
        await cluster.ask("MKCOL", path)
        await told(cluster, path, wanted)
    files = {f"{path}/{number}": os.urandom(1000 + number) for number in range(12) for path in layouts}
    puts = [cluster.put(path, data) for path, data in files.items()]
    for put in puts:
        assert (await put).code == 201
    for path, data in files.items():
        counts = await cut(cluster, path)
        assert f"{counts[0]}+{counts[1]}" == layouts[path[:2]]
        assert (await cluster.get(path)).body == data


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_is_refused_with_a_sentence_and_changes_nothing(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster, count=6)
    await cluster.ask("MKCOL", "/c")
    await cluster.put("/file", SMALL)
    for path, wanted, code, reason in (
        ("/c", "6+2", 422, "layout 6+2 needs 8 nodes that take parts, and there are 6"),
        ("/c", "six", 400, "not a layout: 'six'"),
        ("/c", "0+2", 400, "not a layout: '0+2'"),
        ("/c", "2+5", 400, "not a layout: '2+5'"),
        ("/file", "2+1", 409, "/file is a file"),
        ("/nothing", "2+1", 404, "there is no /nothing"),
    ):
        answer = await layout(cluster, path, wanted)
        assert (answer.code, reason in answer.text) == (code, True), answer.text
    for path, code in (("/file", 409), ("/nothing", 404)):
        assert (await layout(cluster, path)).code == code
        assert (await layout(cluster, path, method="DELETE")).code == code
    for query in ("", "?path=", "?path=c"):
        for method in ("GET", "DELETE"):
            assert (await cluster.ask(method, f"{cluster.admin_url}/layout{query}")).code == 400
    assert await told(cluster, "/c") == LayoutReport("/c", "6+0", None, "6+0")


@pytest_twisted.ensureDeferred
async def test_nodes_that_take_no_parts_do_not_count(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    entries = cluster.registry.read_text().replace("id: n1\n", "id: n1\n  state: readonly\n", 1)
    cluster.registry.write_text(entries)
    assert (await cluster.ask("POST", f"{cluster.admin_url}/reload")).code == 200
    answer = await layout(cluster, "/", "6+2")
    assert (answer.code, "and there are 7" in answer.text) == (422, True)


@pytest_twisted.ensureDeferred
async def test_a_plus_sign_in_a_query_is_understood_encoded_or_not(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    answer = await cluster.ask("PUT", f"{cluster.admin_url}/layout?path=/&layout=6+2")
    assert (answer.code, msgspec.json.decode(answer.body)["layout"]) == (200, "6+2")


@pytest_twisted.ensureDeferred
async def test_clients_read_the_property_and_cannot_change_it(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.ask("MKCOL", "/c")
    await told(cluster, "/c", "6+2")
    body = b'<D:propfind xmlns:D="DAV:"><D:prop><layout xmlns="splitd:"/></D:prop></D:propfind>'
    answer = await cluster.ask("PROPFIND", "/c", body, Depth="0")
    assert b'<layout xmlns="splitd:">6+2</layout>' in answer.body
    assert LAYOUT not in (await propfind(cluster, "/c"))["/c/"].found  # else a client would copy it along
    for change in ('<D:set><D:prop><layout xmlns="splitd:">1+0</layout></D:prop></D:set>',
                   '<D:remove><D:prop><layout xmlns="splitd:"/></D:prop></D:remove>'):  # fmt: skip
        refused = read_multistatus(await proppatch(cluster, "/c", change))["/c/"]
        assert refused.statuses == {LAYOUT: 403}
    made = b'<D:mkcol xmlns:D="DAV:"><D:set><D:prop><layout xmlns="splitd:">1+0</layout></D:prop></D:set></D:mkcol>'
    assert (await cluster.ask("MKCOL", "/e", made, Content_Type="application/xml")).code == 403
    assert await told(cluster, "/c") == LayoutReport("/c", "6+2", "/c", "6+0")


@pytest_twisted.ensureDeferred
async def test_the_room_that_is_told_is_that_for_the_layout(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.ask("MKCOL", "/c")
    await told(cluster, "/c", "1+4")
    room = {}
    for path in ("/", "/c"):
        found = (await propfind(cluster, path, "quota-available-bytes")).values()
        room[path] = int(str(next(iter(found)).text("quota-available-bytes")))
    assert room["/c"] < room["/"] / 3  # a fifth of the room, where the other takes all of it


@pytest_twisted.ensureDeferred
async def test_wider_files_leave_descriptors_for_fewer_clients(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    before = (await cluster.status())["connections"]["limit"]
    await told(cluster, "/", "6+2")
    after = (await cluster.status())["connections"]["limit"]
    assert abs(before * 7 - after * 9) < 9
    await cluster.put("/file", SMALL)
    await told(cluster, "/", method="DELETE")
    await cluster.restart_front()
    assert (await cluster.status())["connections"]["limit"] == after  # the file needs as many still


async def apply(cluster: Cluster, path: str) -> Answer:
    return await cluster.ask("POST", f"{cluster.admin_url}/layout/apply?path={quote(path)}")


async def applied(cluster: Cluster, path: str) -> tuple[int, int, int, int]:
    """Give stored files their layout; return how many there were, changed, of other data parts, and hurt."""
    assert (await apply(cluster, path)).code == 202
    status = await cluster.status_becomes(lambda status: status["relayout"]["state"] != "running")
    found = status["relayout"]
    assert (found["state"], found["path"], found["problem"]) == ("done", path, "")
    return found["files"], found["changed"], found["other"], found["hurt"]


@pytest_twisted.ensureDeferred
async def test_stored_files_get_the_parity_that_their_collections_ask_for_and_lose_it_again(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = await started(make_cluster)
    for path in ("/c", "/c/d", "/e"):
        await cluster.ask("MKCOL", path)
    files = {"/c/large": LARGE, "/c/small": SMALL, "/c/d/large": LARGE, "/e/large": LARGE, "/c/none": b""}
    for path, data in files.items():
        await cluster.put(path, data)
    before = {path: await cut(cluster, path) for path in files}
    await told(cluster, "/c", "6+2")
    await told(cluster, "/c/d", "6+1")
    assert await applied(cluster, "/c") == (3, 3, 0, 0)
    assert [await cut(cluster, path) for path in ("/c/large", "/c/small")] == [(6, 2, 8)] * 2
    assert (await cut(cluster, "/c/d/large"), await cut(cluster, "/e/large")) == ((6, 1, 7), (6, 0, 6))
    assert await applied(cluster, "/c") == (3, 0, 0, 0)
    for path, data in files.items():
        assert (await cluster.get(path)).body == data
    for path in ("/c", "/c/d"):
        await told(cluster, path, method="DELETE")
    assert await applied(cluster, "/c/large") == (1, 1, 0, 0)
    assert await applied(cluster, "/") == (4, 2, 0, 0)
    assert {path: await cut(cluster, path) for path in files} == before
    await cluster.restart_front()
    assert {path: await cut(cluster, path) for path in files} == before


@pytest_twisted.ensureDeferred
async def test_files_of_other_data_parts_stay_as_they_are(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster)
    await cluster.put("/large", LARGE)
    await told(cluster, "/", "4+2")
    assert await applied(cluster, "/") == (1, 0, 1, 0)
    assert await cut(cluster, "/large") == (6, 0, 6)


@pytest_twisted.ensureDeferred
async def test_a_layout_for_what_cannot_have_it_is_refused(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await started(make_cluster, layout="6+2", count=8)
    assert (await apply(cluster, "/nothing")).code == 404
    assert (await apply(cluster, "")).code == 400
    assert (await cluster.ask("DELETE", f"{cluster.admin_url}/layout/apply")).code == 404
    cluster.registry.write_text(cluster.registry.read_text().replace("id: n1\n", "id: n1\n  state: readonly\n", 1))
    await cluster.reload()
    answer = await apply(cluster, "/")
    assert (answer.code, "layout 6+2 needs 8 nodes that take parts, and there are 7" in answer.text) == (422, True)
