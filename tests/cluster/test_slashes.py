"""A slash at the end of a URL names a collection, in every method: no file is made, found or stored there."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.multistatus import lock, proppatch, token_of


async def furnish(cluster: Cluster) -> None:
    """Make two files, and a collection with a file in it."""
    await cluster.put("/file", b"file")
    await cluster.put("/other", b"other")
    await cluster.ask("MKCOL", "/tree/")
    await cluster.put("/tree/f", b"inside")


async def is_as_furnished(cluster: Cluster) -> bool:
    found = [(await cluster.get(path)).body for path in ("/file", "/other", "/tree/f")]
    codes = [(await cluster.get(path)).code for path in ("/new", "/new/")]
    return found == [b"file", b"other", b"inside"] and codes == [404, 404]


@pytest_twisted.ensureDeferred
async def test_a_lock_makes_no_file_where_a_collection_is_named(cluster: Cluster) -> None:
    await furnish(cluster)
    answer = await lock(cluster, "/new/")
    assert (answer.code, "MKCOL" in answer.text) == (409, True)
    assert await is_as_furnished(cluster)
    assert (await lock(cluster, "/tree/")).code == 200


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("destination", ["/new/", "/tree/", "/other/", "/tree/x/"])
@pytest_twisted.ensureDeferred
async def test_a_file_is_not_put_where_a_collection_is_named(cluster: Cluster, method: str, destination: str) -> None:
    await furnish(cluster)
    answer = await cluster.ask(method, "/file", Destination=destination)
    assert (answer.code, "a collection" in answer.text) == (409, True)
    assert await is_as_furnished(cluster)


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_a_file_is_not_replaced_where_a_collection_is_named(cluster: Cluster, method: str) -> None:
    await furnish(cluster)
    assert (await cluster.ask(method, "/tree/", Destination="/file/")).code == 409
    assert await is_as_furnished(cluster)
    assert (await cluster.ask(method, "/tree/", Destination="/file")).code == 204
    assert (await cluster.get("/file/f")).body == b"inside"


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest_twisted.ensureDeferred
async def test_only_a_client_that_says_so_puts_a_file_in_the_place_of_a_tree(cluster: Cluster, method: str) -> None:
    await furnish(cluster)
    for destination in ("/new/", "/other/"):
        assert (await cluster.ask(method, "/file", Destination=destination, Overwrite="T")).code == 409
    assert (await cluster.ask(method, "/file", Destination="/tree/", Overwrite="F")).code in {409, 412}
    assert await is_as_furnished(cluster)
    # RFC 4918 section 9.8.4; litmus asks for it.
    assert (await cluster.ask(method, "/file", Destination="/tree/", Overwrite="T")).code == 204
    assert (await cluster.get("/tree")).body == b"file"


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(("source", "destination"), [("/tree", "/new"), ("/tree/", "/new"), ("/tree", "/new/")])
@pytest_twisted.ensureDeferred
async def test_a_collection_may_be_named_without_a_slash(
    cluster: Cluster, method: str, source: str, destination: str
) -> None:
    await furnish(cluster)
    assert (await cluster.ask(method, source, Destination=destination)).code == 201
    assert (await cluster.get("/new/f")).body == b"inside"


@pytest_twisted.ensureDeferred
async def test_no_method_finds_a_file_behind_a_slash(cluster: Cluster) -> None:
    await furnish(cluster)
    token = token_of(await lock(cluster, "/other"))
    answers = [
        await cluster.get("/file/"),
        await cluster.ask("HEAD", "/file/"),
        await cluster.ask("DELETE", "/file/"),
        await cluster.ask("PROPFIND", "/file/", Depth="0"),
        await proppatch(cluster, "/file/", "<D:set><D:prop><x xmlns='urn:x'>1</x></D:prop></D:set>"),
        await cluster.ask("COPY", "/file/", Destination="/new"),
        await cluster.ask("MOVE", "/file/", Destination="/new/"),
        await lock(cluster, "/file/"),
        await cluster.ask("LOCK", "/other/", If=f"(<{token}>)"),
        await cluster.ask("UNLOCK", "/other/", Lock_Token=f"<{token}>"),
    ]
    assert [answer.code for answer in answers] == [404] * len(answers)
    assert (await cluster.put("/other", b"locked")).code == 423
    assert (await cluster.ask("MKCOL", "/file/")).code == 405
    assert (await cluster.put("/file/", b"x")).code == 400
    assert await is_as_furnished(cluster)
