"""COPY and MOVE: whole trees at once, without moving a byte of a file."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.cluster.cluster import Answer, Cluster
from tests.cluster.multistatus import note, noted
from tests.cluster.waiting import eventually

DATA = os.urandom(20_000)


async def transfer(cluster: Cluster, method: str, source: str, target: str, **headers: str) -> Answer:
    return await cluster.ask(method, source, Destination=cluster.url(target), **headers)


async def furnish(cluster: Cluster) -> None:
    """Make /c/f, /c/d/g, /h, and an empty /e."""
    for path in ("/c", "/c/d", "/e"):
        assert (await cluster.ask("MKCOL", path)).code == 201
    for path in ("/c/f", "/c/d/g", "/h"):
        assert (await cluster.put(path, path.encode() + DATA)).code == 201


async def reads(cluster: Cluster, path: str, content: str) -> bool:
    answer = await cluster.get(path)
    return (answer.code, answer.body) == (200, content.encode() + DATA)


@pytest_twisted.ensureDeferred
async def test_a_moved_file_is_the_same_version(cluster: Cluster) -> None:
    await furnish(cluster)
    before = await cluster.ask("HEAD", "/h")
    parts = cluster.parts()
    assert (await transfer(cluster, "MOVE", "/h", "/c/new")).code == 201
    after = await cluster.ask("HEAD", "/c/new")
    assert [after.header(name) for name in ("ETag", "Last-Modified")] == [
        before.header(name) for name in ("ETag", "Last-Modified")
    ]
    assert await reads(cluster, "/c/new", "/h")
    assert (await cluster.get("/h")).code == 404
    assert cluster.parts() == parts


@pytest.mark.parametrize("restart", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_tree_is_moved(cluster: Cluster, restart: bool) -> None:
    await furnish(cluster)
    assert (await transfer(cluster, "MOVE", "/c/", "/e/c/")).code == 201
    if restart:
        await cluster.restart_front()
    assert (await cluster.get("/c")).code == 404
    assert await reads(cluster, "/e/c/f", "/c/f")
    assert await reads(cluster, "/e/c/d/g", "/c/d/g")


@pytest.mark.parametrize("restart", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_tree_is_copied_and_takes_no_space_until_it_changes(cluster: Cluster, restart: bool) -> None:
    await furnish(cluster)
    parts = cluster.parts()
    assert (await transfer(cluster, "COPY", "/c", "/e/c")).code == 201
    assert cluster.parts() == parts
    if restart:
        await cluster.restart_front()
    assert (await cluster.status())["files"] == 5
    assert (await cluster.ask("DELETE", "/c")).code == 204
    assert await reads(cluster, "/e/c/f", "/c/f")
    assert (await cluster.put("/e/c/f", b"other")).code == 204
    await eventually(lambda: len(cluster.uploads_stored()) == 3, "the parts of the version that has no name are gone")
    assert await reads(cluster, "/e/c/d/g", "/c/d/g")
    assert (await cluster.ask("DELETE", "/e/c")).code == 204
    await eventually(lambda: len(cluster.uploads_stored()) == 1, "only the parts of /h are left")


@pytest_twisted.ensureDeferred
async def test_a_copy_with_depth_0_is_an_empty_collection(cluster: Cluster) -> None:
    await furnish(cluster)
    assert (await transfer(cluster, "COPY", "/c", "/e/c", Depth="0")).code == 201
    assert [(await cluster.get(path)).code for path in ("/e/c", "/e/c/f", "/c/f")] == [200, 404, 200]


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_what_is_there_is_replaced_where_that_is_allowed(cluster: Cluster, method: str) -> None:
    await furnish(cluster)
    refused = await transfer(cluster, method, "/h", "/c", Overwrite="F")
    assert (refused.code, "/c is there already" in refused.text) == (412, True)
    assert (await transfer(cluster, method, "/h", "/c/f", Overwrite="T")).code == 204
    assert await reads(cluster, "/c/f", "/h")
    assert (await transfer(cluster, method, "/c/f", "/c/")).code == 403
    assert (await transfer(cluster, method, "/c/d", "/e")).code == 204
    assert await reads(cluster, "/e/g", "/c/d/g")


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(
    ("source", "destination", "headers", "code"),
    [
        ("/missing", "/x", {}, 404),
        ("/h/", "/x", {}, 404),
        ("/c", "/c", {}, 403),
        ("/c", "/c/d/x", {}, 403),
        ("/c/f", "/c", {}, 403),
        ("/", "/x", {}, 403),
        ("/c", "/", {}, 403),
        ("/h", "/x/y", {}, 409),
        ("/h", "/h/y", {}, 403),
        ("/c", "/h/y", {}, 409),
        ("/h", "/a/../b", {}, 400),
        ("/h", "/a%2Fb", {}, 400),
        ("/h", "/x#y", {}, 400),
        ("/c", "/x", {"Depth": "1"}, 400),
        ("/h", "/x", {"Overwrite": "maybe"}, 400),
        ("/h", "/x", {"Overwrite": ""}, 400),
        ("/h", "/x", {"Overwrite": "T, F"}, 400),
        ("/h", "/x", {"If_Match": '"other"'}, 412),
        ("/h", "/x", {"If_None_Match": "*"}, 412),
        ("/h", "http://elsewhere.example/x", {}, 502),
        ("/h", "ftp://elsewhere.example/x", {}, 502),
        ("/h", "ftp://{host}/x", {}, 502),
        ("/h", "file:///x", {}, 502),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_done_is_refused_and_changes_nothing(
    cluster: Cluster, method: str, source: str, destination: str, headers: dict[str, str], code: int
) -> None:
    await furnish(cluster)
    destination = destination.format(host=f"127.0.0.1:{cluster.port}")
    answer = await cluster.ask(method, source, Destination=destination, **headers)
    assert (answer.code, answer.body.endswith(b"\n")) == (code, True), answer
    for path in ("/c/f", "/c/d/g", "/h"):
        assert await reads(cluster, path, path)
    assert (await cluster.get("/x")).code == 404


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(
    "lines",
    [
        ["Destination: /c/f", "Overwrite: F", "Overwrite: T"],
        ["Destination: /c/f", "Overwrite: F", "Overwrite:"],
        ["Destination: /x", "Destination: /c/f"],
    ],
)
@pytest_twisted.ensureDeferred
async def test_headers_that_contradict_each_other_change_nothing(
    cluster: Cluster, method: str, lines: list[str]
) -> None:
    await furnish(cluster)
    client = await cluster.connect()
    client.begin(method, "/h", *lines)
    assert (await client.answer()).code == 400
    for path in ("/c/f", "/h"):
        assert await reads(cluster, path, path)


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_a_destination_is_needed_and_no_body(cluster: Cluster, method: str) -> None:
    await furnish(cluster)
    assert (await cluster.ask(method, "/h")).code == 400
    assert (await cluster.ask(method, "/h", b"<xml/>", Destination="/x")).code == 415
    assert (await cluster.get("/x")).code == 404


@pytest.mark.parametrize(
    "destination",
    ["/x%20y", "/x y", "http://{host}/x%20y", "HTTPS://user@{host}/x%20y", "/%78%20%79"],
)
@pytest_twisted.ensureDeferred
async def test_a_destination_may_be_written_in_many_ways(cluster: Cluster, destination: str) -> None:
    await furnish(cluster)
    host = f"127.0.0.1:{cluster.port}"
    assert (await cluster.ask("MOVE", "/h", Destination=destination.format(host=host))).code == 201
    assert await reads(cluster, "/x%20y", "/h")


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_properties_go_along(cluster: Cluster, method: str) -> None:
    await furnish(cluster)
    for path in ("/c", "/c/d/g"):
        await note(cluster, path, f"of {path}")
    await transfer(cluster, method, "/c", "/new")
    assert await noted(cluster, "/new") == "of /c"
    assert await noted(cluster, "/new/d/g") == "of /c/d/g"
    if method == "COPY":
        await note(cluster, "/new/d/g", "another")
        assert await noted(cluster, "/c/d/g") == "of /c/d/g"


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_a_reader_goes_on_reading_what_is_moved_or_replaced(cluster: Cluster, method: str) -> None:
    large = os.urandom(8_000_000)
    await cluster.put("/large", large)
    await cluster.put("/other", b"other")
    client = await cluster.connect(receive_buffer=65536)
    client.begin("GET", "/large")
    await client.until(lambda: len(client.received) > 1000)
    client.stop_reading()
    await transfer(cluster, method, "/other", "/large")
    client.read_on()
    assert (await client.answer()).body == large
    assert (await cluster.get("/large")).body == b"other"


@pytest_twisted.ensureDeferred
async def test_of_many_who_move_one_name_one_succeeds(cluster: Cluster) -> None:
    await furnish(cluster)
    asked: list[Any] = [Deferred.fromCoroutine(transfer(cluster, "MOVE", "/c", f"/new{number}")) for number in range(8)]
    assert sorted(answer.code for answer in await gatherResults(asked)) == [201] + [404] * 7


@pytest_twisted.ensureDeferred
async def test_a_file_stays_readable_while_it_is_moved_to_and_fro(cluster: Cluster) -> None:
    await furnish(cluster)
    for number in range(20):
        source, target = ("/h", "/i") if number % 2 == 0 else ("/i", "/h")
        moved = Deferred.fromCoroutine(transfer(cluster, "MOVE", source, target))
        answers = await gatherResults([Deferred.fromCoroutine(cluster.get(path)) for path in ("/h", "/i")])
        assert (await moved).code == 201
        assert all(answer.body == b"/h" + DATA for answer in answers if answer.code == 200)


@pytest.mark.parametrize("method", ["MOVE", "COPY"])
@pytest_twisted.ensureDeferred
async def test_a_tree_does_not_go_where_nobody_could_name_what_is_in_it(cluster: Cluster, method: str) -> None:
    deep, low = "", ""
    for _ in range(10):
        deep, low = f"{deep}/{'d' * 200}", f"{low}/{'l' * 200}"
        assert (await cluster.ask("MKCOL", deep)).code == 201
        assert (await cluster.ask("MKCOL", low)).code == 201
    name = "é" * 30  # 60 bytes
    assert (await cluster.put(quote(f"{deep}/{name}"), DATA)).code == 201
    top = f"/{'d' * 200}"
    # What lies in it is 1,870 bytes longer than itself; 4,096 are allowed.
    longest = low + "/" + "n" * (4096 - 1870 - len(low) - 1)
    answer = await transfer(cluster, method, top, f"{longest}n")
    assert (answer.code, "4096" in answer.text) == (400, True)
    assert (await cluster.get(quote(f"{deep}/{name}"))).body == DATA
    assert (await transfer(cluster, method, top, longest)).code == 201
    assert (await cluster.get(quote(longest + deep[201:] + f"/{name}"))).body == DATA


@pytest_twisted.ensureDeferred
async def test_a_destination_with_a_query_is_refused(cluster: Cluster) -> None:
    await furnish(cluster)
    assert (await cluster.put("/y", b"other")).code == 201
    assert (await transfer(cluster, "COPY", "/c/f", "/y?z=1")).code == 400
    assert (await cluster.get("/y")).body == b"other"
