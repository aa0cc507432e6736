"""The page about a collection, as the front answers it."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from splitd.frontends.webdav.members import ALL_SORTED, SORTED
from splitd.frontends.webdav.page import POLICY
from tests.cluster.cluster import Cluster
from tests.cluster.test_long_collections import fill


def names(text: str) -> list[str]:
    """The names in the list, without the link to the parent."""
    return re.findall(r'<tr(?: class="c")?><td><a href="[^"]*">([^<]*)</a>', text)


@pytest.mark.parametrize("path", ["/?plain", "/a?plain", "/a/?plain"])
@pytest_twisted.ensureDeferred
async def test_its_headers_are_those_of_a_page_that_runs_nothing_of_others(cluster: Cluster, path: str) -> None:
    await cluster.ask("MKCOL", "/a")
    for method in ("GET", "HEAD"):
        answer = await cluster.ask(method, path, Accept="text/html")
        assert answer.code == 200
        assert answer.header("Content-Security-Policy") == POLICY
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Cache-Control") == "no-cache"
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
        assert bool(answer.body) is (method == "GET")


@pytest_twisted.ensureDeferred
async def test_its_links_are_right_whether_the_url_ends_in_a_slash_or_not(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    await cluster.ask("MKCOL", "/a/b")
    await cluster.put("/a/b/f", b"x")
    for path in ("/a/b", "/a/b/"):
        text = (await cluster.get(path)).text
        assert re.findall(r' href="(/[^"]*)"', text) == ["/", "/a/", "/a/", "/a/b/f"]
        assert '<body data-base="/a/b/" data-query="">' in text


@pytest_twisted.ensureDeferred
async def test_who_has_chosen_the_plain_list_stays_with_it(cluster: Cluster) -> None:
    for path in ("/a", "/a/b", "/a/b/c"):
        await cluster.ask("MKCOL", path)
    await cluster.put("/a/b/f", b"x")
    text = (await cluster.get("/a/b/?plain", Accept="text/html")).text
    links = ["/?plain", "/a/?plain", "/a/?plain", "/a/b/c/?plain", "/a/b/f"]
    assert re.findall(r' href="(/[^"]*)"', text) == links


@pytest_twisted.ensureDeferred
async def test_up_to_a_limit_the_list_is_sorted_and_beyond_it_says_that_it_is_not(cluster: Cluster) -> None:
    fill(cluster, "/most", SORTED - 1)
    await cluster.ask("MKCOL", "/most/z")
    sorted_page = (await cluster.get("/most/")).text
    assert names(sorted_page) == ["z/", *(f"n{number:06}" for number in range(SORTED - 1))]
    assert "too many names" not in sorted_page
    fill(cluster, "/more", SORTED)
    await cluster.ask("MKCOL", "/more/z")
    page = (await cluster.get("/more/")).text
    assert names(page) == [*(f"n{number:06}" for number in range(SORTED)), "z/"]
    assert "too many names" in page


@pytest_twisted.ensureDeferred
async def test_readers_who_leave_or_take_nothing_hold_a_bounded_number_of_names(cluster: Cluster) -> None:
    # More bytes than the kernel keeps for a reader that takes none: the path stands in each row.
    outer = "/" + "文" * 80
    path = quote(f"{outer}{outer}/")
    await cluster.ask("MKCOL", quote(outer))
    fill(cluster, outer * 2, SORTED)
    readers = []
    for _ in range(ALL_SORTED // SORTED + 3):
        client = await cluster.connect(receive_buffer=4096)
        client.begin("GET", path)
        await client.until(lambda client=client: client.total > 1000)  # type: ignore[misc]
        client.stop_reading()
        readers.append(client)
    assert "too many names" in (await cluster.get(path)).text, "the others hold all that may be held"
    for client in readers:
        client.reset()
    pages = await gatherResults([Deferred.fromCoroutine(cluster.get(path)) for _ in range(3)])
    assert not any("too many names" in page.text for page in pages)
